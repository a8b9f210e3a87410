package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Pauses between attempts double from the first to the longest, each shortened by a random
// part of up to a half, so that many clients do not come back at the same moment. A throttled client starts slower.
const (
	firstPause          = 10 * time.Millisecond
	firstThrottledPause = 50 * time.Millisecond
	longestPause        = time.Second
)

// gaveUpError is what the last attempt failed with, when there was no time for another.
type gaveUpError struct {
	attempts int
	took     time.Duration
	last     error
}

func (e *gaveUpError) Error() string { return e.last.Error() + e.addendum() }
func (e *gaveUpError) Unwrap() error { return e.last }

func (e *gaveUpError) addendum() string {
	return fmt.Sprintf(" (gave up after %d attempts in %v)", e.attempts, e.took.Round(time.Millisecond))
}

// retrier paces the attempts of one call within the call's deadline.
type retrier struct {
	store    *Store
	began    time.Time
	attempts int
	pause    time.Duration
	last     error // of the last attempt that failed for another reason than lack of time
}

// attempt gives an attempt its context.
func (r *retrier) attempt(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.attempts++; r.attempts == 1 {
		r.began = time.Now()
	}
	ctx = observed(ctx, r.attempts)
	limit := r.store.options.timeout()
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithTimeout(ctx, limit)
	}
	left := time.Until(deadline)
	limit = attemptLimit(limit, left)
	if limit >= left {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// attemptLimit is how long a single attempt may take: no more than
// two thirds of the time that is left (but always two seconds), so that one connection that died silently does
// not cost the whole call, and never more than the option timeout.
func attemptLimit(timeout, left time.Duration) time.Duration {
	return min(timeout, max(left*2/3, 2*time.Second))
}

// again waits before the next attempt after err. It returns nil when
// there shall be one, else the error to end the call with.
func (r *retrier) again(ctx context.Context, err error) error {
	var failure *tablestore.Error
	if !errors.As(err, &failure) {
		return err
	}
	outOfTime := failure.Kind == tablestore.Deadline
	if !outOfTime || r.last == nil {
		r.last = err
	}
	if ctx.Err() != nil {
		return r.gaveUp(ctx)
	}
	if !failure.Retryable() && !outOfTime {
		return err
	}
	if r.pause == 0 {
		r.pause = firstPause
		if failure.Throttled() {
			r.pause = firstThrottledPause
		}
	}
	pause := r.pause/2 + rand.N(r.pause/2+1)
	r.pause = min(2*r.pause, longestPause)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return r.gaveUp(ctx)
	}
	logf(ctx, levelDebug, "attempt %d failed, next in %v: %v", r.attempts, pause.Round(time.Millisecond), err)
	if r.store.sleep(ctx, pause) != nil {
		return r.gaveUp(ctx)
	}
	count(ctx, Retries, 1)
	return nil
}

func (r *retrier) gaveUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &Error{Kind: KindTimeout, Message: "the call was abandoned", cause: ctx.Err()}
	}
	return &gaveUpError{attempts: r.attempts, took: time.Since(r.began), last: r.last}
}

// retry calls attempt until it succeeds, fails for good, or the time is up.
func (s *Store) retry(ctx context.Context, attempt func(context.Context) error) error {
	r := retrier{store: s}
	return r.run(ctx, attempt)
}

func (r *retrier) run(ctx context.Context, attempt func(context.Context) error) error {
	for {
		limited, cancel := r.attempt(ctx)
		err := attempt(limited)
		cancel()
		if err == nil {
			return nil
		}
		if err := r.again(ctx, err); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
