package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// sample is what some clients did together.
type sample struct {
	calls   int
	elapsed time.Duration
	cpu     time.Duration   // of the server
	times   []time.Duration // of each call, sorted
}

func (s *sample) rate() float64 { return float64(s.calls) / s.elapsed.Seconds() }

func (s *sample) cpuEach() time.Duration { return s.cpu / time.Duration(max(s.calls, 1)) }

// quantile gives the time that a share of the calls did not exceed.
func (s *sample) quantile(share float64) time.Duration {
	if len(s.times) == 0 {
		return 0
	}
	return s.times[min(int(share*float64(len(s.times))), len(s.times)-1)]
}

// together lets so many clients make one call after the other until the time is over or a call fails. The call of a client gets the
// client's number and how many calls it has made. Calls under way at the end are waited for and count.
func together(ctx context.Context, p *program, clients int, span time.Duration, call func(ctx context.Context, client, n int) error) (*sample, error) {
	// Nobody ends a call before its time: what it costs is part of the measurement.
	until := time.Now().Add(span)
	return gather(p, clients, func(client int) (times []time.Duration, err error) {
		for n := 0; time.Now().Before(until) && ctx.Err() == nil; n++ {
			begin := time.Now()
			if err := call(ctx, client, n); err != nil {
				return nil, err
			}
			times = append(times, time.Since(begin))
		}
		return times, ctx.Err()
	})
}

// gather runs clients and puts together what they give: the times of their calls.
func gather(p *program, clients int, client func(int) ([]time.Duration, error)) (*sample, error) {
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var failed error
	s := &sample{}
	var all sync.WaitGroup
	begin := time.Now()
	for i := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			times, err := client(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = err
			}
			s.times = append(s.times, times...)
		}()
	}
	all.Wait()
	s.elapsed = time.Since(begin)
	if failed != nil {
		return nil, failed
	}
	after, err := p.cpu()
	s.cpu, s.calls = after-before, len(s.times)
	slices.Sort(s.times)
	return s, err
}
