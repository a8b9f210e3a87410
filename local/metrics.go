package local

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// otherOperation stands for everything that is no operation of this server, so that a client cannot make up label values.
const otherOperation = "other"

// metrics are the figures of a server's requests.
type metrics struct {
	requests   *prometheus.CounterVec
	rowsFailed *prometheus.CounterVec
	operations map[string]*operationMetrics
	vectors    []prometheus.Collector
	running    atomic.Int64
	swept      prometheus.Counter
	stalls     prometheus.Counter
}

// operationMetrics are those of one operation, looked up once.
type operationMetrics struct {
	seconds                                     prometheus.Observer
	received, sent, rowsRead, rowsWritten, isOk prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tablestore_local", Name: name, Help: help}, labels)
	}
	m := &metrics{
		requests:   counter("requests_total", "Requests answered, by HTTP status and the service's error code (empty: none).", "operation", "status", "code"),
		rowsFailed: counter("rows_failed_total", "Rows of batches that failed on their own, by the service's error code.", "operation", "code"),
		operations: map[string]*operationMetrics{},
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "tablestore_local", Name: "request_duration_seconds", Help: "From a request's header to the last byte of its answer.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"operation"})
	received := counter("request_bytes_total", "Bytes of request bodies.", "operation")
	sent := counter("response_bytes_total", "Bytes of answer bodies.", "operation")
	rowsRead := counter("rows_read_total", "Rows returned.", "operation")
	rowsWritten := counter("rows_written_total", "Rows put, updated and deleted.", "operation")
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tablestore_local", Name: name, Help: help})
	}
	m.swept = one("swept_cells_total", "Cells removed from the disk because they were expired or surplus versions.")
	m.stalls = one("store_write_stalls_total", "Times that the store held writes up until it had written memory to disk.")
	m.vectors = []prometheus.Collector{m.requests, m.rowsFailed, seconds, received, sent, rowsRead, rowsWritten, m.swept, m.stalls}
	names := []string{otherOperation}
	for name := range handlers {
		names = append(names, name)
	}
	for _, name := range names {
		m.operations[name] = &operationMetrics{
			seconds: seconds.WithLabelValues(name), received: received.WithLabelValues(name), sent: sent.WithLabelValues(name),
			rowsRead: rowsRead.WithLabelValues(name), rowsWritten: rowsWritten.WithLabelValues(name),
			isOk: m.requests.WithLabelValues(name, "200", ""),
		}
	}
	return m
}

// operationLabel returns the name of the operation for a label.
func operationLabel(operation string) string {
	if _, known := handlers[operation]; known {
		return operation
	}
	return otherOperation
}

// observe counts a request that was answered.
func (m *metrics) observe(c *call, begin time.Time) {
	name := operationLabel(c.operation)
	o := m.operations[name]
	o.seconds.Observe(time.Since(begin).Seconds())
	o.received.Add(float64(c.received))
	o.sent.Add(float64(len(c.out)))
	o.rowsRead.Add(float64(c.rowsRead))
	o.rowsWritten.Add(float64(c.rowsWritten))
	if c.status == 200 && c.code == "" {
		o.isOk.Inc()
		return
	}
	m.requests.WithLabelValues(name, strconv.Itoa(c.status), c.code).Inc()
}

// Collector returns the server's figures for Prometheus: requests by operation, status and error code, their time, bytes and rows,
// space, and what the store does in the background.
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ *Server }

// storeFigure is a figure that is looked up when it is asked for.
type storeFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*pebble.Metrics) float64
}

func figure(kind prometheus.ValueType, name, help string, read func(*pebble.Metrics) float64) storeFigure {
	return storeFigure{describe("store_"+name, help), kind, read}
}

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tablestore_local_"+name, help, nil, nil)
}

const (
	counted = prometheus.CounterValue
	gauged  = prometheus.GaugeValue
)

var storeFigures = []storeFigure{
	figure(counted, "compactions_total", "Compactions done.", func(m *pebble.Metrics) float64 { return float64(m.Compact.Count) }),
	figure(counted, "compactions_failed_total", "Compactions that failed; they are tried again.", func(m *pebble.Metrics) float64 { return float64(m.Compact.FailedCount) }),
	figure(counted, "compaction_seconds_total", "Time spent in compactions.", func(m *pebble.Metrics) float64 { return m.Compact.Duration.Seconds() }),
	figure(gauged, "compactions_running", "Compactions under way.", func(m *pebble.Metrics) float64 { return float64(m.Compact.NumInProgress) }),
	figure(gauged, "compaction_debt_bytes", "Bytes still to compact until the store is at rest.", func(m *pebble.Metrics) float64 { return float64(m.Compact.EstimatedDebt) }),
	figure(counted, "flushes_total", "Memtables written to disk.", func(m *pebble.Metrics) float64 { return float64(m.Flush.Count) }),
	figure(gauged, "memtable_bytes", "Memory of memtables.", func(m *pebble.Metrics) float64 { return float64(m.MemTable.Size) }),
	figure(counted, "wal_written_bytes_total", "Bytes written to the write-ahead log.", func(m *pebble.Metrics) float64 { return float64(m.WAL.BytesWritten) }),
	figure(gauged, "wal_bytes", "Live bytes of the write-ahead log.", func(m *pebble.Metrics) float64 { return float64(m.WAL.Size) }),
	figure(gauged, "tables", "Sorted files on disk.", func(m *pebble.Metrics) float64 { return float64(m.Table.Local.LiveCount) }),
	figure(gauged, "l0_sublevels", "Sublevels of level 0; many of them say that compactions cannot keep up.", func(m *pebble.Metrics) float64 { return float64(m.Levels[0].Sublevels) }),
	figure(gauged, "read_amplification", "Files that a read may have to look at.", func(m *pebble.Metrics) float64 { return float64(m.ReadAmp()) }),
	figure(gauged, "block_cache_bytes", "Memory of the block cache.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Size) }),
	figure(counted, "block_cache_hits_total", "Blocks found in the cache.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Hits) }),
	figure(counted, "block_cache_misses_total", "Blocks read from disk.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Misses) }),
}

var (
	runningDesc   = describe("requests_in_flight", "Requests that are being carried out.")
	tablesDesc    = describe("tables", "Tables.")
	healthyDesc   = describe("healthy", "1 if the server can do all that it is there for, as /healthz says.")
	refusedDesc   = describe("writes_refused", "1 while writes are refused for want of space.")
	dataDesc      = describe("data_bytes", "What the data takes on disk.")
	dataLimitDesc = describe("data_limit_bytes", "What the data may take on disk, if that is limited.")
	diskDesc      = describe("disk_bytes", "Size of the disk with the data.")
	diskFreeDesc  = describe("disk_free_bytes", "Free bytes on the disk with the data.")
	walSyncDesc   = describe("store_wal_sync_seconds", "Time and number of syncs of the write-ahead log; requests share them.")
	otherDescs    = []*prometheus.Desc{runningDesc, tablesDesc, healthyDesc, refusedDesc, dataDesc, dataLimitDesc, diskDesc, diskFreeDesc, walSyncDesc}
)

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range c.metrics.vectors {
		v.Describe(ch)
	}
	for _, f := range storeFigures {
		ch <- f.desc
	}
	for _, d := range otherDescs {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, v := range c.metrics.vectors {
		v.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, gauged, v) }
	gauge(runningDesc, float64(c.metrics.running.Load()))
	gauge(healthyDesc, oneIf(c.Health() == nil))
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return
	}
	m := c.db.Metrics()
	for _, f := range storeFigures {
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read(m))
	}
	if m.LogWriter.FsyncLatency != nil {
		var syncs dto.Metric
		if err := m.LogWriter.FsyncLatency.Write(&syncs); err == nil {
			h := syncs.GetHistogram()
			ch <- prometheus.MustNewConstSummary(walSyncDesc, h.GetSampleCount(), h.GetSampleSum()/1e9, nil)
		}
	}
	gauge(tablesDesc, float64(len(c.catalog.names())))
	gauge(refusedDesc, oneIf(c.space.room.Load() != roomForAll))
	gauge(dataDesc, float64(usedSpace(m)))
	if c.options.MaxBytes > 0 {
		gauge(dataLimitDesc, float64(c.options.MaxBytes))
	}
	if !c.options.Memory {
		if u, err := c.disk.GetDiskUsage(c.options.Dir); err == nil {
			gauge(diskDesc, float64(u.TotalBytes))
			gauge(diskFreeDesc, float64(u.AvailBytes))
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
