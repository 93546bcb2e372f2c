package beacon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/detectortest"
)

// roamer writes the trace of a client that only 10.0.0.5 has, which reports
// from a second on, every so many seconds, to the places in the order
// given; a place is a name with an address after a slash. Ten machines browse.
func roamer(from, every, reports int, order ...string) string {
	var b strings.Builder
	b.WriteString("local 10.0.0.0/8\n" +
		"0s 40x3600s~20 ssl 10.0.0.5:41{i} 198.51.100.5:443 tcp UID=w{n} JA4=browser ServerName=www.portal.example\n" +
		"0s 9x3600s ssl 10.0.1.{n}:4100 198.51.100.5:443 tcp UID=wx{n} JA4=browser ServerName=www.portal.example\n")
	for i := range reports {
		name, address, _ := strings.Cut(order[i%len(order)], "/")
		if name != "" {
			name = "ServerName=" + name
		}
		ends := fmt.Sprintf("10.0.0.5:%d %s:443 tcp UID=r%d", 5000+i, address, i)
		fmt.Fprintf(&b, "%ds ssl %s JA4=own Version=TLSv13 %s\n", from+every*i, ends, name)
		fmt.Fprintf(&b, "%ds conn %s Service=ssl State=SF Duration=2s OrigBytes=900 RespBytes=4100 OrigPkts=9 RespPkts=9\n", from+every*i, ends)
	}
	return b.String()
}

// late is on the second day.
const late = 100_000

// asked returns what a person would be asked about.
func asked(t *testing.T, trace string) (loud []testudo.Sighting) {
	t.Helper()
	for _, s := range detectortest.Run(Detector(), detectortest.Parse(t, trace), 1, 4096) {
		if s.Score() >= likely {
			loud = append(loud, s)
		}
	}
	return loud
}

// One rhythm makes one claim: of the place that carries it, else of the
// client; a maker's client makes none.
func TestOneRhythmOneClaim(t *testing.T) {
	const a, b, c, d, e = "a.example/203.0.113.1", "b.example/203.0.113.2", "c.example/203.0.113.3", "d.example/203.0.113.4", "e.example/203.0.113.5"
	for _, w := range []struct {
		what    string
		order   []string
		claims  int
		servers int
	}{
		{"five in turn, until each has a rhythm of its own", []string{a, b, c, d, e}, 1, 5},
		{"one carries it", []string{a, a, a, b, a, a, c, a, a}, 1, 1},
		{"three bare addresses", []string{"/203.0.113.1", "/203.0.113.2", "/203.0.113.3"}, 1, 3},
		{"names of one maker", []string{"n1.maker.example/203.0.113.1", "n2.maker.example/203.0.113.2", "n3.maker.example/203.0.113.3"}, 0, 0},
		{"a maker with a second domain", []string{"n1.maker.example/203.0.113.1", "n2.maker.example/203.0.113.2", "cdn.example/203.0.113.3"}, 0, 0},
		{"the portal everybody uses", []string{"www.portal.example/198.51.100.5", a, b}, 0, 0},
	} {
		got := asked(t, roamer(late, 20, 90, w.order...))
		if len(got) != w.claims || w.claims == 1 && len(got[0].Servers) != w.servers {
			t.Errorf("%s: %d claims, want %d of %d servers\n%s", w.what, len(got), w.claims, w.servers, detectortest.Render(got))
		}
	}
}

// A series of a client needs the network to know it: on its first day, or
// where many have the client, it only nominates.
func TestRoamingNeedsPeculiar(t *testing.T) {
	order := []string{"a.example/203.0.113.1", "b.example/203.0.113.2", "c.example/203.0.113.3", "d.example/203.0.113.4", "e.example/203.0.113.5"}
	trace := roamer(late, 20, 90, order...)
	if got := asked(t, trace); len(got) != 1 {
		t.Fatalf("%d claims, want one", len(got))
	}
	if got := asked(t, strings.ReplaceAll(trace, "JA4=own", "JA4=browser")); len(got) != 0 {
		t.Errorf("everybody's client:\n%s", detectortest.Render(got))
	}
	if got := asked(t, roamer(30_000, 20, 90, order...)); len(got) != 0 {
		t.Errorf("on the first day:\n%s", detectortest.Render(got))
	}
}

// What a tour remembers is bounded, and it says so.
func TestTourIsBounded(t *testing.T) {
	var order []string
	for i := range 200 {
		order = append(order, fmt.Sprintf("p%d.example/203.0.113.%d", i, i))
	}
	got := asked(t, roamer(late, 60, 200, order...))
	if len(got) != 1 || len(got[0].Servers) != named || !strings.Contains(got[0].Title, "more than 16 places") {
		t.Errorf("%s", detectortest.Render(got))
	}
}

// The rest of a conversation whose handshake was forgotten begins no series.
func TestJoinForgets(t *testing.T) {
	m := Detector().New(10).(*memory)
	c := &testudo.Conn{RespPkts: 1}
	c.UID = 7
	j, _ := m.joint.Put(7)
	*j = joint{1, byPrint}
	var out detector.Out
	m.join(c, &host{}, &out)
	if m.series.Len() != 0 {
		t.Error("a series began without a handshake")
	}
}
