package local

import "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

// ListTable names the tables, in byte order. Nothing is left out.

func (s *Server) listTable(c *call) error {
	return c.encode(&otsprotocol.ListTableResponse{TableNames: s.catalog.names()})
}
