package shield

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/tell/report"
)

// TestNews holds what is told of an incident that grows: once that it is
// there, at once that it is graver, and not every second that it goes on.
func TestNews(t *testing.T) {
	var told []string
	n := &news{told: map[string]*telling{}, owner: map[claim]string{}, tell: func(c report.Change, _ *testudo.Summary) {
		told = append(told, c.What+" "+c.Incident.ID)
	}}
	look := func(at time.Duration, incidents ...testudo.Incident) []testudo.Incident {
		told = nil
		v := engine.View{Incidents: incidents, Summary: testudo.Summary{First: 1, Last: 1 + testudo.Time(at)}}
		n.take(&v)
		return v.Incidents
	}
	want := func(words ...string) {
		t.Helper()
		if len(told) != len(words) {
			t.Fatalf("told %q, want %q", told, words)
		}
		for i := range words {
			if told[i] != words[i] {
				t.Fatalf("told %q, want %q", told, words)
			}
		}
	}
	story := func(id string, first int64, severity testudo.Severity, keys ...string) testudo.Incident {
		in := testudo.Incident{ID: id, First: testudo.Time(first), Severity: severity}
		for _, k := range keys {
			in.Sightings = append(in.Sightings, testudo.Sighting{Detector: "scan", Key: k})
		}
		return in
	}
	look(0, story("A", 5, testudo.Medium, "x"))
	want("new A")
	look(time.Second, story("A", 5, testudo.Medium, "x"))
	want()
	look(2*time.Second, story("A", 5, testudo.High, "x"))
	want("graver A")
	look(3*time.Second, story("A", 5, testudo.High, "x", "y"))
	want()
	look(2*time.Minute, story("A", 5, testudo.High, "x", "y"))
	want("more A")
	// An earlier beginning comes to light: the ID of the run stays.
	if in := look(3*time.Minute, story("B", 2, testudo.High, "w", "x", "y")); in[0].ID != "A" {
		t.Errorf("renamed to %s", in[0].ID)
	}
	want("more A")
	// The story falls apart: one part keeps the ID, the other is new.
	look(4*time.Minute, story("B", 2, testudo.High, "w"), story("C", 5, testudo.High, "x"))
	want("new C")
	// What an earlier run has told is not told again, unless it goes on.
	n.until = 100
	old := story("D", 7, testudo.High, "d")
	old.Last = 90
	look(5*time.Minute, old)
	want()
	old.Severity = testudo.Critical
	look(6*time.Minute, old)
	want("graver D")
	// What is long over is forgotten.
	look(forgetTold + time.Hour)
	if len(n.told)+len(n.owner) != 0 {
		t.Errorf("%d told, %d owners remembered", len(n.told), len(n.owner))
	}
}

// broken is a log of which nothing could be read.
type broken struct{}

func (broken) Next() (testudo.Record, error) { return nil, io.EOF }
func (broken) Close() error                  { return nil }
func (broken) Account() source.Account {
	return source.Account{Skipped: []testudo.Skip{{Input: "log", Reason: "3 lines could not be read"}}, Notes: []string{"a note"}}
}

// TestWatchAccounts holds that what a live log lost is told.
func TestWatchAccounts(t *testing.T) {
	noted := ""
	r := replay()
	res, err := Watch{Parts: r.Parts, Settings: r.Settings, Records: broken{}, Event: func(s string) { noted = s }}.Run(context.Background())
	if err != nil || len(res.Summary.Skipped) != 1 || noted != "a note" {
		t.Errorf("%v, %+v, %q", err, res.Summary.Skipped, noted)
	}
}
