package local

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

// Options are the options of a server.
type Options struct {
	// Dir is the data folder; it is created if it is missing. Memory serves from memory instead, and then Dir must be empty.
	Dir    string
	Memory bool

	// Instance, AccessKeyID and AccessKeySecret are what requests must be made and signed with.
	Instance        string
	AccessKeyID     string
	AccessKeySecret string

	// Clock tells the time, for timestamps, time to live and the age of requests. Default: time.Now.
	Clock func() time.Time
	// ClockSkew is how far the date of a request may be from the clock. Default: 15 minutes; negative: not checked.
	ClockSkew time.Duration
	// MaxTables is how many tables there may be. Default: 64, as for the service.
	MaxTables int
	// SweepInterval is how often expired data is removed from the store. Default: an hour; negative: never, and then it goes only when its
	// row is written. The space of what clients delete comes back all the same.
	SweepInterval time.Duration
	// MaxBytes is how large the data may be, on disk; beyond that writes fail, while reads and deletes go on. 0: as large as the disk.
	MaxBytes int64
	// Faults lets requests to /_faults and /_clock inject faults and move the clock, without authentication: for tests only.
	Faults bool
	// Logger gets a debug record for each request, and what goes wrong inside the server. Default: none.
	Logger *slog.Logger

	fs vfs.FS // of the data; tests put broken ones here
}

const (
	defaultClockSkew = 15 * time.Minute
	stripes          = 1024
	cacheSize        = 128 << 20 // measured on 270 MB of rows, a read of one takes a third less time than with 64
	memTableSize     = 32 << 20
)

// Server is a Tablestore server. It is an http.Handler, safe for concurrent use.
type Server struct {
	options     Options
	db          *pebble.DB
	disk        vfs.FS               // where the data is
	lock        *pebble.Lock         // nil in memory
	sync        *pebble.WriteOptions // what a write has to wait for before it is acknowledged
	catalog     *catalog
	log         *slog.Logger
	key         *signature.Key
	keysV4      atomic.Pointer[keyV4]
	clockOffset atomic.Int64
	blobs       atomic.Uint64 // number of the last large value
	increments  atomic.Int64  // last generated value of an auto-increment column
	unsynced    atomic.Int64  // writes that can be seen and may not be on disk yet
	acked       atomic.Uint64 // the entries of the log before that with this number were acknowledged
	locks       [stripes]sync.Mutex
	faults      faults
	sweeper     sweeper
	space       space
	health      health
	metrics     *metrics
	socket      *controlSocket // nil in memory

	closing sync.RWMutex // held for reading by requests
	closed  bool
}

// Open opens or creates the server's data.
func Open(o Options) (*Server, error) {
	switch {
	case o.Instance == "" || o.AccessKeyID == "" || o.AccessKeySecret == "":
		return nil, errors.New("open the server: Instance, AccessKeyID and AccessKeySecret must be given")
	case o.Memory == (o.Dir != ""):
		return nil, errors.New("open the server: either Dir or Memory must be given")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.ClockSkew == 0 {
		o.ClockSkew = defaultClockSkew
	}
	if o.MaxTables == 0 {
		o.MaxTables = maxTables
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = defaultSweepInterval
	}
	s := &Server{options: o, log: o.Logger, key: signature.NewV2(o.AccessKeySecret), sync: pebble.Sync,
		disk: o.fs, metrics: newMetrics()}
	switch {
	case o.Memory:
		s.disk = vfs.NewMem()
	case o.fs == nil:
		s.disk = vfs.Default
	}
	if err := s.openStore(); err != nil {
		return nil, err
	}
	s.startSweeper()
	s.startControl()
	return s, nil
}

func (s *Server) openStore() error {
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref()
	po := &pebble.Options{
		Cache:                       cache,
		FS:                          vfs.OnDiskFull(s.disk, s.diskFull),
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		Logger:                      pebbleLogger{s.log},
		EventListener: &pebble.EventListener{
			BackgroundError: s.backgroundError,
			FlushEnd: func(info pebble.FlushInfo) {
				if info.Err == nil {
					s.health.storage.Store(nil)
				}
			},
			CompactionEnd: func(info pebble.CompactionInfo) {
				if info.Err == nil {
					s.health.storage.Store(nil)
				}
			},
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { s.metrics.stalls.Inc() },
			// Pebble would end the process. The request that met the damage fails, and all that is not damaged can still be read.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.log.Error("the data is damaged", "file", info.Path, "error", info.Details)
			},
		},
	}
	for i := range po.Levels {
		// A put must look at what it replaces; with filters, finding that it is not there seldom reads a block.
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	dir := s.options.Dir
	if s.options.Memory {
		// Nothing outlives the process, so there is no log to write either.
		dir, po.DisableWAL, s.sync = "data", true, pebble.NoSync
	} else {
		lock, err := lockFolder(dir)
		if err != nil {
			return fmt.Errorf("open %s: %w", dir, err)
		}
		if err := refuseUnfinished(dir); err != nil {
			return fmt.Errorf("open %s: %w", dir, errors.Join(err, lock.Close()))
		}
		po.Lock, s.lock = lock, lock
		if u, err := s.disk.GetDiskUsage(dir); err == nil {
			po.MemTableSize = memTableSizeOf(u)
		}
		if err := s.roomToRecover(); err != nil {
			return fmt.Errorf("open %s: %w", dir, errors.Join(err, s.unlockFolder()))
		}
		if err := s.beginChanges(); err != nil {
			return fmt.Errorf("open %s: %w", dir, errors.Join(err, s.unlockFolder()))
		}
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, errors.Join(err, s.unlockFolder()))
	}
	s.db = db
	if err := errors.Join(s.start(), s.removeCheckpoints()); err != nil {
		return fmt.Errorf("open %s: %w", dir, errors.Join(err, db.Close(), s.unlockFolder()))
	}
	return nil
}

// lockFolder creates the folder if needed and takes its lock.
func lockFolder(dir string) (*pebble.Lock, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	var pathError *fs.PathError
	switch {
	case err == nil:
		return lock, nil
	case errors.As(err, &pathError): // the lock file cannot be made
		return nil, err
	default: // another process holds it, or this one
		return nil, fmt.Errorf("%w (%w)", ErrLocked, err)
	}
}

// makeFolder creates a folder and those above it that are missing, so that a crash of the machine leaves them.
func makeFolder(dir string) error {
	missing := 0
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing++
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for above := dir; missing > 0; missing-- {
		above += "/.." // the system's, whatever links are on the way
		if err := syncFolder(above); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) unlockFolder() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// start reads the tables and begins a new range of numbers for large values: none is used twice, even after a crash.
func (s *Server) start() error {
	starts, err := s.countStart()
	if err != nil {
		return err
	}
	s.blobs.Store(starts << 40)
	s.catalog, err = loadCatalog(s.db)
	return err
}

// Close waits for running requests, refuses further ones and closes the data. Closing twice is an error.
func (s *Server) Close() error {
	s.stopControl()
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.closed = true
	s.stopSweeper()
	err := s.db.Close()
	if err == nil && !s.options.Memory {
		if err := markClosed(s.disk, s.options.Dir); err != nil {
			s.log.Warn("the next start cannot tell whether the files are as they are now", "error", err)
		}
	}
	if err := errors.Join(err, s.unlockFolder()); err != nil {
		return fmt.Errorf("close the data: %w", err)
	}
	return nil
}

// AdvanceClock moves the server's clock relative to [Options.Clock].
func (s *Server) AdvanceClock(d time.Duration) {
	s.clockOffset.Add(int64(d))
	s.wakeSweeper()
}

// pebbleLogger keeps the store's chatter on debug level.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l pebbleLogger) Fatalf(format string, args ...any) {
	// Pebble calls this when it cannot go on without risking data, such as after a failed sync of its log, and must not be returned
	// to. A panic would be caught by the HTTP server, which would go on; so the process ends here, as with Pebble's own logger.
	l.log.Error(fmt.Sprintf(format, args...))
	fmt.Fprintf(os.Stderr, "tablestore-local: "+format+"\n", args...)
	os.Exit(1)
}
