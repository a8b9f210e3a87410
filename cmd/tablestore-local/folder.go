package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

// The commands on a data folder, whether a server runs on it or not.

// folderCommand reads the command line of one: --data and, if it has a name, one argument.
func folderCommand(command, argument string, args []string, stderr io.Writer) (dir, value string, err error) {
	f := flag.NewFlagSet("tablestore-local "+command, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: tablestore-local %s --data DIR %s\n", command, argument)
		f.PrintDefaults()
	}
	f.StringVar(&dir, "data", "", "the `folder` of the data")
	if err := parseFlags(f, args); err != nil {
		return "", "", err
	}
	switch {
	case dir == "":
		return "", "", usageError{errors.New("--data must be given")}
	case argument == "" && f.NArg() > 0:
		return "", "", usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	case argument != "" && f.NArg() != 1:
		return "", "", usageError{fmt.Errorf("give one %s after the flags", argument)}
	}
	return dir, f.Arg(0), nil
}

func backup(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	dir, target, err := folderCommand("backup", "TARGET", args, stderr)
	if err != nil {
		return err
	}
	info, err := local.Backup(ctx, dir, target)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "tablestore-local: backed %s up to %s: %d tables, %d rows, %d bytes, as of %s\n",
		dir, target, info.Tables, info.Rows, info.Bytes, info.Created.Format(time.RFC3339))
	return nil
}

func restore(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	dir, from, err := folderCommand("restore", "BACKUP", args, stderr)
	if err != nil {
		return err
	}
	info, err := local.Restore(ctx, from, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "tablestore-local: restored %s into %s: %d tables, %d rows, %d bytes, as of %s\n",
		from, dir, info.Tables, info.Rows, info.Bytes, info.Created.Format(time.RFC3339))
	return nil
}

func health(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	dir, _, err := folderCommand("health", "", args, stderr)
	if err != nil {
		return err
	}
	if err := local.CheckHealth(ctx, dir); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "ok")
	return nil
}
