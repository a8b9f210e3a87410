package main

import (
	"fmt"
	"net"
	"os"
)

// notify tells systemd the state of the service, such as READY=1, if it is systemd that started the program with Type=notify.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET") // one in the abstract name space begins with @, as Go has it
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
