package shield

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
	"github.com/testudo-shield/testudo/tell/inquiry"
)

// Hunt looks for the records that answer q in all that is remembered and
// fills in h, whose Question and Limit are set. When ctx ends, h holds what
// was found until then and says so; that is no error.
func (m *Memory) Hunt(ctx context.Context, h *inquiry.Hunt, q testudo.Query, progress func(history.Progress)) (history.Scanned, error) {
	h.NameOf = m.nameOf(h)
	var reached testudo.Time
	got, err := m.History.Scan(ctx, q, func(r testudo.Record) bool {
		h.Add(r)
		return true
	}, func(p history.Progress) {
		reached = p.Hour.Add(time.Hour)
		if progress != nil {
			progress(p)
		}
	})
	if err != nil && ctx.Err() != nil {
		h.Stopped, h.Reached, err = true, reached, nil
	}
	if err != nil {
		return got, err
	}
	if h.Stopped && reached != 0 && (q.To == 0 || reached < q.To) {
		q.To = reached // nothing is said of what was not looked at
	}
	h.Coverage, err = m.Coverage(q.From, q.To)
	return got, err
}

// nameOf says what a machine of ours was called when a hunt last saw it.
func (m *Memory) nameOf(h *inquiry.Hunt) func(netip.Addr) string {
	return func(a netip.Addr) string {
		held, err := m.State.HeldBy(a, h.Last)
		if err != nil || len(held) == 0 {
			return ""
		}
		return held[0].Name
	}
}

// replaySensor is the sensor by whose name replays are told in coverage.
const replaySensor = "replay"

// Coverage says how much of a time was recorded and is still kept. An open
// beginning is when recording began; an open end is when it ended, or now where
// something is watched live.
func (m *Memory) Coverage(from, to testudo.Time) (testudo.Coverage, error) {
	stored, err := m.State.Heartbeats(0, 1<<63-1)
	if err != nil {
		return testudo.Coverage{}, err
	}
	beats := make([]testudo.Heartbeat, 0, len(stored))
	first, last := testudo.Time(0), testudo.Time(0)
	live := false
	for i := range stored {
		b := heartbeat(&stored[i])
		if len(beats) == 0 || b.From < first {
			first = b.From
		}
		last = max(last, b.To)
		live = live || b.Sensor != replaySensor
		beats = append(beats, b)
	}
	if from == 0 {
		from = first
	}
	if to == 0 {
		if to = last; live {
			to = max(to, m.Now())
		}
	}
	oldest, err := m.oldest(from, to)
	if err != nil {
		return testudo.Coverage{}, err
	}
	return inquiry.Cover(from, to, stillKept(beats, oldest)), nil
}

func heartbeat(h *state.Heartbeat) testudo.Heartbeat {
	return testudo.Heartbeat{
		Sensor: h.Sensor, Link: h.Link, Span: testudo.Span{From: h.First, To: h.Last},
		Packets: h.Packets, Lost: h.Lost,
	}
}

// oldest returns when the hour begins from which on records are kept of a
// time, 0 where there are none.
func (m *Memory) oldest(from, to testudo.Time) (at testudo.Time, err error) {
	_, err = m.History.Scan(context.Background(), testudo.Query{From: from, To: to, Limit: 1}, func(r testudo.Record) bool {
		at = r.Base().Time
		return false
	}, nil)
	return at - at%testudo.Time(time.Hour), err
}

// noLonger is why there is a gap before the oldest record.
const noLonger = "no longer kept"

// stillKept cuts off what was recorded before the oldest record that is still
// there, if that is more than an hour: less can be a quiet beginning.
func stillKept(beats []testudo.Heartbeat, oldest testudo.Time) []testudo.Heartbeat {
	if oldest == 0 {
		return beats
	}
	for i := range beats {
		if b := &beats[i]; b.From < oldest-testudo.Time(time.Hour) {
			if b.To <= oldest {
				b.From, b.End = b.To, noLonger
			} else {
				b.From = oldest
			}
		}
	}
	return beats
}

// Values are the values of a file to be looked for, and how many of it cannot
// be looked for in records.
type Values struct {
	testudo.Values
	Taken, Skipped int
	Format         string
}

// ReadValues reads a file of values in any of the formats of indicators.
func (p Parts) ReadValues(path string) (v Values, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, intel.Head)
	head, err := in.Peek(intel.Head)
	if err != nil && !errors.Is(err, io.EOF) {
		return v, err
	}
	format, known := intel.Pick(p.Formats, head, filepath.Base(path))
	if !known || format.Parse == nil {
		return v, fmt.Errorf("%s: no list of values that is known; want one value a line", path)
	}
	v.Format = format.Name
	err = format.Parse(filepath.Base(path), in, v.add, func(int, string) { v.Skipped++ })
	if err == nil && v.Taken == 0 {
		err = errors.New("it holds no value that can be looked for")
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", path, err)
	}
	v.tidy()
	return v, nil
}

func (v *Values) add(ind testudo.Indicator) {
	ok := true
	switch ind.Type {
	case testudo.AddressIndicator:
		var a netip.Addr
		if a, ok = parsed(netip.ParseAddr(ind.Value)); ok {
			v.Addresses = append(v.Addresses, a)
		}
	case testudo.PrefixIndicator:
		var n netip.Prefix
		if n, ok = parsed(netip.ParsePrefix(ind.Value)); ok {
			v.Prefixes = append(v.Prefixes, n)
		}
	case testudo.DomainIndicator, testudo.HostIndicator:
		v.Names = append(v.Names, ind.Value)
	case testudo.URLIndicator:
		v.URLs = append(v.URLs, ind.Value)
	case testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator, testudo.HashIndicator:
		v.Prints = append(v.Prints, ind.Value)
	default:
		ok = false
	}
	if !ok {
		v.Skipped++
		return
	}
	v.Taken++
}

func parsed[T any](v T, err error) (T, bool) { return v, err == nil }

// tidy sorts the values and leaves one of each.
func (v *Values) tidy() {
	slices.SortFunc(v.Addresses, netip.Addr.Compare)
	v.Addresses = slices.Compact(v.Addresses)
	slices.SortFunc(v.Prefixes, netip.Prefix.Compare)
	v.Prefixes = slices.Compact(v.Prefixes)
	for _, list := range []*[]string{&v.Names, &v.URLs, &v.Prints} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}
