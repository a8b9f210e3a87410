package store

import (
	"context"
	"errors"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// distinct gives each string once, in the order of first occurrence, and for each place of
// all the index of its string.
func distinct(all []string) (unique []string, places []int) {
	places = make([]int, len(all))
	seen := make(map[string]int, len(all))
	for i, s := range all {
		at, ok := seen[s]
		if !ok {
			at = len(unique)
			seen[s] = at
			unique = append(unique, s)
		}
		places[i] = at
	}
	return unique, places
}

// chunksOf cuts the indexes 0 … n-1 into runs of at most size.
func chunksOf(n, size int) [][]int {
	indexes := make([]int, n)
	for i := range indexes {
		indexes[i] = i
	}
	var chunks [][]int
	for len(indexes) > size {
		chunks = append(chunks, indexes[:size:size])
		indexes = indexes[size:]
	}
	if len(indexes) > 0 {
		chunks = append(chunks, indexes)
	}
	return chunks
}

// batch sends the rows at the indexes as one request and repeats it, row by row, for those that failed
// and may be repeated, within the call's deadline. send answers one error a row and one for the request as a whole. A
// request that is too large is halved. What failed in the end stands in errs.
func (s *Store) batch(ctx context.Context, indexes []int, errs []error, send func(context.Context, []int) ([]error, error)) {
	r := retrier{store: s}
	for len(indexes) > 0 {
		limited, cancel := r.attempt(ctx)
		failures, err := send(limited, indexes)
		cancel()
		if tooLarge(err) && len(indexes) > 1 {
			half := len(indexes) / 2
			s.batch(ctx, indexes[:half], errs, send)
			s.batch(ctx, indexes[half:], errs, send)
			return
		}
		var failed []int
		if err != nil {
			failed = indexes
			for _, i := range indexes {
				errs[i] = err
			}
		} else {
			failed, err = sortOut(indexes, failures, errs)
			if throttled(err) {
				count(ctx, Throttled, 1)
			}
		}
		if err == nil {
			return
		}
		if end := r.again(ctx, err); end != nil {
			for _, i := range failed {
				errs[i] = r.ended(end, errs[i])
			}
			return
		}
		for _, i := range failed {
			errs[i] = nil
		}
		indexes = failed
	}
}

// sortOut notes the errors of single rows and gives those that may be repeated, with the error to pace the
// repetition by: throttling, where there is one.
func sortOut(indexes []int, failures, errs []error) (repeat []int, pace error) {
	for k, i := range indexes {
		errs[i] = failures[k]
		var failure *tablestore.Error
		if errors.As(failures[k], &failure) && failure.Retryable() {
			repeat = append(repeat, i)
			if pace == nil || failure.Throttled() {
				pace = failures[k]
			}
		}
	}
	return repeat, pace
}

// ended is the error of one row when the call that it was in ended with end: its own, if it had one.
func (r *retrier) ended(end, own error) error {
	var gaveUp *gaveUpError
	var failure *tablestore.Error
	if errors.As(end, &gaveUp) && errors.As(own, &failure) && failure.Kind != tablestore.Deadline {
		return &gaveUpError{attempts: gaveUp.attempts, took: gaveUp.took, last: own}
	}
	return end
}

func tooLarge(err error) bool {
	var failure *tablestore.Error
	return errors.As(err, &failure) && failure.TooLarge()
}
