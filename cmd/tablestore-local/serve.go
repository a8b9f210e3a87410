package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/version"
)

// The environment variables that stand in for flags, so that a secret need not be seen in the list of processes.
const (
	envAccessKeyID     = "TABLESTORE_LOCAL_ACCESS_KEY_ID"
	envAccessKeySecret = "TABLESTORE_LOCAL_ACCESS_KEY_SECRET" //nolint:gosec // a name, not a secret
)

const (
	readHeaderTimeout = 30 * time.Second
	readTimeout       = 2 * time.Minute
	// writeTimeout begins with the body of a request: a client that does not take its answer is let go.
	writeTimeout = 5 * time.Minute
	idleTimeout  = 10 * time.Minute
	// closeTimeout is how long requests that were cut off may hold the end of the program up.
	closeTimeout = 5 * time.Second
)

type config struct {
	local.Options
	listen        string
	metricsListen string
	secretFile    string
	logFormat     string
	logLevel      slog.Level
	stopTimeout   time.Duration
	version       bool
}

// flags are the flags of the server, with their defaults.
func (c *config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("tablestore-local", flag.ContinueOnError)
	f.StringVar(&c.Dir, "data", "", "the `folder` of the data, created if missing")
	f.BoolVar(&c.Memory, "memory", false, "keep the data in memory instead; it is gone when the program ends")
	f.StringVar(&c.listen, "listen", "127.0.0.1:8087", "the `address` to serve at; port 0 picks a free one")
	f.StringVar(&c.metricsListen, "metrics-listen", "", "the `address` to serve /metrics and /healthz at, to anyone; empty for none")
	f.StringVar(&c.Instance, "instance", "sentry", "the `name` of the instance that clients must ask for")
	f.StringVar(&c.AccessKeyID, "access-key-id", os.Getenv(envAccessKeyID), "the `id` of the key that clients must sign with; also from "+envAccessKeyID)
	f.StringVar(&c.AccessKeySecret, "access-key-secret", "", "the key's `secret`; also from "+envAccessKeySecret)
	f.StringVar(&c.secretFile, "access-key-secret-file", "", "a `file` with the secret instead, such as a systemd credential")
	f.DurationVar(&c.ClockSkew, "clock-skew", 15*time.Minute, "how far the date of a request may be from the clock; negative for any `distance`")
	f.DurationVar(&c.SweepInterval, "sweep-interval", time.Hour, "how often expired data is removed from the disk, as a `duration`; negative for never")
	f.Int64Var(&c.MaxBytes, "max-bytes", 0, "how many `bytes` the data may take on disk before writes are refused; 0 for as many as there are")
	f.DurationVar(&c.stopTimeout, "stop-timeout", 30*time.Second, "how `long` SIGTERM waits for running requests before it cuts them off")
	f.StringVar(&c.logFormat, "log-format", "text", "how the log is written to standard error: text or json, the `format`")
	f.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "the least `level` that is logged: debug (every request), info, warn, error")
	f.BoolVar(&c.Faults, "faults", false, "let tests inject faults (/_faults) and move the clock (/_clock); only with a loopback address")
	f.BoolVar(&c.version, "version", false, "print the version and exit")
	return f
}

func parse(args []string, stderr io.Writer) (*config, error) {
	c := &config{}
	f := c.flags()
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: tablestore-local --data DIR [flags]")
		fmt.Fprintln(stderr, "       tablestore-local backup|restore|health --data DIR ...")
		f.PrintDefaults()
	}
	if err := parseFlags(f, args); err != nil {
		return nil, err
	}
	if c.version {
		return c, nil
	}
	if err := c.readSecret(); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	case c.Memory == (c.Dir != ""):
		return nil, usageError{errors.New("give either --data or --memory")}
	case c.Instance == "":
		return nil, usageError{errors.New("--instance must not be empty")}
	case c.AccessKeyID == "":
		return nil, usageError{errors.New("--access-key-id or " + envAccessKeyID + " must be given")}
	case c.AccessKeySecret == "":
		return nil, usageError{errors.New("--access-key-secret or " + envAccessKeySecret + " must be given")}
	case c.ClockSkew == 0:
		return nil, usageError{errors.New("--clock-skew must not be 0; give a negative one for any distance")}
	case c.SweepInterval == 0:
		return nil, usageError{errors.New("--sweep-interval must not be 0")}
	case c.MaxBytes < 0:
		return nil, usageError{errors.New("--max-bytes must not be negative")}
	case c.stopTimeout < 0:
		return nil, usageError{errors.New("--stop-timeout must not be negative")}
	case c.logFormat != "text" && c.logFormat != "json":
		return nil, usageError{fmt.Errorf("--log-format is text or json, not %q", c.logFormat)}
	case c.Faults && !loopback(c.listen):
		return nil, usageError{fmt.Errorf("--faults needs a loopback address to listen at, %s is none", c.listen)}
	}
	return c, nil
}

// readSecret gets the secret from where it is, if not from its flag.
func (c *config) readSecret() error {
	switch {
	case c.secretFile != "" && c.AccessKeySecret != "":
		return usageError{errors.New("give either --access-key-secret or --access-key-secret-file")}
	case c.secretFile != "":
		data, err := os.ReadFile(c.secretFile)
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		for len(data) > 0 && (data[len(data)-1] == '\n' || data[len(data)-1] == '\r') {
			data = data[:len(data)-1]
		}
		if len(data) == 0 {
			return fmt.Errorf("read the secret: %s is empty", c.secretFile)
		}
		c.AccessKeySecret = string(data)
	case c.AccessKeySecret == "":
		c.AccessKeySecret = os.Getenv(envAccessKeySecret)
	}
	return nil
}

// loopback reports whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *config) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// serve runs the server until the context ends, and stops it then.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if c.version {
		fmt.Fprintln(stdout, "tablestore-local", version.String())
		return nil
	}
	log := c.logger(stderr)
	c.Logger = log
	server, err := local.Open(c.Options)
	if err != nil {
		return err
	}
	p := &program{config: c, server: server, log: log, served: make(chan error, 2)}
	if err := p.listen(stdout); err != nil {
		return errors.Join(err, p.close())
	}
	log.Info("serving", "version", version.String(), "instance", c.Instance, "data", c.Dir, "address", p.address)
	if err := notify("READY=1"); err != nil {
		log.Warn("systemd", "error", err)
	}
	select {
	case err := <-p.served:
		return errors.Join(fmt.Errorf("serve: %w", err), p.close())
	case <-ctx.Done():
	}
	return p.stop()
}

// program is a running server with its listeners.
type program struct {
	*config
	server  *local.Server
	log     *slog.Logger
	address net.Addr
	api     *http.Server
	metrics *http.Server // nil for none
	served  chan error   // what ended a listener
}

func (p *program) listen(stdout io.Writer) error {
	listener, err := net.Listen("tcp", p.config.listen)
	if err != nil {
		return err
	}
	p.address = listener.Addr()
	ready := fmt.Sprintf("tablestore-local: serving instance %s at http://%s\n", p.Instance, p.address)
	p.api = p.httpServer(p.server)
	if p.metricsListen != "" {
		metricsListener, err := net.Listen("tcp", p.metricsListen)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		ready += fmt.Sprintf("tablestore-local: metrics at http://%s/metrics\n", metricsListener.Addr())
		p.metrics = p.httpServer(p.metricsHandler())
		go func() { p.served <- p.metrics.Serve(metricsListener) }()
	}
	go func() { p.served <- p.api.Serve(listener) }()
	fmt.Fprint(stdout, ready)
	return nil
}

func (p *program) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
}

func (p *program) metricsHandler() http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p.server.Collector(), collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelError)}))
	mux.Handle("GET /healthz", p.server.HealthHandler())
	return mux
}

// stop ends the server: from now on /healthz says 503 and new requests are answered with OTSPartitionUnavailable; those that run get
// stopTimeout to end. What is cut off then was never acknowledged.
func (p *program) stop() error {
	begin := time.Now()
	p.log.Info("stopping", "timeout", p.stopTimeout)
	if err := notify("STOPPING=1"); err != nil {
		p.log.Warn("systemd", "error", err)
	}
	wait, cancel := context.WithTimeout(context.Background(), p.stopTimeout)
	defer cancel()
	left := p.server.Drain(wait)
	// Nothing runs any more but what is on its way to a client.
	if err := p.api.Shutdown(wait); err != nil || left > 0 {
		p.log.Warn("requests did not end in time and were cut off", "requests", left)
		_ = p.api.Close()
	}
	err := p.close()
	p.log.Info("stopped", "duration", time.Since(begin))
	return err
}

// close closes the data and what still listens.
func (p *program) close() error {
	if p.api != nil {
		_ = p.api.Close()
	}
	if p.metrics != nil {
		_ = p.metrics.Close()
	}
	closed := make(chan error, 1)
	go func() { closed <- p.server.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeTimeout):
		// A request hangs, in a disk that does not answer perhaps. What was acknowledged is safe without closing.
		p.log.Warn("the data was not closed, because a request still uses it")
		return nil
	}
}
