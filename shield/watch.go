package shield

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/keep/zeeklog"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/tell/report"
)

// Watch judges live inputs until its context is done.
type Watch struct {
	Parts
	Settings
	Frames  source.Frames  // interfaces; nil for none
	Records source.Records // logs that are followed and flow exports; nil for none
	// Dropped returns how many frames the interfaces have lost; nil if that
	// is not known.
	Dropped func() int64
	Inputs  []string // what the inputs are called

	// Dir is where what was learned is kept, "" for nowhere: a checkpoint
	// every CheckpointEvery of traffic time and at the end. Resume is what was
	// found there, nil for nothing; the run uses it up.
	Dir             string
	CheckpointEvery time.Duration
	Resume          *engine.Checkpoint

	RecordsDir    string // where to write Zeek logs; "" for nowhere
	RecordsFormat string // "tsv" or "json"

	// Memory is where what is seen and found is remembered; nil for nowhere.
	Memory *Memory

	// Tell is given every piece of news of an incident, and State what the
	// run says of itself, every ten seconds or so. They are called one at a
	// time.
	Tell  func(report.Change, *testudo.Summary)
	State func(*testudo.Summary)
	Event func(string) // something a person should know; nil for nobody
}

// Run judges until ctx is done, and returns what is known then. That it was
// done is no error.
func (w Watch) Run(ctx context.Context) (engine.Result, error) {
	cfg := engine.Config{
		Workers: w.Workers, Protocols: w.Protocols, Detectors: w.Detectors,
		Budgets: w.Budgets, Local: w.Local, Match: w.Match, IsShared: w.IsShared,
		Frames: w.Frames,
	}
	if w.Records != nil {
		cfg.Records = w.Records
		defer w.Records.Close()
	}
	var logs *zeeklog.Writer
	if w.RecordsDir != "" {
		var err error
		if logs, err = zeeklog.New(w.RecordsDir, w.RecordsFormat); err != nil {
			return engine.Result{}, err
		}
		cfg.Tap = logs.Write
	}
	var kept *living
	if w.Memory != nil {
		kept = w.Memory.live(w.Inputs, w.event)
		cfg.Tap = bothTaps(cfg.Tap, kept.take)
	}
	n := &news{tell: w.Tell, told: map[string]*telling{}, owner: map[claim]string{}}
	if w.Resume != nil {
		n.until = w.Resume.At()
	}
	cfg.Live = &engine.Live{Dropped: w.Dropped, Event: w.Event, Look: func(v engine.View) {
		w.complete(&v.Summary)
		if kept != nil {
			kept.look(&v)
		}
		n.take(&v)
		if w.State != nil {
			w.State(&v.Summary)
		}
	}}
	if w.Dir != "" {
		saved := NewCheckpoints(w.Dir, func(err error) { w.event("what was learned could not be saved: " + err.Error()) })
		defer saved.Close()
		cfg.Checkpoint, cfg.Every, cfg.Resume = saved.Take, w.CheckpointEvery, w.Resume
		cfg.Anew = func(memory string) { w.event(memory + " starts anew: its memory was written by another version") }
	}
	res, err := engine.Run(ctx, cfg)
	if logs != nil {
		err = errors.Join(err, logs.Close())
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	w.complete(&res.Summary)
	w.account(&res.Summary)
	v := engine.View{Incidents: res.Incidents, Summary: res.Summary}
	if kept != nil {
		if kerr := kept.end(&v); kerr != nil {
			w.event("memory: " + kerr.Error())
		}
	}
	n.take(&v)
	res.Incidents, res.Summary = v.Incidents, v.Summary
	return res, err
}

func (w Watch) event(text string) {
	if w.Event != nil {
		w.Event(text)
	}
}

// account adds what of the logs and flow exports could not be read.
func (w Watch) account(s *testudo.Summary) {
	if w.Records == nil {
		return
	}
	a := w.Records.Account()
	for _, skip := range a.Skipped {
		if !slices.Contains(s.Skipped, skip) { // each kind of log looks into the same folder
			s.Skipped = append(s.Skipped, skip)
		}
	}
	s.Shed = append(s.Shed, a.Shed...)
	for _, note := range a.Notes {
		w.event(note)
	}
}

func (w Watch) complete(s *testudo.Summary) {
	s.Inputs = w.Inputs
	lists := w.Lists
	if w.ListsNow != nil {
		lists = w.ListsNow()
	}
	lists.complete(s)
}

// news finds what is new in one View after the other. An incident keeps the
// ID under which it was told first, also when an earlier beginning comes to
// light or two turn out to be one.
type news struct {
	tell  func(report.Change, *testudo.Summary)
	told  map[string]*telling // by ID
	owner map[claim]string    // which told incident a sighting belongs to
	until testudo.Time        // what is not newer was told by an earlier run
}

// claim names a sighting across its repetitions.
type claim struct {
	detector, key string
}

// telling is what was last told of an incident.
type telling struct {
	severity  testudo.Severity
	parties   int // victims and servers
	sightings int
	first     testudo.Time // when it was told first, last and when it was last there
	last      testudo.Time
	seen      testudo.Time
}

// moreEvery is how often at most it is told that an incident goes on.
const moreEvery = time.Minute

// forgetTold is how long after its last word an incident is remembered as told.
const forgetTold = 7 * 24 * time.Hour

func (n *news) take(v *engine.View) {
	now := v.Summary.Last
	taken := map[string]bool{}
	for i := range v.Incidents {
		in := &v.Incidents[i]
		if id := n.known(in); id != "" && !taken[id] {
			in.ID = id
		}
		taken[in.ID] = true
		n.weigh(in, &v.Summary, now)
		for k := range in.Sightings {
			n.owner[claim{in.Sightings[k].Detector, in.Sightings[k].Key}] = in.ID
		}
	}
	n.forget(now)
	slices.SortFunc(v.Incidents, func(a, b testudo.Incident) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ID, b.ID))
	})
}

// weigh tells an incident if there is news in it.
func (n *news) weigh(in *testudo.Incident, s *testudo.Summary, now testudo.Time) {
	t, what := n.told[in.ID], ""
	parties := len(in.Victims) + len(in.Servers)
	switch {
	case t == nil:
		t = &telling{first: now}
		n.told[in.ID] = t
		if what = "new"; n.until != 0 && in.Last <= n.until {
			what = ""
			t.severity, t.parties, t.sightings, t.last = in.Severity, parties, len(in.Sightings), now
		}
	case in.Severity > t.severity:
		what = "graver"
	case (parties > t.parties || len(in.Sightings) > t.sightings) && now.Sub(t.last) >= moreEvery:
		what = "more"
	}
	t.seen = now
	if what == "" {
		return
	}
	t.severity, t.parties, t.sightings, t.last = in.Severity, parties, len(in.Sightings), now
	if n.tell != nil {
		known := min(in.Last.Sub(s.First), s.Span())
		n.tell(report.Change{What: what, Incident: *in, Known: max(0, known), At: now}, s)
	}
}

// known returns the ID under which one of the incident's sightings was told
// first, "" for none.
func (n *news) known(in *testudo.Incident) (id string) {
	var first testudo.Time
	for k := range in.Sightings {
		was := n.owner[claim{in.Sightings[k].Detector, in.Sightings[k].Key}]
		if t := n.told[was]; t != nil && (id == "" || t.first < first) {
			id, first = was, t.first
		}
	}
	return id
}

func (n *news) forget(now testudo.Time) {
	for id, t := range n.told {
		if now.Sub(t.seen) > forgetTold {
			delete(n.told, id)
		}
	}
	for k, id := range n.owner {
		if n.told[id] == nil {
			delete(n.owner, k)
		}
	}
}
