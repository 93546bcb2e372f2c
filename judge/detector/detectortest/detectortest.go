// Package detectortest runs a detector on written traces. A trace is a text
// file of records, one a line:
//
//	# what it shows
//	local 10.0.0.0/8
//	0s    dns  10.0.0.5:5353 10.0.0.1:53 udp Query=a.example Answered=true
//	+1s   conn 10.0.0.5:50001 203.0.113.7:443 tcp State=SF OrigBytes=512 RespBytes=900
//	+0s 40x60s~10 conn 10.0.0.5:5{i} 203.0.113.7:443 tcp State=SF OrigBytes=512
//
// A line begins with its moment, from the trace's start or with + from the
// line before. 40x60s~10 repeats it 40 times every 60 seconds, each moved by
// up to 10 % of that; {i} is the repetition's number in three digits, {n} the
// bare number. Then come the log's name, orig, resp, the transport and fields by their
// Go names; lists are joined by commas, quotes keep blanks. Hit=value/field/list
// is a hit of an indicator; a list may end in @412, last seen 412 days before, and !16, its marks. A line of load is made up from a few words (load.go).
// Records are put in
// order of time, annotated as the engine would, and given to the detector.
package detectortest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/annotate"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/snapshot"
)

// Golden runs d on every trace in testdata: what it claims must equal the
// file beside it that ends in .golden; a trace whose name begins with silent
// must yield nothing. Each is run through one shard and through 8, with equal
// claims, and with a memory of a single entry, which must not panic. A run
// whose memories are saved and read back three times on the way must claim the
// same. With UPDATE=1 in the environment the golden files are written anew.
func Golden(t *testing.T, d detector.Detector) {
	t.Helper()
	traces, err := filepath.Glob("testdata/*.trace")
	if err != nil || len(traces) == 0 {
		t.Fatal("testdata holds no trace")
	}
	var fires, silent bool
	for _, path := range traces {
		name := strings.TrimSuffix(filepath.Base(path), ".trace")
		quiet := strings.HasPrefix(name, "silent")
		fires, silent = fires || !quiet, silent || quiet
		t.Run(name, func(t *testing.T) { golden(t, d, path, quiet) })
	}
	if !fires || !silent {
		t.Error("want at least one trace that fires and one whose name begins with silent")
	}
}

func golden(t *testing.T, d detector.Detector, path string, quiet bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := Render(Run(d, Parse(t, string(text)), 1, 4096))
	if sharded := Render(Run(d, Parse(t, string(text)), 8, 4096)); sharded != got {
		t.Errorf("8 shards claim otherwise:\n%s\none shard:\n%s", sharded, got)
	}
	Run(d, Parse(t, string(text)), 1, 1)
	for _, entries := range []int{4096, 2} {
		whole, parted := Render(Run(d, Parse(t, string(text)), 1, entries)), Render(interrupted(t, d, Parse(t, string(text)), entries))
		if parted != whole {
			t.Errorf("with %d entries, saved and read back, it claims otherwise:\n%s\nin one go:\n%s", entries, parted, whole)
		}
	}
	if quiet {
		if got != "" {
			t.Errorf("must stay silent, claims:\n%s", got)
		}
		return
	}
	file := strings.TrimSuffix(path, ".trace") + ".golden"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("claims:\n%s\nwant:\n%s", got, want)
	}
	if got == "" {
		t.Error("must fire")
	}
}

// Run gives the records to d's memories, spread over shards, and returns the
// last claim of each key, ordered by detector and key.
func Run(d detector.Detector, records []testudo.Record, shards, entries int) []testudo.Sighting {
	return run(d, records, shards, entries, func(int, []detector.Memory) {})
}

// run is Run; before each record it shows the record's number and the
// memories.
func run(d detector.Detector, records []testudo.Record, shards, entries int, before func(n int, memories []detector.Memory)) []testudo.Sighting {
	memories := make([]detector.Memory, shards)
	var out detector.Out
	var clock testudo.Time
	tick := func(now testudo.Time, last bool) {
		for _, m := range memories {
			if m != nil && (d.Ticks || last) {
				out.Now = now
				m.Tick(now, last, &out)
			}
		}
	}
	for n, r := range records {
		before(n, memories)
		at := moment(r)
		for clock == 0 || at >= clock+testudo.Time(10*time.Second) {
			if clock == 0 || at-clock > testudo.Time(time.Hour) {
				clock = at - at%testudo.Time(10*time.Second)
			} else {
				clock += testudo.Time(10 * time.Second)
			}
			tick(clock, false)
		}
		key, ok := d.Route(r)
		if !ok {
			continue
		}
		i := key % uint64(shards)
		if memories[i] == nil {
			memories[i] = d.New(entries)
		}
		out.Now = at
		memories[i].Observe(r, &out)
	}
	tick(clock+testudo.Time(10*time.Second), true)
	last := map[string]testudo.Sighting{}
	for _, s := range out.Sightings {
		last[s.Key] = s
	}
	var all []testudo.Sighting
	for _, s := range last {
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y testudo.Sighting) int { return cmp.Compare(x.Key, y.Key) })
	return all
}

// interrupted is Run through one shard, with the memory saved and read back
// into a new one at each quarter of the records.
func interrupted(t *testing.T, d detector.Detector, records []testudo.Record, entries int) []testudo.Sighting {
	plans := snapshot.New()
	return run(d, records, 1, entries, func(n int, memories []detector.Memory) {
		if q := max(1, len(records)/4); n%q != 0 || memories[0] == nil {
			return
		}
		plan, err := plans.Of(memories[0])
		if err != nil {
			t.Fatal(err)
		}
		saved, err := plan.Append(nil, memories[0])
		if err != nil {
			t.Fatal(err)
		}
		memories[0] = d.New(entries)
		if err := plan.Read(saved, memories[0]); err != nil {
			t.Fatal(err)
		}
		if again, err := plan.Append(nil, memories[0]); err != nil || !bytes.Equal(again, saved) {
			t.Fatalf("saved again it is another: %v, %d bytes and %d", err, len(saved), len(again))
		}
	})
}

// Render writes sightings for a golden file.
func Render(sightings []testudo.Sighting) string {
	var b strings.Builder
	for _, s := range sightings {
		fmt.Fprintf(&b, "%s %s outcome=%d score=%.3f\n  title    %s\n  summary  %s\n  victims  %v\n", s.Detector, s.Kind, s.Outcome, s.Score(), s.Title, s.Summary, s.Victims)
		for _, v := range s.Servers {
			fmt.Fprintf(&b, "  server   %s %v %v %v %s\n", v.Role, v.Address, v.Names, v.Ports, map[bool]string{true: "shared"}[v.Shared])
		}
		for _, r := range s.Reasons {
			fmt.Fprintf(&b, "  why      %s\n", r)
		}
		fmt.Fprintf(&b, "  innocent %s\n  attack   %v\n", s.Innocent, s.Techniques)
		for _, f := range s.Evidence {
			fmt.Fprintf(&b, "  %s = %v\n", f.Name, f.Value)
		}
	}
	return b.String()
}

func moment(r testudo.Record) testudo.Time {
	if c, ok := r.(*testudo.Conn); ok {
		return c.Time.Add(c.Duration)
	}
	if l, ok := r.(*testudo.Load); ok {
		return l.Time.Add(l.Span)
	}
	return r.Base().Time
}

// start is when every trace begins.
var start = testudo.TimeOf(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))

// Parse reads a trace and annotates its records.
func Parse(t *testing.T, text string) []testudo.Record {
	t.Helper()
	var records []testudo.Record
	hits := map[testudo.Record][]testudo.Hit{}
	cfg := annotate.Config{Entries: 4096, Match: func(r testudo.Record) []testudo.Hit { return hits[r] }}
	chance := rand.New(rand.NewPCG(1, 2))
	at := start
	sc := bufio.NewScanner(strings.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		words := fields(sc.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] == "local" {
			for _, w := range words[1:] {
				p, err := netip.ParsePrefix(w)
				if err != nil {
					t.Fatalf("line %d: %v", n, err)
				}
				cfg.Local = append(cfg.Local, p)
			}
			continue
		}
		rs, next, err := parseLine(words, at, chance)
		if err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		at = next
		for _, r := range rs {
			if h := r.Base().About.Hits; h != nil {
				hits[r] = h
			}
		}
		records = append(records, rs...)
	}
	slices.SortStableFunc(records, func(x, y testudo.Record) int { return cmp.Compare(moment(x), moment(y)) })
	notes := annotate.New(cfg)
	for _, r := range records {
		notes.Annotate(r)
	}
	return records
}

func parseLine(words []string, at testudo.Time, chance *rand.Rand) ([]testudo.Record, testudo.Time, error) {
	d, err := time.ParseDuration(strings.TrimPrefix(words[0], "+"))
	if err != nil {
		return nil, at, err
	}
	if strings.HasPrefix(words[0], "+") {
		at = at.Add(d)
	} else {
		at = start.Add(d)
	}
	if words = words[1:]; len(words) == 0 {
		return nil, at, errShort
	}
	times, every, jitter := 1, time.Duration(0), 0.0
	if count, rest, ok := strings.Cut(words[0], "x"); ok && count != "" && strings.Trim(count, "0123456789") == "" {
		period, pct, jittered := strings.Cut(rest, "~")
		if times, err = strconv.Atoi(count); err != nil {
			return nil, at, err
		}
		if every, err = time.ParseDuration(period); err != nil {
			return nil, at, err
		}
		if jitter, err = strconv.ParseFloat(pct, 64); jittered && err != nil {
			return nil, at, err
		}
		words = words[1:]
	}
	var records []testudo.Record
	base := at
	for i := range times {
		shift := time.Duration((chance.Float64()*2 - 1) * jitter / 100 * float64(every))
		at = base.Add(time.Duration(i)*every + shift)
		subst := make([]string, len(words))
		for k, w := range words {
			subst[k] = strings.NewReplacer("{i}", fmt.Sprintf("%03d", i), "{n}", strconv.Itoa(i)).Replace(w)
		}
		r, err := record(subst, at)
		if err != nil {
			return nil, at, err
		}
		records = append(records, r)
	}
	return records, at, nil
}

// kinds are the records a trace can hold.
func kinds() map[string]testudo.Record {
	return map[string]testudo.Record{
		"conn": &testudo.Conn{}, "dns": &testudo.DNS{}, "ssl": &testudo.TLS{}, "x509": &testudo.X509{},
		"quic": &testudo.QUIC{}, "http": &testudo.HTTP{}, "ssh": &testudo.SSH{}, "smtp": &testudo.SMTP{},
		"ftp": &testudo.FTP{}, "icmp_echo": &testudo.ICMPEcho{}, "dhcp": &testudo.DHCP{}, "ntp": &testudo.NTP{},
		"arp": &testudo.ARP{}, "opaque": &testudo.Opaque{}, "weird": &testudo.Weird{},
		"load": &testudo.Load{},
	}
}

// hit reads a hit's list: "feed", "feed@412" for last seen 412 days before,
// "feed!16" for its marks as a number.
func hit(value, field, list string, at testudo.Time) (testudo.Hit, error) {
	list, marks, marked := strings.Cut(list, "!")
	list, age, aged := strings.Cut(list, "@")
	h := testudo.Hit{Value: value, Field: field, Source: list, Confidence: -1}
	if marked {
		n, err := strconv.ParseUint(marks, 10, 8)
		if err != nil {
			return h, err
		}
		h.Marks = testudo.Marks(n)
	}
	if aged {
		days, err := strconv.Atoi(age)
		if err != nil {
			return h, err
		}
		h.Listed = at.Add(-time.Duration(days) * 24 * time.Hour)
	}
	return h, nil
}

var errShort = errors.New("want: moment log orig resp transport fields")

// transports are the words for them.
func transports() map[string]testudo.Proto {
	return map[string]testudo.Proto{"tcp": testudo.TCP, "udp": testudo.UDP, "icmp": testudo.ICMP, "icmp6": testudo.ICMPv6, "sctp": testudo.SCTP, "none": 0}
}

func record(words []string, at testudo.Time) (testudo.Record, error) {
	if len(words) < 4 {
		return nil, fmt.Errorf("%w, got %q", errShort, words)
	}
	r := kinds()[words[0]]
	if r == nil {
		return nil, fmt.Errorf("no log %q", words[0])
	}
	m := r.Base()
	m.Time = at
	var err error
	if m.ID.Orig, err = netip.ParseAddrPort(words[1]); err != nil {
		return nil, fmt.Errorf("%s: %w", words[1], err)
	}
	if m.ID.Resp, err = netip.ParseAddrPort(words[2]); err != nil {
		return nil, fmt.Errorf("%s: %w", words[2], err)
	}
	var known bool
	if m.ID.Proto, known = transports()[words[3]]; !known {
		return nil, fmt.Errorf("no transport %q; want tcp, udp, icmp, icmp6, sctp or none", words[3])
	}
	if _, ok := r.(*testudo.Load); ok {
		return loadOf(words[4:], m.ID, at)
	}
	m.UID = testudo.UID(detector.NameKey(words[1] + " " + words[2] + at.String()))
	v := reflect.ValueOf(r).Elem()
	for _, w := range words[4:] {
		name, value, given := strings.Cut(w, "=")
		if !given {
			return nil, fmt.Errorf("%s: want Field=value", w)
		}
		if name == "UID" {
			m.UID = testudo.UID(detector.NameKey(value))
			continue
		}
		if name == "Hit" {
			p := strings.SplitN(value, "/", 3)
			if len(p) != 3 {
				return nil, fmt.Errorf("%s: want Hit=value/field/list", w)
			}
			h, err := hit(p[0], p[1], p[2], at)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w, err)
			}
			m.About.Hits = append(m.About.Hits, h)
			continue
		}
		f, ok := field(v, name)
		if !ok {
			return nil, fmt.Errorf("%s has no field %s", words[0], name)
		}
		if err := set(f, value); err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
	}
	if c, ok := r.(*testudo.Conn); ok && !c.Interim && c.Delta == (testudo.Delta{}) {
		c.Delta = testudo.Delta{OrigBytes: c.OrigBytes, RespBytes: c.RespBytes, OrigPkts: c.OrigPkts, RespPkts: c.RespPkts, Duration: c.Duration}
	}
	return r, nil
}

// field finds a field of v by its Go names joined by dots, and makes what
// pointers on the way point to.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	for part := range strings.SplitSeq(name, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return v, false
		}
		if v = v.FieldByName(part); !v.IsValid() || !v.CanSet() {
			return v, false
		}
	}
	return v, true
}

func set(f reflect.Value, value string) error {
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		return set(f.Elem(), value)
	}
	switch f.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(value)
		f.SetInt(int64(d))
		return err
	case testudo.Time:
		d, err := time.ParseDuration(value)
		f.SetInt(int64(start.Add(d)))
		return err
	case netip.Addr:
		a, err := netip.ParseAddr(value)
		f.Set(reflect.ValueOf(a))
		return err
	}
	var err error
	switch f.Kind() {
	case reflect.String:
		f.SetString(value)
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(value)
		f.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		n, err = strconv.ParseInt(value, 10, 64)
		f.SetInt(n)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		n, err = strconv.ParseUint(value, 10, 64)
		f.SetUint(n)
	case reflect.Float64:
		var x float64
		x, err = strconv.ParseFloat(value, 64)
		f.SetFloat(x)
	case reflect.Slice:
		for part := range strings.SplitSeq(value, ",") {
			e := reflect.New(f.Type().Elem()).Elem()
			if err = set(e, part); err != nil {
				return err
			}
			f.Set(reflect.Append(f, e))
		}
	default:
		err = fmt.Errorf("cannot set a %s", f.Type())
	}
	return err
}

// fields splits at blanks outside of double quotes, which it takes away.
func fields(line string) (words []string) {
	var b strings.Builder
	quoted, any := false, false
	flush := func() {
		if any {
			words = append(words, b.String())
		}
		b.Reset()
		any = false
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted, any = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			flush()
		default:
			b.WriteRune(c)
			any = true
		}
	}
	flush()
	return words
}
