package state

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

const minute = testudo.Time(time.Minute)

// TestCoverage holds what is recorded, what is missing and what was lost.
func TestCoverage(t *testing.T) {
	s := openTest(t, t.TempDir())
	base := t0 / testudo.Time(time.Hour) * testudo.Time(time.Hour)
	var beats []Heartbeat
	for m := range testudo.Time(120) {
		if m >= 30 && m < 45 { // the sensor was down
			continue
		}
		h := Heartbeat{Sensor: "hq", Link: "eth1", First: base + m*minute, Last: base + (m+1)*minute, Packets: 100}
		if m == 50 {
			h.Lost, h.Skew = []testudo.Shed{{Cause: "ring full", Count: 7}, {Cause: "shed", Count: 2}}, time.Second
		}
		beats = append(beats, h)
	}
	beats = append(beats, Heartbeat{Sensor: "dead", First: base - 60*minute, Last: base - 50*minute, Packets: 1})
	if err := s.Beat(beats); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	if err := s.Beat(beats); err != nil || dump(t, s) != before {
		t.Error("twice is not once", err)
	}
	rows, err := s.Heartbeats(base, base+120*minute)
	if err != nil || len(rows) != 5 { // to 30, 45 to 50, 50, 51 to 60, 60 to 120
		t.Errorf("%d rows %v: %+v", len(rows), err, rows)
	}
	cover, err := s.Coverage(base+minute/2, base+130*minute)
	if err != nil || len(cover) != 2 {
		t.Fatal(cover, err)
	}
	if c := cover[0]; c.Sensor != "dead" || c.Share != 0 || len(c.Gaps) != 1 || len(c.Recorded) != 0 {
		t.Errorf("%+v", c)
	}
	c := cover[1]
	gaps := []Interval{{base + 30*minute, base + 45*minute}, {base + 120*minute, base + 130*minute}}
	if !slices.Equal(c.Gaps, gaps) || len(c.Recorded) != 2 || c.Skew != time.Second || c.Packets != 105*100 ||
		!slices.Equal(c.Lost, []testudo.Shed{{Cause: "ring full", Count: 7}, {Cause: "shed", Count: 2}}) {
		t.Errorf("%+v", c)
	}
	if got := fmt.Sprintf("%.4f", c.Share); got != "0.8069" { // 104.5 of 129.5 minutes
		t.Error(got)
	}
	if c, err := s.Coverage(base-60*minute, base-50*minute); err != nil || len(c) != 1 || c[0].Share != 1 {
		t.Error(c, err)
	}
	if err := s.Beat([]Heartbeat{{Sensor: "hq", First: 5, Last: 4}}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestBeatsBetween holds that a beat which comes late fills its gap alone.
func TestBeatsBetween(t *testing.T) {
	s := openTest(t, t.TempDir())
	beat := func(first, last testudo.Time) {
		t.Helper()
		if err := s.Beat([]Heartbeat{{Sensor: "s", First: t0 + first, Last: t0 + last, Packets: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	beat(0, 10)
	beat(20, 30)
	beat(5, 25)
	c, err := s.Coverage(t0, t0+30)
	if err != nil || c[0].Share != 1 || len(c[0].Recorded) != 1 {
		t.Errorf("%+v %v", c, err)
	}
	before := dump(t, s)
	beat(0, 30)
	beat(12, 18)
	if dump(t, s) != before {
		t.Error("what was covered was stored again")
	}
}

// TestHosts holds who held an address when.
func TestHosts(t *testing.T) {
	s := openTest(t, t.TempDir())
	a := netip.MustParseAddr("10.0.0.5")
	list := []Holding{
		{a, "PC-1", "dhcp", t0, t0 + 10},
		{a, "pc-1", "dhcp", t0 + 10, t0 + 20},
		{a, "pc-2", "dhcp", t0 + 30, t0 + 40},
		{a, "kim", "principal", t0 + 5, t0 + 6},
		{a, "pc-1.corp.example", "dns", t0, t0 + 100},
	}
	if err := s.Hold(list); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	if err := s.Hold(list); err != nil || dump(t, s) != before {
		t.Error("twice is not once", err)
	}
	for _, c := range []struct {
		at   testudo.Time
		want string
	}{{5, "[pc-1 pc-1.corp.example kim]"}, {15, "[pc-1 pc-1.corp.example]"}, {25, "[pc-1.corp.example]"}, {35, "[pc-2 pc-1.corp.example]"}, {200, "[]"}} {
		got, err := s.HeldBy(a, t0+c.at)
		names := []string{}
		for _, h := range got {
			names = append(names, h.Name)
		}
		if fmt.Sprint(names) != c.want || err != nil {
			t.Errorf("at %d: %v %v", c.at, names, err)
		}
	}
	if got, err := s.Holdings("PC-1"); err != nil || len(got) != 1 || got[0].Last != t0+20 {
		t.Error(got, err)
	}
	if err := s.Hold([]Holding{{a, "", "dhcp", 1, 2}}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	said := Importance{"10.0.0.5", "critical", "payments", "kim", t0}
	if err := s.SetImportance(said); err != nil {
		t.Fatal(err)
	}
	if got, err := s.ImportanceOf("::ffff:10.0.0.5"); err != nil || got != said {
		t.Error(got, err)
	}
	if got, err := s.ImportanceOf("10.0.0.6"); err != nil || got.Level != "normal" {
		t.Error(got, err)
	}
	if err := s.SetImportance(Importance{Host: "x", Level: "very"}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// TestInputs holds that the same content twice is one input.
func TestInputs(t *testing.T) {
	s := openTest(t, t.TempDir())
	in := Input{Hash: "ab12", Name: "monday.pcap", First: t0, Last: t0 + 5, Packets: 9, Read: t0 + 10}
	if before, err := s.HaveRead(in); before || err != nil {
		t.Error(before, err)
	}
	other := in
	other.Name, other.Read = "copy.pcap", t0+99
	if before, err := s.HaveRead(other); !before || err != nil {
		t.Error(before, err)
	}
	if got, err := s.InputOf("ab12"); err != nil || got != in {
		t.Error(got, err)
	}
	if _, err := s.InputOf("cd"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if all, err := s.Inputs(); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
}
