package call

import (
	"runtime/metrics"
	"testing"
	"time"
)

func released() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

var garbage [][]byte

func TestIdleProcessGivesMemoryBack(t *testing.T) {
	ticks, over := make(chan time.Time), make(chan struct{})
	go func() { GiveBackWhenIdle(ticks); close(over) }()
	const size = 32 << 20
	for range size / 4096 {
		garbage = append(garbage, make([]byte, 4096))
	}
	garbage = nil
	begin := released()
	ticks <- time.Time{} // it was busy
	ticks <- time.Time{} // it was idle
	ticks <- time.Time{} // taken when the one before is done with
	after := released()
	if after < begin+size/2 {
		t.Errorf("%d bytes were given back of %d", after-begin, size)
	}
	close(ticks)
	<-over
}
