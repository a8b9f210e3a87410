// Command tablestore-local serves Tablestore on one machine, from one folder.
//
//	tablestore-local --data DIR --listen 127.0.0.1:8087 --instance sentry --access-key-id ID --access-key-secret SECRET
//
// When it is ready it prints one line with its address. SIGTERM or SIGINT ends it after the running requests.
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
	"os/signal"
	"syscall"
	"time"

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
	idleTimeout       = 10 * time.Minute
	shutdownTimeout   = 30 * time.Second
)

func main() {
	// The signals are caught before the server starts, so that none in between kills it with data open.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "tablestore-local:", err)
		if errors.As(err, new(usageError)) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// usageError is a mistake in the command line; it ends the program with status 2, where all else ends it with 1.
type usageError struct{ error }

type config struct {
	local.Options
	listen  string
	version bool
	verbose bool
}

func parse(args []string, stderr io.Writer) (*config, error) {
	c := &config{}
	f := flag.NewFlagSet("tablestore-local", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.Dir, "data", "", "the `folder` of the data, created if missing")
	f.BoolVar(&c.Memory, "memory", false, "keep the data in memory instead; it is gone when the program ends")
	f.StringVar(&c.listen, "listen", "127.0.0.1:8087", "the `address` to serve at; port 0 picks a free one")
	f.StringVar(&c.Instance, "instance", "sentry", "the `name` of the instance that clients must ask for")
	f.StringVar(&c.AccessKeyID, "access-key-id", os.Getenv(envAccessKeyID), "the `id` of the key that clients must sign with; also from "+envAccessKeyID)
	f.StringVar(&c.AccessKeySecret, "access-key-secret", "", "the key's `secret`; also from "+envAccessKeySecret)
	f.DurationVar(&c.ClockSkew, "clock-skew", 15*time.Minute, "how far the date of a request may be from the clock; negative for any `distance`")
	f.DurationVar(&c.SweepInterval, "sweep-interval", time.Hour, "how often expired data is removed from the disk, as a `duration`; negative for never")
	f.Int64Var(&c.MaxBytes, "max-bytes", 0, "how many `bytes` the data may take on disk before writes are refused; 0 for as many as there are")
	f.BoolVar(&c.Faults, "faults", false, "let tests inject faults (/_faults) and move the clock (/_clock); only with a loopback address")
	f.BoolVar(&c.verbose, "verbose", false, "log every request")
	f.BoolVar(&c.version, "version", false, "print the version and exit")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, usageError{err}
	}
	if c.AccessKeySecret == "" {
		c.AccessKeySecret = os.Getenv(envAccessKeySecret)
	}
	switch {
	case c.version:
		return c, nil
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
	case c.SweepInterval == 0:
		return nil, usageError{errors.New("--sweep-interval must not be 0")}
	case c.MaxBytes < 0:
		return nil, usageError{errors.New("--max-bytes must not be negative")}
	case c.Faults && !loopback(c.listen):
		return nil, usageError{fmt.Errorf("--faults needs a loopback address to listen at, %s is none", c.listen)}
	}
	return c, nil
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

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if c.version {
		fmt.Fprintln(stdout, "tablestore-local", version.String())
		return nil
	}
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelDebug
	}
	c.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	server, err := local.Open(c.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	h := &http.Server{
		Handler: server, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	fmt.Fprintf(stdout, "tablestore-local: serving instance %s at http://%s\n", c.Instance, listener.Addr())

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := h.Shutdown(wait); err != nil {
		return errors.Join(fmt.Errorf("some requests did not end within %s: %w", shutdownTimeout, err), h.Close())
	}
	return nil
}
