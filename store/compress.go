package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Bits of the column flags. The first two are those of sentry-tablestore 1.0.
const (
	flagZlib  = 1
	flagZstd  = 2
	flagSplit = 4

	flagsKnown = flagZlib | flagZstd | flagSplit
)

// compressionFlag is the flag of the option compression.
func compressionFlag(name string) (int64, error) {
	switch name {
	case "":
		return 0, nil
	case "zlib":
		return flagZlib, nil
	case "zstd":
		return flagZstd, nil
	}
	return 0, fmt.Errorf("compression %q is none of \"\", \"zlib\", \"zstd\"", name)
}

// Encoders and decoders are not shared: one of concurrency 1 for each call that works at the moment is faster than one that
// hands its parts to many.
var (
	zstdEncoders = newShelf(func() *zstd.Encoder {
		encoder, err := zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(true),
			// Whole events but for the very largest. An encoder that has once seen more than a block keeps two windows from then
			// on, which is 16 MB with the usual one of 8 MB.
			zstd.WithWindowSize(1<<20),
			zstd.WithLowerEncoderMem(true),
			// An empty value is a frame too, or a reader could not tell it from a lost one.
			zstd.WithZeroFrames(true),
			// Makes every frame carry its content size, which Python's zstandard wants.
			zstd.WithSingleSegment(true))
		if err != nil {
			panic(err) // only a wrong option does that
		}
		return encoder
	})
	zstdDecoders = newShelf(func() *zstd.Decoder {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxValueSize))
		if err != nil {
			panic(err) // only a wrong option does that
		}
		return decoder
	})
	zlibWriters = newShelf(func() *zlib.Writer { return zlib.NewWriter(nil) })
	zlibReaders sync.Pool
)

// compress appends the compressed value to buffer. Without a flag it is the value itself that is returned.
func compress(buffer, value []byte, flag int64) ([]byte, error) {
	switch flag {
	case flagZlib:
		out := bytes.NewBuffer(buffer)
		var err error
		zlibWriters.with(func(writer *zlib.Writer) {
			writer.Reset(out)
			if _, err = writer.Write(value); err == nil {
				err = writer.Close()
			}
		})
		return out.Bytes(), err
	case flagZstd:
		zstdEncoders.with(func(encoder *zstd.Encoder) { buffer = encoder.EncodeAll(value, buffer) })
		return buffer, nil
	}
	return value, nil
}

const (
	// maxDecompressedAtOnce bounds what a caller's thread decompresses before it can look after its signals.
	maxDecompressedAtOnce = 16 << 20
	// maxDeflated is how many bytes one byte of a zlib stream can stand for; the stream does not tell its value's size.
	maxDeflated = 1032
)

// decompressesAtOnce reports whether the value has no more than maxDecompressedAtOnce bytes, as far as can be seen.
func decompressesAtOnce(data []byte, flags int64) bool {
	switch flags & (flagZlib | flagZstd) {
	case flagZlib:
		return len(data) <= maxDecompressedAtOnce/maxDeflated
	case flagZstd:
		var frame zstd.Header
		return frame.Decode(data) == nil && frame.HasFCS && frame.FrameContentSize <= maxDecompressedAtOnce
	}
	return true
}

var errTooLargeRaw = fmt.Errorf("it decompresses to more than the limit of %d bytes", MaxValueSize)

// decompress undoes compress and refuses what would exceed MaxValueSize.
func decompress(data []byte, flags int64) ([]byte, error) {
	switch flags & (flagZlib | flagZstd) {
	case flagZlib:
		value, err := inflate(data)
		if err != nil {
			return nil, fmt.Errorf("its zlib stream is damaged: %w", err)
		}
		return value, nil
	case flagZstd:
		var value []byte
		var err error
		zstdDecoders.with(func(decoder *zstd.Decoder) { value, err = decoder.DecodeAll(data, nil) })
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			return nil, errTooLargeRaw
		}
		if err != nil {
			return nil, fmt.Errorf("its zstd frame is damaged: %w", err)
		}
		if len(data) == 0 {
			return nil, errors.New("its zstd frame is missing")
		}
		return value, nil
	case flagZlib | flagZstd:
		return nil, errors.New("its flags name two compressions")
	}
	return data, nil
}

func inflate(data []byte) ([]byte, error) {
	// Event JSON shrinks to a quarter or so: this grows at most once or twice.
	return inflateInto(make([]byte, 0, min(5*len(data), MaxValueSize)+bytes.MinRead), data)
}

// inflateInto does so into a buffer, where that is large enough.
func inflateInto(buffer, data []byte) ([]byte, error) {
	source := bytes.NewReader(data)
	reader, _ := zlibReaders.Get().(io.ReadCloser)
	if reader == nil {
		var err error
		if reader, err = zlib.NewReader(source); err != nil {
			return nil, err
		}
	} else if err := reader.(zlib.Resetter).Reset(source, nil); err != nil {
		return nil, err
	}
	defer zlibReaders.Put(reader)
	out := bytes.NewBuffer(buffer[:0])
	if _, err := out.ReadFrom(io.LimitReader(reader, MaxValueSize+1)); err != nil {
		return nil, err
	}
	if out.Len() > MaxValueSize {
		return nil, errTooLargeRaw
	}
	if source.Len() > 0 {
		return nil, fmt.Errorf("%d bytes follow it", source.Len())
	}
	return out.Bytes(), nil
}
