// Command sentry-tablestore is the engine of the Python package of that name: built with
// -buildmode=c-shared it is the extension module sentry_tablestore._native. This file has the C functions that
// the C code in cpython/ calls; cpython/engine.h says what they promise.
package main

// #include <poll.h>
// #include "cpython/engine.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
	"unsafe"

	"github.com/PMExtra/sentry-tablestore/v2/call"
	_ "github.com/PMExtra/sentry-tablestore/v2/cpython"
	"github.com/PMExtra/sentry-tablestore/v2/store"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
	"github.com/PMExtra/sentry-tablestore/v2/version"
)

func main() {}

// The runtime exists once a process, and so do these.
var (
	stores call.Stores
	calls  call.Handles[*call.Call]

	built = C.CString(version.String())
)

//export ots_open
func ots_open(options C.ots_bytes, result *C.ots_result) {
	defer recovered(result)
	text := text(options)
	immediate(result, func() (int64, error) {
		handle, err := stores.Open(text)
		return int64(handle), err
	})
}

//export ots_close
func ots_close(handle C.uint64_t) {
	defer recovered(nil)
	immediate(nil, func() (int64, error) {
		stores.Close(uint64(handle))
		return 0, nil
	})
}

//export ots_get
func ots_get(c *C.ots_context, id C.ots_bytes, result *C.ots_result) {
	defer recovered(result)
	node := text(id)
	send(c, result, func(ctx context.Context, s *store.Store) *store.Pending {
		return s.StartGet(ctx, node)
	}, func() work {
		return func(ctx context.Context, s *store.Store) (r call.Result, err error) {
			var found bool
			if r.Data, found, err = s.Get(ctx, node); found {
				r.Count = 1
			}
			return r, err
		}
	})
}

//export ots_get_many
func ots_get_many(c *C.ots_context, ids *C.ots_bytes, n C.size_t, result *C.ots_result) {
	defer recovered(result)
	nodes := texts(ids, n)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		values, err := s.GetMany(ctx, nodes)
		if err != nil {
			return call.Result{}, err
		}
		return call.Result{Values: values, Count: int64(len(values))}, nil
	})
}

//export ots_set
func ots_set(c *C.ots_context, id, value C.ots_bytes, ttl C.int64_t, result *C.ots_result) {
	defer recovered(result)
	node := text(id)
	send(c, result, func(ctx context.Context, s *store.Store) *store.Pending {
		return s.StartSet(ctx, node, lent(value), lifetime(ttl))
	}, func() work {
		data := copied(value)
		return func(ctx context.Context, s *store.Store) (call.Result, error) {
			return call.Result{}, s.Set(ctx, node, data, lifetime(ttl))
		}
	})
}

//export ots_set_many
func ots_set_many(c *C.ots_context, ids, values *C.ots_bytes, n C.size_t, ttl C.int64_t, result *C.ots_result) {
	defer recovered(result)
	nodes, data := texts(ids, n), copies(values, n)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		return call.Result{}, s.SetMany(ctx, nodes, data, lifetime(ttl))
	})
}

//export ots_delete
func ots_delete(c *C.ots_context, id C.ots_bytes, result *C.ots_result) {
	defer recovered(result)
	node := text(id)
	send(c, result, func(ctx context.Context, s *store.Store) *store.Pending {
		return s.StartDelete(ctx, node)
	}, func() work {
		return func(ctx context.Context, s *store.Store) (call.Result, error) {
			return call.Result{}, s.Delete(ctx, node)
		}
	})
}

//export ots_delete_many
func ots_delete_many(c *C.ots_context, ids *C.ots_bytes, n C.size_t, result *C.ots_result) {
	defer recovered(result)
	nodes := texts(ids, n)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		return call.Result{}, s.DeleteMany(ctx, nodes)
	})
}

//export ots_import_many
func ots_import_many(c *C.ots_context, ids, values *C.ots_bytes, written, expires *C.int64_t, n C.size_t, encoding, only_missing C.int32_t, result *C.ots_result) {
	defer recovered(result)
	texts, data := texts(ids, n), copies(values, n)
	nodes := make([]store.Imported, int(n))
	for i := range nodes {
		nodes[i] = store.Imported{ID: texts[i], Value: data[i]}
	}
	for i, at := range unsafe.Slice(written, int(n)) {
		nodes[i].Written = int64(at)
	}
	for i, at := range unsafe.Slice(expires, int(n)) {
		nodes[i].Expires = int64(at)
	}
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		outcomes, err := s.Import(ctx, nodes, store.Encoding(encoding), only_missing != 0)
		if err != nil {
			return call.Result{}, err
		}
		return call.Result{Data: outcomes, Count: 1}, nil
	})
}

//export ots_discard_many
func ots_discard_many(c *C.ots_context, ids *C.ots_bytes, written *C.int64_t, n C.size_t, result *C.ots_result) {
	defer recovered(result)
	nodes, times := texts(ids, n), make([]int64, int(n))
	for i, at := range unsafe.Slice(written, int(n)) {
		times[i] = int64(at)
	}
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (r call.Result, err error) {
		r.Count, err = s.Discard(ctx, nodes, times)
		return r, err
	})
}

//export ots_scan
func ots_scan(c *C.ots_context, start, end C.ots_bytes, limit, values C.int32_t, result *C.ots_result) {
	defer recovered(result)
	first, last := text(start), text(end)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		nodes, next, err := s.Scan(ctx, first, last, int(limit), values != 0)
		if err != nil {
			return call.Result{}, err
		}
		return scanned(nodes, next)
	})
}

//export ots_scan_many
func ots_scan_many(c *C.ots_context, ids *C.ots_bytes, n C.size_t, values C.int32_t, result *C.ots_result) {
	defer recovered(result)
	wanted := texts(ids, n)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		nodes, err := s.ScanMany(ctx, wanted, values != 0)
		if err != nil {
			return call.Result{}, err
		}
		return scanned(nodes, "")
	})
}

// scanned is a block of a description of nodes and their values.
func scanned(nodes []store.Scanned, next string) (call.Result, error) {
	block := make([][]byte, 1, 1+len(nodes))
	for i := range nodes {
		block = append(block, nodes[i].Value)
	}
	var err error
	block[0], err = json.Marshal(map[string]any{"nodes": nodes, "next": next})
	return call.Result{Values: block, Count: int64(len(block))}, err
}

//export ots_describe
func ots_describe(c *C.ots_context, result *C.ots_result) {
	defer recovered(result)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		description, err := s.Describe(ctx)
		if err != nil {
			return call.Result{}, err
		}
		data, err := json.Marshal(description)
		return call.Result{Data: data, Count: 1}, err
	})
}

//export ots_set_credentials
func ots_set_credentials(handle C.uint64_t, id, secret, token C.ots_bytes, result *C.ots_result) {
	defer recovered(result)
	credentials := tablestore.Credentials{AccessKeyID: text(id), AccessKeySecret: text(secret), STSToken: text(token)}
	immediate(result, func() (int64, error) {
		s, ok := stores.Get(uint64(handle))
		if !ok {
			return 0, noSuchStore
		}
		return 0, s.SetCredentials(credentials)
	})
}

//export ots_bootstrap
func ots_bootstrap(c *C.ots_context, result *C.ots_result) {
	defer recovered(result)
	begin(c, result, unlimited, func(ctx context.Context, s *store.Store) (call.Result, error) {
		return call.Result{}, s.Bootstrap(ctx)
	})
}

//export ots_cleanup
func ots_cleanup(c *C.ots_context, cutoff C.int64_t, result *C.ots_result) {
	defer recovered(result)
	begin(c, result, unlimited, func(ctx context.Context, s *store.Store) (r call.Result, err error) {
		r.Count, err = s.Cleanup(ctx, time.UnixMilli(int64(cutoff)))
		return r, err
	})
}

//export ots_destroy
func ots_destroy(c *C.ots_context, result *C.ots_result) {
	defer recovered(result)
	begin(c, result, deadline, func(ctx context.Context, s *store.Store) (call.Result, error) {
		return call.Result{}, s.Destroy(ctx)
	})
}

//export ots_wait
func ots_wait(handle C.uint64_t, slice C.int32_t, result *C.ots_result) {
	defer recovered(result)
	c, ok := calls.Get(uint64(handle))
	if !ok {
		c = call.Failed(&store.Error{Kind: store.KindClosed, Operation: "wait", Message: "there is no such pending call"})
	}
	settle(c, uint64(handle), slice, result)
}

//export ots_abandon
func ots_abandon(handle C.uint64_t) {
	defer recovered(nil)
	if c, ok := calls.Remove(uint64(handle)); ok {
		c.Abandon()
	}
}

//export ots_release
func ots_release(handle C.uint64_t) {
	defer recovered(nil)
	if c, ok := calls.Remove(uint64(handle)); ok {
		c.Release()
	}
}

//export ots_limit_heap
func ots_limit_heap(bytes C.int64_t) {
	defer recovered(nil)
	limitHeap(int64(bytes))
}

//export ots_outstanding
func ots_outstanding() C.int64_t {
	defer recovered(nil)
	return C.int64_t(calls.Len())
}

// Whether a call ends by the store's timeout or has no limit but its caller's patience.
const (
	deadline  = true
	unlimited = false
)

var noSuchStore = &store.Error{Kind: store.KindClosed, Message: "there is no such open store"}

// work is what a call does on its store.
type work func(context.Context, *store.Store) (call.Result, error)

// begin starts the work of a call in a goroutine and waits for the first slice.
func begin(c *C.ots_context, result *C.ots_result, limited bool, do work) {
	s, ok := stores.Get(uint64(c.store))
	if !ok {
		settle(call.Failed(noSuchStore), 0, 0, result)
		return
	}
	timeout := time.Duration(0)
	if limited {
		timeout = s.Timeout()
	}
	started := call.Start(logOf(c), timeout, func(ctx context.Context) (call.Result, error) { return do(ctx, s) })
	settle(started, 0, c.slice_ms, result)
}

// send starts a call on one node on this thread or, where that is not possible, in a goroutine, for which instead
// makes the work: it outlives what the caller lent.
func send(c *C.ots_context, result *C.ots_result, start func(context.Context, *store.Store) *store.Pending, instead func() work) {
	s, ok := stores.Get(uint64(c.store))
	if !ok {
		settle(call.Failed(noSuchStore), 0, 0, result)
		return
	}
	started := call.Send(logOf(c), s.Timeout(), func(ctx context.Context) *store.Pending { return start(ctx, s) })
	if started == nil {
		begin(c, result, deadline, instead())
		return
	}
	pend(started, calls.Add(started), result)
}

func logOf(c *C.ots_context) *store.Log {
	return &store.Log{ProjectLevel: int(c.project_level), ClientLevel: int(c.client_level)}
}

// immediate is a call without waiting, whose answer is a number.
func immediate(result *C.ots_result, work func() (int64, error)) {
	count, err := work()
	if err != nil {
		settle(call.Failed(err), 0, 0, result)
	} else if result != nil {
		*result = C.ots_result{status: C.OTS_OK, count: C.int64_t(count)}
	}
}

// settle waits for a slice and fills the result. handle is the number of a call that was pending before, or 0.
func settle(c *call.Call, handle uint64, slice C.int32_t, result *C.ots_result) {
	over := c.Wait(time.Duration(slice) * time.Millisecond)
	if over == nil {
		if handle == 0 {
			handle = calls.Add(c)
		}
		pend(c, handle, result)
		return
	}
	if handle != 0 && over != c {
		calls.Remove(handle)
		handle = 0
	}
	fill(over, handle, result)
}

// pend fills the result of a call that is not over.
func pend(c *call.Call, handle uint64, result *C.ots_result) {
	*result = C.ots_result{status: C.OTS_PENDING, call: C.uint64_t(handle)}
	if fd, write, left, ok := c.Poll(); ok {
		result.poll_fd, result.poll_events, result.poll_ms = C.int32_t(fd), C.POLLIN, C.int32_t(left.Milliseconds()+1)
		if write {
			result.poll_events |= C.POLLOUT
		}
	}
}

// fill fills the result of a call that is over. handle is the number that it has already, or 0.
func fill(c *call.Call, handle uint64, result *C.ots_result) {
	failed, data, count := c.Outcome()
	*result = C.ots_result{status: C.OTS_OK, count: C.int64_t(count)}
	for i, n := range c.Counts {
		result.counts[i] = C.int64_t(n)
	}
	if failed {
		result.status = C.OTS_ERROR
	}
	values := c.Result.Values
	if failed {
		values = nil
	}
	if len(data) == 0 && len(values) == 0 && len(c.Logs) == 0 {
		if handle != 0 {
			calls.Remove(handle)
		}
		return
	}
	result.data, result.length = (*C.char)(c.Pin(data)), C.size_t(len(data))
	if len(values) > 0 {
		lent := c.PinValues()
		result.data, result.length = (*C.char)(unsafe.Pointer(unsafe.SliceData(lent))), C.size_t(len(lent))*C.sizeof_ots_bytes
	}
	result.logs, result.logs_length = (*C.char)(c.Pin(c.Logs)), C.size_t(len(c.Logs))
	if handle == 0 {
		handle = calls.Add(c)
	}
	result.call = C.uint64_t(handle)
}

// recovered turns a panic of this file or of package call into the call's error. Every C function defers it before all else: what
// the caller lent is converted under it too.
func recovered(result *C.ots_result) {
	if p := recover(); p != nil && result != nil {
		fill(call.Failed(store.Panicked(p)), 0, result)
	}
}

//export ots_version
func ots_version() *C.char { return built }

func text(b C.ots_bytes) string { return C.GoStringN(b.data, C.int(b.length)) }

// lent is the caller's memory, which is not to be touched after the C function returned.
func lent(b C.ots_bytes) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(b.data)), int(b.length)) }

// copied is a copy because a call that is given up outlives what its caller lent.
func copied(b C.ots_bytes) []byte { return append(make([]byte, 0, int(b.length)), lent(b)...) }

func texts(first *C.ots_bytes, n C.size_t) []string {
	all := make([]string, int(n))
	for i, b := range unsafe.Slice(first, int(n)) {
		all[i] = text(b)
	}
	return all
}

func copies(first *C.ots_bytes, n C.size_t) [][]byte {
	all := make([][]byte, int(n))
	for i, b := range unsafe.Slice(first, int(n)) {
		all[i] = copied(b)
	}
	return all
}

func lifetime(ms C.int64_t) time.Duration {
	if ms == -1 {
		return store.NoTTL
	}
	return store.Milliseconds(int64(ms))
}
