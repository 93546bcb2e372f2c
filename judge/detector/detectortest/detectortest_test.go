package detectortest

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestWrongLines holds that a wrong line of a trace is an error that says
// what is wrong, never a panic.
func TestWrongLines(t *testing.T) {
	const ends = " 10.0.0.5:1 203.0.113.7:2 "
	for line, want := range map[string]string{
		"soon conn" + ends + "tcp":               "invalid duration",
		"0s":                                     "want: moment log",
		"0s 3x1s":                                "want: moment log",
		"0s 3xmany conn" + ends + "tcp":          "invalid duration",
		"0s 3x1s~some conn" + ends + "tcp":       "invalid syntax",
		"0s 99999999999999999999x1s conn":        "out of range",
		"0s conn 10.0.0.5:1":                     "want: moment log",
		"0s talk" + ends + "tcp":                 `no log "talk"`,
		"0s conn 10.0.0.5 203.0.113.7:2 tcp":     "10.0.0.5",
		"0s conn" + ends + "tpc":                 `no transport "tpc"`,
		"0s conn" + ends + "tcp State":           "want Field=value",
		"0s conn" + ends + "tcp Stat=SF":         "no field Stat",
		"0s conn" + ends + "tcp Delta.Nope=1":    "no field Delta.Nope",
		"0s conn" + ends + "tcp State.Length=1":  "no field State.Length",
		"0s conn" + ends + "tcp Nope.Nope=1":     "no field Nope.Nope",
		"0s conn" + ends + "tcp Delta=1":         "cannot set",
		"0s conn" + ends + "tcp OrigBytes=lots":  "invalid syntax",
		"0s conn" + ends + "tcp Duration=long":   "invalid duration",
		"0s dns" + ends + "udp Addresses=nobody": "nobody",
		"0s conn" + ends + "tcp Hit=one":         "want Hit=",
	} {
		if _, _, err := parseLine(fields(line), start, rand.New(rand.NewPCG(1, 2))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	rs, at, err := parseLine(fields("+1m 2x1s conn"+ends+`tcp State=SF Service="a b"`), start, rand.New(rand.NewPCG(1, 2)))
	if err != nil || len(rs) != 2 || rs[1].(*testudo.Conn).Service != "a b" || at.Sub(start).Seconds() != 61 {
		t.Errorf("a good line: %v, %d records until %v", err, len(rs), at)
	}
}
