package main

import (
	"slices"
	"testing"

	"github.com/testudo-shield/testudo/test/wire"
)

// TestSelftest holds that each detector fires on the exercise with any number
// of workers, that an attack that was not planted is not told, and that the
// same bytes come every time.
func TestSelftest(t *testing.T) {
	for _, workers := range []int{1, 4} {
		c := defaultConfig()
		c.Workers = workers
		out, err := selftest(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range out.tried {
			if !x.Fired {
				t.Errorf("%d workers: %s is silent: %s; a detector has its attack in selftest_exercise.go", workers, x.Detector, x.What)
			}
		}
		if len(out.accused) > 0 {
			t.Errorf("%d workers: accused: %q", workers, out.accused)
		}
	}
	if a, b := newExercise(plantedAttacks()), newExercise(plantedAttacks()); !slices.Equal(a.Pcap(), b.Pcap()) {
		t.Error("two exercises differ")
	}
	if calm := newExercise(nil); calm.Len() == 0 || !slices.Equal(calm.Pcap()[:24], wire.PcapHeader(1)) {
		t.Error("the office is empty")
	}
}
