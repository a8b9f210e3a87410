package tablestore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tests/poll"
)

// awaitFlight waits for a flight on this thread, outside of Go's poller, as the C module does.
func awaitFlight(flight *Flight) {
	for end := time.Now().Add(2 * time.Second); !flight.Step() && time.Now().Before(end); {
		fd, write := flight.Poll()
		poll.Wait(fd, write, 100*time.Millisecond)
	}
}

type panicking struct{}

func (panicking) Exchanged(Exchange) { panic("defect") }

// What panics after the answer came must look neither like a missing row nor like a write that was acknowledged.
func TestFlightThatPanicsFails(t *testing.T) {
	client := open(t, serve(t, always(goodAnswer(t))).URL)
	warm := func() context.Context {
		if _, err := client.GetRow(t.Context(), getA1); err != nil {
			t.Fatal(err)
		}
		return WithObserver(t.Context(), panicking{})
	}
	get := client.SendGetRow(warm(), getA1)
	awaitFlight(get)
	row, err := get.Row(t.Context())
	if failure := failureOf(t, err); row != nil || failure.Kind != Internal || !strings.Contains(failure.Message, "defect") {
		t.Errorf("row %v, %v", row, err)
	}
	put := client.SendWriteRow(warm(), "nodestore", &RowChange{Kind: Delete, PrimaryKey: getA1.PrimaryKey})
	awaitFlight(put)
	wantKind(t, failureOf(t, put.Written(t.Context())), Internal, "defect")
	if n := len(client.slots); n != 0 {
		t.Errorf("%d slots are taken still", n)
	}
}
