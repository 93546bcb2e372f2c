package report

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// TestChangeText holds that news say when and what, rest on how much, and are
// set apart by an empty line, in one line of title for what needs nobody.
func TestChangeText(t *testing.T) {
	at := testudo.TimeOf(time.Date(2026, 3, 5, 3, 4, 5, 0, time.UTC))
	in := testudo.Incident{ID: "INC-1", Kind: testudo.Scan, Severity: testudo.Low, Title: "10.1.0.9 scans tcp/445 of 40 hosts", First: at, Last: at}
	for what, want := range map[string]string{
		"new":    "Thu 5 Mar 03:04:05 UTC · new · after 90 s of watching\n",
		"graver": "Thu 5 Mar 03:04:05 UTC · graver than told before · after 90 s of watching\n",
		"more":   "Thu 5 Mar 03:04:05 UTC · goes on, with more hosts or evidence · after 90 s of watching\n",
	} {
		var out bytes.Buffer
		c := Change{What: what, Incident: in, Known: 90 * time.Second, At: at}
		if err := ChangeText(&out, &c, quietSummary(), TextOptions{}); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n\n") || strings.Count(got, "\n") != 3 {
			t.Errorf("%s:\n%s", what, got)
		}
		if err := ChangeText(broken{}, &c, quietSummary(), TextOptions{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestLearning holds that waits are rounded up and those of one length told
// together.
func TestLearning(t *testing.T) {
	wait := func(name string, d time.Duration) testudo.Judgement {
		return testudo.Judgement{Detector: name, Wait: d}
	}
	for _, c := range []struct {
		detectors []testudo.Judgement
		want      string
	}{
		{nil, ""},
		{[]testudo.Judgement{{Detector: "scan", Full: true}}, "1 of 1 detectors judge fully"},
		{
			[]testudo.Judgement{wait("beacon", 47*time.Hour+59*time.Minute), wait("exfil", 23*time.Hour+59*time.Minute), {Detector: "scan", Full: true}, wait("tunnel", 24*time.Hour)},
			"1 of 4 detectors judge fully; still learning what is usual here: beacon for 2 days more; exfil, tunnel for 24 hours more",
		},
		{[]testudo.Judgement{wait("exfil", 61*time.Second)}, "0 of 1 detectors judge fully; still learning what is usual here: exfil for 2 minutes more"},
	} {
		if got := Learning(&testudo.Summary{Detectors: c.detectors}); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestLiveNothing holds that a live run which saw nothing does not speak of a
// capture.
func TestLiveNothing(t *testing.T) {
	var out bytes.Buffer
	if err := Text(&out, nil, &testudo.Summary{Inputs: []string{"eth1"}}, TextOptions{Live: true}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "Nothing came") || strings.Contains(got, "capture") {
		t.Error(got)
	}
}
