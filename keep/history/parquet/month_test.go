package parquet

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/historytest"
)

var (
	long     = flag.Bool("long", false, "run the tests that take many minutes")
	monthDir = flag.String("month", "", "folder of a month that is kept from run to run")
	hours    = flag.Int("hours", 720, "hours of the month to write")
)

// TestMonth writes the month of a network of 1,000 hosts, hour by hour as a
// sensor would, and holds the answers to their budgets.
func TestMonth(t *testing.T) {
	if !*long {
		t.Skip("SKIPPED: -long is not given: a month of 30 million conns was not written")
	}
	dir := *monthDir
	if dir == "" {
		dir = t.TempDir()
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := historytest.NewMonth(1000, 30_100_000)
	writeMonth(t, s, m)
	conns, all := sizes(t, s)
	t.Logf("%d conns take %.2f bytes each; everything takes %d MB", conns.rows(), float64(conns.Size)/float64(conns.rows()), all>>20)
	if float64(conns.Size) > 30*float64(conns.rows()) {
		t.Errorf("a conn takes more than 30 bytes")
	}
	few := []netip.Addr{m.Place(54_321)}
	ask(t, s, "one rare address", 2*time.Second, testudo.Query{Values: &testudo.Values{Addresses: few}})
	ask(t, s, "one absent address", 2*time.Second, testudo.Query{Values: &testudo.Values{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}})
	ask(t, s, "one rare name", 2*time.Second, testudo.Query{Values: &testudo.Values{Names: []string{"site54321.example"}}})
	ask(t, s, "the best known address", 60*time.Second, testudo.Query{Values: &testudo.Values{Addresses: []netip.Addr{m.Place(0)}}})
	many := &testudo.Values{}
	for i := range 40_000 {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%200 == 0 {
			a = m.Place(30_000 + i/2)
		}
		many.Addresses = append(many.Addresses, a)
	}
	for i := range 10_000 {
		many.Names = append(many.Names, fmt.Sprintf("site%d.bad.example", i))
	}
	many.Names[7] = "site44444.example"
	ask(t, s, "50,000 indicators", time.Minute, testudo.Query{Values: many})
}

// writeMonth writes the files of the hours that are not there yet, as Maintain
// does, by two at a time.
func writeMonth(t *testing.T, s *Store, m *historytest.Month) {
	began := time.Now()
	next := make(chan int)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for h := range next {
				if err := writeHour(s, m, h); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for h := range *hours {
		if s.parts[fmt.Sprintf("month-%d", h)] == nil {
			next <- h
		}
	}
	close(next)
	all.Wait()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("written in %s, heap %d MB at most", time.Since(began).Round(time.Second), mem.HeapSys>>20)
}

func writeHour(s *Store, m *historytest.Month, h int) error {
	batches := map[place]*batch{}
	at := int64(historytest.MonthStart.Add(time.Duration(h+1) * time.Hour))
	for _, r := range m.Hour(h) {
		k := place{log: r.Log(), hour: hourOf(r.Base().Time)}
		if batches[k] == nil {
			batches[k] = &batch{layout: history.LayoutOf(r.Log()), minAt: at, maxAt: at}
		}
		batches[k].records = append(batches[k].records, r)
	}
	w := &work{Store: s, ctx: context.Background(), report: &history.Report{}}
	files, err := w.write(batches)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit(change{Add: files, Parts: map[string]parts{fmt.Sprintf("month-%d", h): {Ranges: [][2]int64{{0, 0}}, At: at}}})
}

// sizes sums up the files of conns, and the bytes of all.
func sizes(t *testing.T, s *Store) (conns file, all int64) {
	for _, f := range s.list() {
		info, err := os.Stat(filepath.Join(s.dir, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		all += info.Size()
		if f.Log == "conn" {
			conns.Size += info.Size()
			conns.Groups = append(conns.Groups, f.Groups...)
		}
	}
	return conns, all
}

// ask checks how long an answer takes.
func ask(t *testing.T, s *Store, what string, budget time.Duration, q testudo.Query) {
	runtime.GC()
	began := time.Now()
	answer, err := s.Scan(context.Background(), q, func(testudo.Record) bool { return true }, nil)
	took := time.Since(began)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%s: %d found in %s; %d of %d files, %d MB read, heap %d MB", what, answer.Found, took.Round(time.Millisecond),
		answer.Files, answer.Files+answer.FilesSkipped, answer.Bytes>>20, mem.HeapSys>>20)
	if err != nil || len(answer.Damaged) > 0 {
		t.Errorf("%s: %v %v", what, err, answer.Damaged)
	}
	if took > budget {
		t.Errorf("%s took %s, more than %s", what, took, budget)
	}
}
