//go:build !unix

package shield

import "time"

// peakRSS is not known here.
func peakRSS() int64 { return 0 }

// processorTime is not known here.
func processorTime() time.Duration { return 0 }

// offHeap returns n bytes; here they count for the garbage collector.
func offHeap(n int) ([]byte, error) { return make([]byte, n), nil }
