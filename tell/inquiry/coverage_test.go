package inquiry

import (
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

const hour = time.Hour

// beat is a heartbeat from an hour to another before noon.
func beat(sensor, link string, from, to float64, end string) testudo.Heartbeat {
	ago := func(h float64) testudo.Time { return noon.Add(-time.Duration(h * float64(hour))) }
	return testudo.Heartbeat{Sensor: sensor, Link: link, Span: testudo.Span{From: ago(from), To: ago(to)}, Packets: 1000, End: end}
}

func TestWords(t *testing.T) {
	lossy := beat("s", "eth0", 168, 0, "")
	lossy.Lost = []testudo.Shed{{Cause: "ring full", Count: 12}, {Cause: "load", Count: 1_200}}
	for _, c := range []struct {
		name  string
		hours float64
		beats []testudo.Heartbeat
		want  string
	}{
		{"none", 168, nil, "recorded nothing: no sensor was watching"},
		{"empty", 0, nil, "how much was recorded is not known"},
		{"all", 168, []testudo.Heartbeat{beat("s", "eth0", 168, 0, "")}, "recorded 168 of 168 h on 1 of 1 link (100 %)"},
		{"before and after", 10, []testudo.Heartbeat{beat("s", "eth0", 20, -5, "")}, "recorded 10 of 10 h on 1 of 1 link (100 %)"},
		{"a gap on both", 168, []testudo.Heartbeat{
			beat("s", "eth1", 40, 0, ""), beat("s", "eth0", 168, 42, "sensor stopped"), beat("s", "eth0", 40, 0, ""), beat("s", "eth1", 170, 42, "sensor stopped"),
		}, "recorded 166 of 168 h on 2 of 2 links (98.8 %); gaps: eth0 Mon 18:00 to 20:00 (sensor stopped), eth1 Mon 18:00 to 20:00 (sensor stopped)"},
		{
			"a dead link", 168,
			[]testudo.Heartbeat{beat("s", "eth0", 168, 0, ""), beat("s", "eth1", 400, 300, "unplugged")},
			"recorded 168 of 168 h on 1 of 2 links (50 %); gaps: eth1 throughout (unplugged)",
		},
		{"dead", 24, []testudo.Heartbeat{beat("s", "eth1", 400, 300, "")}, "recorded nothing on 1 link in 24 h"},
		{"overlap, near, many gaps", 1, []testudo.Heartbeat{
			beat("a", "x", 1, 0.9, ""), beat("a", "x", 0.95, 0.8, ""), beat("a", "x", 0.7, 0.6, ""), beat("a", "x", 0.5, 0.4, ""), beat("a", "x", 0.35, 0.3, ""), beat("b", "x", 2, 0.0003, ""),
		}, "recorded 43.4 of 60 min on 2 of 2 links (72.4 %); gaps: a/x Wed 11:12 to 11:18, a/x Wed 11:24 to 11:30, a/x Wed 11:42 to 12:00, and 2 shorter"},
		{"losses", 168, []testudo.Heartbeat{lossy}, "recorded 168 of 168 h on 1 of 1 link (100 %); lost 1,212 of 2,212 packets: load 1,200, ring full 12"},
		{"a second lacks", 1000, []testudo.Heartbeat{beat("s", "eth0", 1000, 0.001, "")}, "recorded 999 of 1,000 h on 1 of 1 link (99.9 %); gaps: eth0 Wed 2 Sep 11:59:56 to 12:00:00"},
	} {
		from := noon.Add(-time.Duration(c.hours * float64(hour)))
		cov := Cover(from, noon, c.beats)
		if got := Words(cov, time.UTC); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		for _, l := range cov.Links {
			at := from
			for i, k := 0, 0; i < len(l.Recorded) || k < len(l.Gaps); { // together they are the period
				switch {
				case i < len(l.Recorded) && l.Recorded[i].From <= at.Add(slack) && (k == len(l.Gaps) || l.Gaps[k].From > l.Recorded[i].From):
					at = l.Recorded[i].To
					i++
				case k < len(l.Gaps) && l.Gaps[k].From == at:
					at = l.Gaps[k].To
					k++
				default:
					t.Fatalf("%s: %+v", c.name, l)
				}
			}
			if at != noon {
				t.Errorf("%s: %s ends at %s", c.name, l.Name, at)
			}
		}
	}
	if got, want := Nothing("bad.example", Cover(noon-1, noon, nil), nil), "It cannot be said whether bad.example occurred: recorded nothing: no sensor was watching."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
