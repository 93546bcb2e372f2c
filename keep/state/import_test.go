package state

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

var long = flag.Bool("long", false, "run the long forms")

const t0 = testudo.Time(1_700_000_000_000_000_000)

func openTest(t testing.TB, dir string) *State {
	t.Helper()
	s, err := Open(dir, t0, "0.0-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// million is n indicators of a generated list, in no order.
func million(n int) []testudo.Indicator {
	list := make([]testudo.Indicator, n)
	for i := range list {
		x := uint32(i) * 2654435761
		list[i] = testudo.Indicator{Confidence: -1, Last: t0, Note: "seen by the trap"}
		switch i % 3 {
		case 0:
			list[i].Type, list[i].Value = testudo.AddressIndicator, fmt.Sprintf("%d.%d.%d.%d", 1+x>>24&127, x>>16&255, x>>8&255, x&255)
		case 1:
			list[i].Type, list[i].Value = testudo.DomainIndicator, fmt.Sprintf("a%08x.list%d.example", x, i%97)
		default:
			list[i].Type, list[i].Value = testudo.URLIndicator, fmt.Sprintf("h%06x.example/path/%d", x>>8, i)
		}
	}
	return list
}

// TestImportFast measures 1.8 million lines, the gate's figure, in the long
// form.
func TestImportFast(t *testing.T) {
	n := 18_000
	if *long {
		n = 1_800_000
	}
	list := million(n)
	s := openTest(t, t.TempDir())
	began := time.Now()
	got, err := s.Import(context.Background(), t0, Source{Name: "traps"}, true, list)
	if err != nil || got.Taken+got.Twice != n {
		t.Fatal(got, err)
	}
	imported := time.Since(began)
	read := 0
	for _, err := range s.Indicators(context.Background(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	all := time.Since(began)
	if read != got.Taken {
		t.Errorf("read %d of %d", read, got.Taken)
	}
	began = time.Now()
	again, err := s.Import(context.Background(), t0+1, Source{Name: "traps"}, true, list)
	if err != nil || again.Unchanged != read || again.Taken+again.Merged+again.Gone != 0 {
		t.Error(again, err)
	}
	t.Logf("%d lines: imported in %v, read in %v, the same again in %v", n, imported, all-imported, time.Since(began))
	if all > 20*time.Second {
		t.Errorf("import and read took %v", all)
	}
}
