package tablestore

import (
	"context"
	"time"
)

// Exchange is a request and its answer, for logs and counters. It never holds a credential
// or a row's content.
type Exchange struct {
	Operation     string
	Table         string
	Requests      int // how often it was sent: 2 when an idle connection turned out to be closed
	HTTPStatus    int // 0 when no answer came
	RequestID     string
	RequestBytes  int
	ResponseBytes int
	Duration      time.Duration
	Err           error // why there was no good answer, or nil
}

// Observer is told of every exchange of a call, from the goroutine that made it.
type Observer interface {
	Exchanged(Exchange)
}

type observerKey struct{}

// WithObserver makes calls under the context report to the observer.
func WithObserver(ctx context.Context, observer Observer) context.Context {
	return context.WithValue(ctx, observerKey{}, observer)
}

func observerOf(ctx context.Context) Observer {
	observer, _ := ctx.Value(observerKey{}).(Observer)
	return observer
}
