// Command klauspost compresses events at the levels of the engine's zstd, with and without dictionaries, and tells sizes and times.
//
//	klauspost EVENTS [DICTIONARY...]
//
// EVENTS has an event a line. The answer is JSON, a line for each level and dictionary.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
)

// result is what libzstd.py answers too.
type result struct {
	Level      string  `json:"level"`
	Dictionary string  `json:"dictionary"` // name of the file, "" for none
	Sizes      []int   `json:"sizes"`
	Compress   float64 `json:"compress"`   // µs of CPU an event
	Decompress float64 `json:"decompress"` // µs of CPU an event
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "klauspost:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	events := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	answers := json.NewEncoder(os.Stdout)
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		for _, file := range append([]string{""}, args[1:]...) {
			r, err := measure(events, level, file)
			if err != nil {
				return fmt.Errorf("level %s, dictionary %q: %w", level, filepath.Base(file), err)
			}
			if err := answers.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func measure(events [][]byte, level zstd.EncoderLevel, file string) (*result, error) {
	r := &result{Level: level.String()}
	// As in store/compress.go.
	encoding := []zstd.EOption{zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true)}
	decoding := []zstd.DOption{zstd.WithDecoderConcurrency(1)}
	if file != "" {
		r.Dictionary = filepath.Base(file)
		dictionary, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		encoding, decoding = append(encoding, zstd.WithEncoderDict(dictionary)), append(decoding, zstd.WithDecoderDicts(dictionary))
	}
	encoder, err := zstd.NewWriter(nil, encoding...)
	if err != nil {
		return nil, err
	}
	defer encoder.Close()
	decoder, err := zstd.NewReader(nil, decoding...)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	frames := make([][]byte, len(events))
	for range 2 { // the second round counts
		r.Sizes = r.Sizes[:0]
		begin := cpu()
		for i, event := range events {
			frames[i] = encoder.EncodeAll(event, frames[i][:0])
			r.Sizes = append(r.Sizes, len(frames[i]))
		}
		r.Compress = each(begin, events)
		begin = cpu()
		var out []byte
		for i, frame := range frames {
			if out, err = decoder.DecodeAll(frame, out[:0]); err != nil {
				return nil, err
			}
			if !bytes.Equal(out, events[i]) {
				return nil, fmt.Errorf("event %d came back changed", i)
			}
		}
		r.Decompress = each(begin, events)
	}
	return r, nil
}

func each(begin time.Duration, events [][]byte) float64 {
	return float64((cpu() - begin).Nanoseconds()) / 1000 / float64(len(events))
}

// cpu is the time that this process has had a core.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only a wrong argument does that
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
