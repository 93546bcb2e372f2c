package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/annotate"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/incident"
)

const (
	// detectorTick is how often detectors are told the time.
	detectorTick = testudo.Time(10 * time.Second)
	// idleTicks is how many ticks a silence is told in full; a longer one is
	// told by its last.
	idleTicks = 360
)

// judge is annotate, the detectors' shards and the incidents.
type judge struct {
	cfg      Config
	local    []netip.Prefix
	guessed  bool
	notes    *annotate.Annotator
	builder  *incident.Builder
	shards   [Shards]shard
	marks    []mark // ticks of the detectors in this batch, in order
	clock    testudo.Time
	seq      int32
	records  int64
	claims   int // sightings so far, every new word on one counted
	first    testudo.Time
	last     testudo.Time
	logsSeen map[string]bool // kinds of records that came
}

// shard is what one logical shard of the detectors remembers, and its queue.
type shard struct {
	memories []detector.Memory // by detector; nil until its first record
	queue    []order
	out      detector.Out
}

// order is a record for one detector; seq is its place in the batch.
type order struct {
	seq      int32
	detector int32
	r        testudo.Record
	at       testudo.Time
}

// mark is a tick that falls before the record seq of the batch.
type mark struct {
	seq int32
	at  testudo.Time
}

func newJudge(cfg Config, local []netip.Prefix, guessed bool) *judge {
	j := &judge{cfg: cfg, local: local, guessed: guessed, logsSeen: map[string]bool{}}
	j.notes = annotate.New(j.notesConfig())
	j.builder = incident.New(j.storiesConfig())
	for i := range j.shards {
		j.shards[i].memories = make([]detector.Memory, len(cfg.Detectors))
	}
	return j
}

func (j *judge) notesConfig() annotate.Config {
	return annotate.Config{Local: j.local, Entries: j.cfg.Budgets.Entries, Match: j.cfg.Match, IsShared: j.cfg.IsShared}
}

func (j *judge) storiesConfig() incident.Config {
	return incident.Config{Sightings: j.cfg.Budgets.Sightings, NameOf: j.notes.NameOf, DomainOf: annotate.RegisteredDomain}
}

// entries is the budget of each detector's memory in one shard.
func (j *judge) entries() int { return max(1, j.cfg.Budgets.Entries/Shards) }

// order annotates the items one after the other and queues them for the
// detectors' shards.
func (j *judge) order(items []item) error {
	// Records come from other processors' caches; counting several of them
	// first waits for them together.
	const together = 16
	for i := range items {
		if i%together == 0 {
			for k := range items[i:min(i+together, len(items))] {
				j.count(items[i+k].r)
			}
		}
		it := &items[i]
		j.tick(it.at)
		j.notes.Annotate(it.r)
		if j.cfg.Tap != nil {
			if err := j.cfg.Tap(it.r); err != nil {
				return err
			}
		}
		for d := range j.cfg.Detectors {
			if key, ok := j.cfg.Detectors[d].Route(it.r); ok {
				s := &j.shards[key%Shards]
				s.queue = append(s.queue, order{j.seq, int32(d), it.r, it.at})
			}
		}
		j.seq++
	}
	return nil
}

func (j *judge) count(r testudo.Record) {
	if _, ok := r.(*testudo.Load); ok {
		return // a measurement, no record of what was said
	}
	t := r.Base().Time
	if j.first == 0 || t < j.first {
		j.first = t
	}
	j.last = max(j.last, written(r))
	if c, ok := r.(*testudo.Conn); ok && c.Interim {
		return
	}
	j.records++
	if log := r.Log(); !j.logsSeen[log] {
		j.logsSeen[log] = true
	}
}

// tick marks the detector ticks between the last record and one at t.
func (j *judge) tick(t testudo.Time) {
	if j.clock == 0 {
		j.clock = t - t%detectorTick
		return
	}
	n := 0
	for next := j.clock + detectorTick; next <= t; next = j.clock + detectorTick {
		if n++; n > idleTicks {
			next = t - t%detectorTick
		}
		j.marks = append(j.marks, mark{j.seq, next})
		j.clock = next
	}
}

// run lets the detectors see the batch and takes their sightings.
func (j *judge) run(workers int) {
	if j.seq == 0 && len(j.marks) == 0 {
		return
	}
	parallel(workers, func(i int) { j.shards[i].run(j.cfg, j.marks) })
	j.gather()
	j.marks, j.seq = j.marks[:0], 0
}

// end tells every memory that the input is over.
func (j *judge) end(workers int) {
	parallel(workers, func(i int) { j.shards[i].tick(j.cfg.Detectors, j.clock+detectorTick, true) })
	j.gather()
}

func (j *judge) gather() {
	var all []testudo.Sighting
	for i := range j.shards {
		out := &j.shards[i].out
		all = append(all, out.Sightings...)
		clear(out.Sightings)
		out.Sightings = out.Sightings[:0]
	}
	slices.SortStableFunc(all, func(x, y testudo.Sighting) int {
		return cmp.Or(cmp.Compare(x.Last, y.Last), cmp.Compare(x.Detector, y.Detector), cmp.Compare(x.Key, y.Key))
	})
	for _, s := range all {
		j.builder.Add(s)
	}
	j.claims += len(all)
}

func (s *shard) run(cfg Config, marks []mark) {
	for i := range s.queue {
		o := &s.queue[i]
		for len(marks) > 0 && marks[0].seq <= o.seq {
			s.tick(cfg.Detectors, marks[0].at, false)
			marks = marks[1:]
		}
		m := s.memories[o.detector]
		if m == nil {
			m = cfg.Detectors[o.detector].New(max(1, cfg.Budgets.Entries/Shards))
			s.memories[o.detector] = m
		}
		s.out.Now = o.at
		m.Observe(o.r, &s.out)
	}
	for _, t := range marks {
		s.tick(cfg.Detectors, t.at, false)
	}
	clear(s.queue)
	s.queue = s.queue[:0]
}

func (s *shard) tick(ds []detector.Detector, now testudo.Time, last bool) {
	s.out.Now = now
	for d, m := range s.memories {
		if m != nil && (last || ds[d].Ticks) {
			m.Tick(now, last, &s.out)
		}
	}
}

func (j *judge) summarise(s *testudo.Summary) {
	s.Records, s.Hosts = j.records, j.notes.Hosts()
	s.Local, s.LocalGuessed = j.local, j.guessed
	if j.cfg.Frames == nil || j.cfg.Records != nil {
		// Logs begin and end when their records say; frames have a watermark.
		if s.First == 0 || j.first != 0 && j.first < s.First {
			s.First = j.first
		}
		s.Last = max(s.Last, j.last)
	}
	s.NewHosts = j.notes.NewHosts(s.Last.Add(-annotate.Day))
	shed := func(cause string, n int) {
		if n > 0 {
			s.Shed = append(s.Shed, testudo.Shed{Cause: cause, Count: int64(n)})
		}
	}
	shed("names and habits", j.notes.Shed())
	shed("sightings", j.builder.Shed())
	for d, det := range j.cfg.Detectors {
		n := 0
		for i := range j.shards {
			if m := j.shards[i].memories[d]; m != nil {
				n += m.Shed()
			}
		}
		shed("what "+det.Name+" remembers", n)
		s.Detectors = append(s.Detectors, j.judged(det, j.notes.Watched()))
	}
}

// judged tells whether a detector had what it needs.
func (j *judge) judged(d detector.Detector, watched time.Duration) testudo.Judgement {
	v := testudo.Judgement{Detector: d.Name, Full: true}
	if len(d.Needs) > 0 && !slices.ContainsFunc(d.Needs, func(log string) bool { return j.logsSeen[log] }) {
		v.Full, v.Lacked = false, "saw no "+d.Needs[0]
		if len(d.Needs) > 1 {
			v.Lacked += " or " + d.Needs[1]
		}
	} else if watched < d.Habit {
		v.Full, v.Lacked, v.Wait = false, d.Slow+" (needs "+words(d.Habit)+")", d.Habit-watched
	}
	if lacks := lacked(d.Wants, j.cfg.Lacks); lacks != "" {
		v.Full, v.Lacked = false, strings.TrimSuffix(lacks+"; "+v.Lacked, "; ")
	}
	return v
}

// lacked words what of the evidence a detector wants the inputs cannot give.
func lacked(wants, lacks []testudo.Evidence) string {
	var names []string
	for _, e := range wants {
		if slices.Contains(lacks, e) {
			names = append(names, string(e))
		}
	}
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return "without " + names[0]
	default:
		return "without " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func words(d time.Duration) string {
	if d >= 48*time.Hour {
		return "days"
	}
	if d >= time.Hour {
		return "hours"
	}
	return "minutes"
}
