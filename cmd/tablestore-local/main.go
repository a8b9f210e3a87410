// Command tablestore-local serves Tablestore on one machine, from one folder.
//
//	tablestore-local --data DIR --listen 127.0.0.1:8087 --instance sentry --access-key-id ID --access-key-secret SECRET
//	tablestore-local backup --data DIR TARGET
//	tablestore-local restore --data DIR BACKUP
//	tablestore-local health --data DIR
//
// When it is ready it prints one line with its address. SIGTERM or SIGINT ends it after the running requests, a second one at once.
// docs/tablestore-local.md is its manual.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// The signals are caught before the server starts, so that none in between kills it with data open.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-signals
		stop()
		second := <-signals // it has its usual effect, however soon it comes
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), second.(syscall.Signal))
	}()
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

// run carries a command line out; without the name of a command it serves.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "backup":
			return backup(ctx, args[1:], stdout, stderr)
		case "restore":
			return restore(ctx, args[1:], stdout, stderr)
		case "health":
			return health(ctx, args[1:], stdout, stderr)
		}
	}
	return serve(ctx, args, stdout, stderr)
}

// parseFlags reads the flags of a command.
func parseFlags(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	return nil
}
