package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Levels of Python's logging module.
const (
	levelDebug   = 10
	levelInfo    = 20
	levelWarning = 30
)

// Log collects the records and the counts of one call, for the caller to emit on Python's loggers.
// Nothing is kept, or formatted, for a level that is off.
type Log struct {
	ProjectLevel int // the least level that the logger of this project wants
	ClientLevel  int // that of the logger "tablestore-client"

	mu       sync.Mutex
	records  []record
	counters counters
}

type record struct {
	Logger  string `json:"logger"` // "project" or "client"
	Level   int    `json:"level"`
	Message string `json:"message"`
}

type logKey struct{}

// WithLog makes a call under the context write to the log.
func WithLog(ctx context.Context, log *Log) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// attempt is the observer of the requests of one attempt.
type attempt struct {
	log    *Log
	number int
}

// observed makes the requests of an attempt be counted and, if the level is on, write one record each.
func observed(ctx context.Context, number int) context.Context {
	log, _ := ctx.Value(logKey{}).(*Log)
	if log == nil {
		return ctx
	}
	return tablestore.WithObserver(ctx, attempt{log, number})
}

func logf(ctx context.Context, level int, format string, arguments ...any) {
	log, _ := ctx.Value(logKey{}).(*Log)
	if log == nil || level < log.ProjectLevel {
		return
	}
	log.add(record{"project", level, fmt.Sprintf(format, arguments...)})
}

func (l *Log) add(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
}

// Exchanged counts a request and writes its record.
func (a attempt) Exchanged(e tablestore.Exchange) {
	a.log.countExchange(&e)
	if a.log.ClientLevel > levelDebug {
		return
	}
	message := fmt.Sprintf("%s table=%s status=%d request_id=%s sent=%d received=%d time=%.1fms attempt=%d",
		e.Operation, e.Table, e.HTTPStatus, e.RequestID, e.RequestBytes, e.ResponseBytes,
		float64(e.Duration)/float64(time.Millisecond), a.number)
	if e.Err != nil {
		message += " error=" + e.Err.Error()
	}
	a.log.add(record{"client", levelDebug, message})
}

// Take gives the records so far as a JSON array and forgets them; nil when there are none.
func (l *Log) Take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.records) == 0 {
		return nil
	}
	text, err := json.Marshal(l.records)
	if err != nil {
		// Strings and ints always marshal; were it otherwise, the records say so themselves.
		text = []byte(`[{"logger":"project","level":30,"message":"log records were lost"}]`)
	}
	l.records = nil
	return text
}
