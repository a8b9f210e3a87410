package store

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Count is one of the numbers that a call is counted by, for the metrics of its caller.
type Count int

const (
	Requests  Count = iota // requests sent
	Retries                // attempts after the first one
	Throttled              // requests that the service refused for the time being, in whole or in part
	Sent                   // bytes of requests' bodies
	Received               // bytes of answers' bodies
	Raw                    // bytes of values read and written, before compression
	Stored                 // bytes of the same values as they are in the table
	Missing                // nodes asked for that are not there
	Split                  // values that did not fit into one column
	NumCounts
)

// Counts are the numbers of one call.
type Counts [NumCounts]int64

type counters [NumCounts]atomic.Int64

func count(ctx context.Context, what Count, n int) {
	if log, _ := ctx.Value(logKey{}).(*Log); log != nil {
		log.counters[what].Add(int64(n))
	}
}

// Counts gives the numbers so far.
func (l *Log) Counts() (counts Counts) {
	for i := range counts {
		counts[i] = l.counters[i].Load()
	}
	return counts
}

func (l *Log) countExchange(e *tablestore.Exchange) {
	l.counters[Requests].Add(int64(e.Requests))
	l.counters[Sent].Add(int64(e.RequestBytes))
	l.counters[Received].Add(int64(e.ResponseBytes))
	if throttled(e.Err) {
		l.counters[Throttled].Add(1)
	}
}

func throttled(err error) bool {
	var failure *tablestore.Error
	return errors.As(err, &failure) && failure.Throttled()
}
