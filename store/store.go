// Package store keeps Sentry's nodes in a Tablestore table: id → bytes. It is the only place where
// Sentry's words (node, ttl, bootstrap, cleanup) meet Tablestore's (row, attribute column, TimeToLive).
//
// # Caveats
//
// A write that returned nil is durable in the service. A write that failed may have been
// applied all the same: repeat it, every write here may be repeated.
//
// A request that was given up, by its attempt's time limit, may still arrive after the attempt that succeeded, where the network held it
// back: Tablestore has nothing by which it could be told from a new one. If the same node was written again in between, the
// older value is back then. The connection is reset when a request is given up, so that this machine does not deliver it any more.
//
// A missing node is never an error and an error never a missing node.
//
// Expiry by a call's ttl, and by DefaultTTL without AutomaticExpiry, goes by this
// machine's clock; AutomaticExpiry goes by the service's.
package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Store is one table with its options. It is safe for use by any number of goroutines.
type Store struct {
	options     Options
	client      tablestore.Client
	sender      tablestore.Sender // the client, if it is one
	compression int64

	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	capped     sync.Once // the warning about a ttl longer than the table's
	background sync.WaitGroup
	closed     atomic.Bool
}

// Open makes a store. Nothing is sent before the first call.
func Open(options Options) (*Store, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	client, err := tablestore.Open(options.client())
	if err != nil {
		return nil, &Error{Kind: KindOptions, Operation: "open", Table: options.Table, Message: err.Error(), cause: err}
	}
	return New(options, client)
}

// New makes a store on a client of the caller's; tests use it.
func New(options Options, client tablestore.Client) (*Store, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	flag, err := compressionFlag(options.Compression)
	if err != nil {
		return nil, err
	}
	sender, _ := client.(tablestore.Sender)
	return &Store{options: options, client: client, sender: sender, compression: flag, now: time.Now, sleep: sleep}, nil
}

// Close drops idle connections. Calls after it fail; those under way and what runs in the background end by themselves, by their
// deadlines: nobody may be held up for so long.
func (s *Store) Close() {
	if !s.closed.Swap(true) {
		s.client.Close()
	}
}

// SetCredentials replaces what later requests are signed with.
func (s *Store) SetCredentials(credentials tablestore.Credentials) error {
	if err := s.client.SetCredentials(credentials); err != nil {
		return &Error{Kind: KindOptions, Operation: "set_credentials", Table: s.options.Table, Message: err.Error(), cause: err}
	}
	return nil
}

// begin gives a call its deadline.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.closed.Load() {
		return nil, nil, &Error{Kind: KindClosed, Message: "the store is closed"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.timeout())
	return ctx, cancel, nil
}

// Timeout is the deadline of a call over all its attempts.
func (s *Store) Timeout() time.Duration { return s.options.timeout() }
