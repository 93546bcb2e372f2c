package engine

import (
	"encoding/binary"
	"net/netip"

	"github.com/testudo-shield/testudo/judge/annotate"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/incident"
	"github.com/testudo-shield/testudo/judge/snapshot"
)

// resumeSense puts back the clock, the counts and the open conversations, and
// returns the networks that are ours and whether they were guessed.
func (e *engine) resumeSense() (local []netip.Prefix, guessed bool) {
	c := e.cfg.Resume
	if c == nil {
		return e.cfg.Local, false
	}
	p := &c.past
	e.clock, e.kept, e.counted = p.epoch, p.clock, p.counted
	if e.reader != nil {
		e.reader.clock, e.reader.counted, e.reader.before = p.clock, p.counted, p.counted
		if e.reader.load != nil {
			e.reader.load.given = p.counted.given
		}
	}
	e.sense.weirds = p.weirds
	e.restore(ofConns, func(i int) any { return e.sense.shards[i].Saved() },
		func(i int) { e.sense.shards[i] = e.sense.fresh(i) })
	e.resumeTransit()
	if e.cfg.GuessLocal && p.guessed {
		return p.local, true
	}
	return e.cfg.Local, false
}

// resumeJudge puts back what was learned, remembered and claimed. Nothing is
// left of the checkpoint then but its time.
func (e *engine) resumeJudge() {
	c, j := e.cfg.Resume, e.judge
	if c == nil {
		return
	}
	p := &c.past
	j.clock, j.records, j.first, j.last = p.ticked, p.records, p.first, p.last
	for log := range p.logs {
		j.logsSeen[log] = true
	}
	if !e.restored(ofNotes, j.notes) {
		*j.notes = *annotate.New(j.notesConfig())
		e.anew(ofNotes)
	}
	if !e.restored(ofStories, j.builder) {
		*j.builder = *incident.New(j.storiesConfig())
		e.anew(ofStories)
	}
	for d, det := range e.cfg.Detectors {
		e.restore(det.Name, func(i int) any {
			var m detector.Memory
			if _, had := c.sections[in(det.Name, i)]; had {
				m = det.New(j.entries())
			}
			j.shards[i].memories[d] = m
			return m
		}, func(i int) { j.shards[i].memories[d] = nil })
	}
	c.sections = nil // used up
}

// restore fills what into returns for every shard from its sections. If any
// of them cannot be read all are made anew.
func (e *engine) restore(name string, into func(shard int) any, again func(shard int)) {
	var failed [Shards]bool
	plans := snapshot.New()
	var plan *snapshot.Plan
	for i := range Shards {
		v := into(i)
		if _, had := e.cfg.Resume.sections[in(name, i)]; !had || v == nil {
			continue
		}
		if plan == nil {
			plan, _ = plans.Of(v)
		}
		failed[i] = !e.read(plan, in(name, i), v)
	}
	if failed == [Shards]bool{} {
		return
	}
	for i := range Shards {
		again(i)
	}
	e.anew(name)
}

// restored fills v from a section, and tells whether it could.
func (e *engine) restored(name string, v any) bool {
	plan, err := snapshot.New().Of(v)
	return err == nil && e.read(plan, name, v)
}

func (e *engine) read(plan *snapshot.Plan, name string, v any) bool {
	s, had := e.cfg.Resume.sections[name]
	return had && plan != nil && s.digest == plan.Digest() && plan.Read(s.body, v) == nil
}

func (e *engine) anew(what string) {
	if e.cfg.Anew != nil {
		e.cfg.Anew(what)
	}
}

// resumeTransit puts back the records that were not judged yet.
func (e *engine) resumeTransit() {
	plan, err := snapshot.New(kinds()...).Of(&held{})
	if err != nil {
		e.anew(ofTransit)
		return
	}
	sound := true
	take := func(name string, each func(h held)) {
		s, had := e.cfg.Resume.sections[name]
		if !had {
			return
		}
		sound = sound && s.digest == plan.Digest()
		for b := s.body; sound && len(b) > 0; {
			n, k := binary.Uvarint(b)
			var h held
			if k <= 0 || n > uint64(len(b)-k) || plan.Read(b[k:k+int(n)], &h) != nil || h.r == nil {
				sound = false
				return
			}
			b = b[k+int(n):]
			each(h)
		}
	}
	for i := range Shards {
		take(in(ofTransit, i), func(h held) {
			e.sense.written[i] = append(e.sense.written[i], item{at: h.at, uid: h.r.Base().UID, r: h.r, shard: int32(i)})
		})
	}
	if e.logs != nil {
		take(ofTransit, func(h held) { e.logs.at, e.logs.next = h.at, h.r })
	}
	if !sound {
		e.anew(ofTransit)
	}
}
