package flow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/snapshot"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// moved saves s and reads it into a new shard.
func moved(t testing.TB, s *Shard, cfg Config, ps []protocol.Protocol, emit func(testudo.Time, testudo.Record)) *Shard {
	t.Helper()
	plan, err := snapshot.New().Of(s.Saved())
	if err != nil {
		t.Fatal(err)
	}
	b, err := plan.Append(nil, s.Saved())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Secret++ // another run has another one
	n := New(cfg, ps, emit)
	if err := plan.Read(b, n.Saved()); err != nil {
		t.Fatal(err)
	}
	if again, err := plan.Append(nil, n.Saved()); err != nil || ps == nil && !bytes.Equal(b, again) {
		t.Fatalf("saved again it is %d bytes, not %d, or others: %v", len(again), len(b), err)
	}
	return n
}

// decoded sets what the decoder sets.
func decoded(ps []packet.Packet) []packet.Packet {
	for i := range ps {
		ps[i].Hash = packet.PairHash(ps[i].Src, ps[i].Dst)
	}
	return ps
}

// TestMoved holds that a shard that is saved and read back now and then
// reports what one shard reports, conns shed for want of room included.
func TestMoved(t *testing.T) {
	for seed := range uint64(5) {
		for _, cfg := range []Config{{}, tiny} {
			ps := decoded(traffic(rand.New(rand.NewPCG(seed, 9)), 3000))
			var outs [2][]string
			var stats [2]Stats
			for way := range outs {
				emit := func(at testudo.Time, r testudo.Record) { outs[way] = append(outs[way], fmt.Sprintf("%d %+v", at, r)) }
				s := New(cfg, nil, emit)
				for i := range ps {
					if way == 1 && i%97 == 0 {
						s = moved(t, s, cfg, nil, emit)
					}
					s.Packet(&ps[i])
				}
				s.Flush(ps[len(ps)-1].Clock.Add(time.Minute))
				check(t, s)
				slices.Sort(outs[way])
				stats[way] = s.Stats()
			}
			if !slices.Equal(outs[0], outs[1]) || stats[0] != stats[1] {
				t.Fatalf("seed %d: %d records and %d, first other one %s\n%+v\n%+v", seed, len(outs[0]), len(outs[1]), other(outs[0], outs[1]), stats[0], stats[1])
			}
		}
	}
}

func other(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\n" + b[i]
		}
	}
	return "none"
}

// TestMovedStreams holds that streams are whole after a move too: nothing is
// left over at the end, no budget is passed, and no conn is lost.
func TestMovedStreams(t *testing.T) {
	for seed := range uint64(5) {
		for _, cfg := range []Config{{}, tiny} {
			ps := decoded(traffic(rand.New(rand.NewPCG(seed, 5)), 3000))
			var log strings.Builder
			emit := func(testudo.Time, testudo.Record) {}
			s := New(cfg, testProtocols(&log), emit)
			for i := range ps {
				if i%53 == 0 {
					s = moved(t, s, cfg, testProtocols(&log), emit)
				}
				s.Packet(&ps[i])
				if st := s.Stats(); cfg.Conns > 0 && (st.Live > int64(cfg.Conns) || st.StreamHeld > int64(cfg.StreamBytes)) {
					t.Fatalf("over budget: %+v", st)
				}
			}
			s.Flush(ps[len(ps)-1].Clock.Add(time.Minute))
			check(t, s)
		}
	}
}

// TestMovedToLess holds that a run with less room takes what it has room for.
func TestMovedToLess(t *testing.T) {
	ps := decoded(traffic(rand.New(rand.NewPCG(2, 9)), 3000))
	emit := func(testudo.Time, testudo.Record) {}
	s := New(Config{}, nil, emit)
	for i := range ps {
		s.Packet(&ps[i])
	}
	had := s.Stats()
	less := Config{Conns: int(had.Live) / 2}
	plan, err := snapshot.New().Of(s.Saved())
	if err != nil {
		t.Fatal(err)
	}
	b, err := plan.Append(nil, s.Saved())
	if err != nil {
		t.Fatal(err)
	}
	n := New(less, nil, emit)
	if err := plan.Read(b, n.Saved()); err != nil {
		t.Fatal(err)
	}
	got := n.Stats()
	if lost := had.Live - int64(less.Conns); lost == 0 || got.Live != int64(less.Conns) || got.ShedIdle != had.ShedIdle+lost {
		t.Errorf("%+v\nof\n%+v\nwith room for %d", got, had, less.Conns)
	}
	n.Flush(ps[len(ps)-1].Clock.Add(time.Minute))
	if left := n.conns.live + n.talks.live + n.gaps.live + n.rares.live + n.table.used; left != 0 {
		t.Errorf("%d left over", left)
	}
}

// TestProbedOn holds that a conversation whose first words lie on both sides
// of a restart is known all the same.
func TestProbedOn(t *testing.T) {
	var log strings.Builder
	tr := &trace{}
	ps := testProtocols(&log)
	s := New(Config{}, ps, tr.emit)
	for i, g := range []seg{{d: 0, fl: S}, {d: 1, fl: S | A}, {d: 0, fl: A}, {d: 0, fl: A, seq: 1, data: "GE"}, {d: 0, fl: A, seq: 3, data: "T it"}} {
		p := g.packet()
		p.Clock = t0.Add(time.Duration(i) * time.Millisecond)
		p.Time, p.Hash = p.Clock, packet.PairHash(p.Src, p.Dst)
		s.Packet(&p)
		s = moved(t, s, Config{}, ps, tr.emit)
	}
	s.Flush(t0.Add(time.Second))
	if n := len(tr.conns); s.Stats().Claimed != 1 || n != 1 || tr.conns[0].Service != "e" {
		t.Errorf("claimed %d, told %d: %s", s.Stats().Claimed, n, log.String())
	}
}

// TestNothingForgotten holds that whoever gives a Shard a field decides
// whether a restart may lose it.
func TestNothingForgotten(t *testing.T) {
	decided := strings.Fields(`
		now stats conns lists weirdSec weirdN expects meter (saved)
		cfg emit dispatch                                  (given to New)
		table wheel                                        (made from the conns)
		talks gaps rares services streams                  (what conns have by number, saved with them)
		mem connSlab reused arpSlab weirdSlab              (spare memory, and the bytes of streams)
		strings batch sink                                 (nothing depends on them)`)
	for f := range reflect.TypeFor[Shard]().Fields() {
		if !slices.Contains(decided, f.Name) {
			t.Errorf("%s: save it in save.go, or say here why not", f.Name)
		}
	}
}

// FuzzSaved reads any bytes as a shard, which then takes packets.
func FuzzSaved(f *testing.F) {
	var log strings.Builder
	nobody := func(testudo.Time, testudo.Record) {}
	s := New(tiny, testProtocols(&log), nobody)
	ps := decoded(traffic(rand.New(rand.NewPCG(3, 3)), 300))
	for i := range ps {
		s.Packet(&ps[i])
	}
	plan, err := snapshot.New().Of(s.Saved())
	if err != nil {
		f.Fatal(err)
	}
	b, err := plan.Append(nil, s.Saved())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New(tiny, testProtocols(&log), nobody)
		if plan.Read(b, s.Saved()) != nil {
			return
		}
		for i := range ps[:100] {
			s.Packet(&ps[i])
		}
		s.Flush(ps[99].Clock)
		log.Reset()
	})
}
