package local

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// figures returns what a scrape of the server shows: values by name and labels, as in name{label="value"}; of histograms and
// summaries, the counts.
func (s *TestServer) figures(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry() // checks what is collected against what is described
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			figures[strings.TrimPrefix(family.GetName(), "tablestore_local_")+labelText(m)] = value(m)
		}
	}
	return figures
}

func labelText(m *dto.Metric) string {
	var labels []string
	for _, l := range m.Label {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if labels == nil {
		return ""
	}
	return "{" + strings.Join(labels, ",") + "}"
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	case m.Summary != nil:
		return float64(m.Summary.GetSampleCount())
	}
	return math.NaN()
}

func TestMetricsCountRequestsRowsAndBytes(t *testing.T) {
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", nil)
	put := putRequest(idKey("a"), cell("x", make([]byte, 1000)))
	s.must(t, "PutRow", put)
	got := s.must(t, "GetRow", getRequest(idKey("a")))
	s.must(t, "GetRow", getRequest(idKey("missing")))
	s.write(t, batch(batchPut("b", cell("x", 1)), batchPut("c", cell("x", 1)), batchPut("d", cell("1x", 1))))
	s.must(t, "BatchGetRow", &otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{{
		TableName: ptr("t"), MaxVersions: ptr(int32(1)), PrimaryKey: [][]byte{getRequest(idKey("a")).PrimaryKey, getRequest(idKey("b")).PrimaryKey, getRequest(idKey("no")).PrimaryKey}}}})
	s.scan(t, allRange())
	missing := getRequest(idKey("a"))
	missing.TableName = ptr("none")
	s.call(t, "GetRow", mustMarshal(missing))
	s.call(t, "Search", nil)
	r := s.request(t, "ListTable", nil)
	r.Header.Set("x-ots-signature", "AAAA")
	s.send(t, r)

	f := s.figures(t)
	for name, want := range map[string]float64{
		`requests_total{code="",operation="PutRow",status="200"}`:                    1,
		`requests_total{code="",operation="GetRow",status="200"}`:                    2,
		`requests_total{code="OTSParameterInvalid",operation="GetRow",status="400"}`: 1,
		`requests_total{code="OTSParameterInvalid",operation="other",status="400"}`:  1,
		`requests_total{code="OTSAuthFailed",operation="ListTable",status="403"}`:    1,
		`rows_failed_total{code="OTSParameterInvalid",operation="BatchWriteRow"}`:    1,
		`request_duration_seconds{operation="GetRow"}`:                               3,
		`rows_written_total{operation="PutRow"}`:                                     1,
		`rows_written_total{operation="BatchWriteRow"}`:                              2,
		`rows_read_total{operation="GetRow"}`:                                        1,
		`rows_read_total{operation="BatchGetRow"}`:                                   2,
		`rows_read_total{operation="GetRange"}`:                                      3,
		`request_bytes_total{operation="PutRow"}`:                                    float64(len(mustMarshal(put))),
		`tables`: 1, `healthy`: 1, `writes_refused`: 0, `requests_in_flight`: 0,
	} {
		if v, found := f[name]; !found || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if v := f[`response_bytes_total{operation="GetRow"}`]; v <= float64(len(got)) || v > float64(len(got))+500 {
		t.Errorf("%v bytes of answers, one of which has %d", v, len(got))
	}
	for _, name := range []string{"data_bytes", "disk_bytes", "disk_free_bytes", "store_wal_written_bytes_total", "store_memtable_bytes", "store_wal_sync_seconds"} {
		if f[name] <= 0 {
			t.Errorf("%s is %v", name, f[name])
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if f := s.figures(t); f["healthy"] != 0 || f[`requests_total{code="",operation="PutRow",status="200"}`] != 1 {
		t.Errorf("of a closed server: %v", f)
	}
}

func TestMetricsOfTheSweep(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", dayOfLife(1))
	for i := range 5 {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", 1), cell("y", 2)))
	}
	s.AdvanceClock(25 * time.Hour)
	eventually(t, "ten cells were swept", func() bool { return s.figures(t)["swept_cells_total"] == 10 })
}
