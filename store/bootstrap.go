package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// bootstrapTimeout is the deadline of Bootstrap: a new table takes up to a minute to become usable, and
// the service lets a table be updated once in two minutes.
const bootstrapTimeout = 3 * time.Minute

// deviationForEver is the allowed cell-time deviation, in seconds, of a table that keeps everything: ten years.
// A migration gives rows the time when they were first written.
const deviationForEver = 10 * 365 * 86400

// Bootstrap creates the table, or brings its options up to date, and waits until rows can be
// read. Repeating it changes nothing, and two processes may do it at the same time. A table with another primary key is
// refused and left alone.
func (s *Store) Bootstrap(ctx context.Context) error {
	if s.closed.Load() {
		return s.failed("bootstrap", &Error{Kind: KindClosed, Message: "the store is closed"})
	}
	ctx, cancel := context.WithTimeout(ctx, max(bootstrapTimeout, s.options.timeout()))
	defer cancel()
	err := s.patiently(ctx, s.ensureTable)
	if err == nil {
		err = s.patiently(ctx, s.probe)
	}
	return s.failed("bootstrap", err)
}

// patiently repeats an attempt for as long as the service itself asks to come back later. Without
// an answer it gives up after the option timeout, as every call does.
func (s *Store) patiently(ctx context.Context, attempt func(context.Context) error) error {
	for {
		err := s.step(ctx, attempt)
		var gaveUp *gaveUpError
		var failure *tablestore.Error
		if !errors.As(err, &gaveUp) || !errors.As(err, &failure) || failure.Kind != tablestore.Service || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Store) wanted() *tablestore.TableDescription {
	description := &tablestore.TableDescription{
		Name:       s.options.Table,
		PrimaryKey: []tablestore.PrimaryKeySchema{{Name: keyName, Type: "STRING"}},
		Options:    tablestore.TableOptions{TimeToLive: -1, MaxVersions: 1, MaxTimeDeviation: deviationForEver},
		Throughput: tablestore.ReservedThroughput{Read: s.options.ReservedRead, Write: s.options.ReservedWrite},
	}
	if s.options.AutomaticExpiry {
		seconds := s.options.DefaultTTLMillis / 1000
		description.Options.TimeToLive = int(seconds)
		// Rows older than this would be expired already.
		description.Options.MaxTimeDeviation = seconds
	}
	return description
}

// ensureTable looks again at each attempt: another process may have done part of the work.
func (s *Store) ensureTable(ctx context.Context) error {
	wanted := s.wanted()
	actual, err := s.client.DescribeTable(ctx, s.options.Table)
	if tableMissing(err) {
		err = s.client.CreateTable(ctx, wanted)
		if err == nil {
			logf(ctx, levelInfo, "table %q has been created (%s)", wanted.Name, describe(wanted.Options))
			return nil
		}
		var failure *tablestore.Error
		if !errors.As(err, &failure) || !failure.AlreadyExists() {
			return err
		}
		actual, err = s.client.DescribeTable(ctx, s.options.Table)
	}
	if err != nil {
		return err
	}
	if len(actual.PrimaryKey) != 1 || actual.PrimaryKey[0] != wanted.PrimaryKey[0] {
		return &Error{Kind: KindTableMismatch, Message: fmt.Sprintf(
			"its primary key is %v, not a single STRING column %q: give another name in the option table", actual.PrimaryKey, keyName)}
	}
	options := wanted.Options
	// A larger deviation allows all that this project needs.
	options.MaxTimeDeviation = max(options.MaxTimeDeviation, actual.Options.MaxTimeDeviation)
	var throughput *tablestore.ReservedThroughput
	if wanted.Throughput != (tablestore.ReservedThroughput{}) && wanted.Throughput != actual.Throughput {
		throughput = &wanted.Throughput
	}
	if options == actual.Options && throughput == nil {
		logf(ctx, levelInfo, "table %q is up to date (%s)", wanted.Name, describe(actual.Options))
		return nil
	}
	if err := s.client.UpdateTable(ctx, wanted.Name, &options, throughput); err != nil {
		return err
	}
	logf(ctx, levelInfo, "table %q has been updated: was %s, is %s", wanted.Name, describe(actual.Options), describe(options))
	return nil
}

// Describe tells what the table is at the moment.
func (s *Store) Describe(ctx context.Context) (description *tablestore.TableDescription, err error) {
	ctx, cancel, err := s.begin(ctx)
	if err == nil {
		defer cancel()
		err = s.retry(ctx, func(ctx context.Context) (err error) {
			description, err = s.client.DescribeTable(ctx, s.options.Table)
			return err
		})
	}
	return description, s.failed("describe", err)
}

func describe(o tablestore.TableOptions) string {
	return fmt.Sprintf("TimeToLive %d s, max versions %d, cell time deviation %d s", o.TimeToLive, o.MaxVersions, o.MaxTimeDeviation)
}

// probe reads a row that is not there. A table that is not ready yet says so.
func (s *Store) probe(ctx context.Context) error {
	_, err := s.client.GetRow(ctx, &tablestore.GetRowRequest{
		Table: s.options.Table, PrimaryKey: primaryKey("bootstrap"), ColumnsToGet: []string{columnFlags},
	})
	return err
}

// Destroy deletes the table with all that is in it. A missing table is fine.
func (s *Store) Destroy(ctx context.Context) error {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return s.failed("destroy", err)
	}
	defer cancel()
	err = s.retry(ctx, func(ctx context.Context) error { return s.client.DeleteTable(ctx, s.options.Table) })
	switch {
	case tableMissing(err):
		logf(ctx, levelWarning, "table %q is not there: it was not before, or an attempt whose answer was lost has deleted it", s.options.Table)
		return nil
	case err == nil:
		logf(ctx, levelInfo, "table %q has been deleted", s.options.Table)
	}
	return s.failed("destroy", err)
}

func tableMissing(err error) bool {
	var failure *tablestore.Error
	return errors.As(err, &failure) && failure.TableMissing()
}
