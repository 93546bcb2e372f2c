package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryLimit is when the garbage collector stops waiting for the heap to
// double: a run whose tables are not full stays below half a gigabyte.
// GOMEMLIMIT overrules it.
const memoryLimit = 456 << 20

// boundMemory keeps the limit, and lifts it where what is alive, which the
// budgets bound, comes so near to it that the collector would have no rest:
// it may always let a quarter of that be garbage.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(memoryLimit)
	go func() {
		limit := int64(memoryLimit)
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for range time.Tick(250 * time.Millisecond) {
			metrics.Read(live)
			alive := int64(live[0].Value.Uint64())
			if want := max(memoryLimit, alive+alive/4+beside); want > limit+limit/32 || want < limit-limit/8 {
				limit = want
				debug.SetMemoryLimit(limit)
			}
		}
	}()
}

// beside is what the limit counts and is no heap: stacks, the runtime's own.
const beside = 24 << 20
