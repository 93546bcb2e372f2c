package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/snapshot"
)

// A checkpoint is all that a run remembers at one moment of traffic time,
// between two batches: whoever reads it and what came after sees what one run
// would have seen. It is a list of sections, one for each memory of each
// shard. A memory whose structure has changed since starts empty; the others
// go on. docs/decisions/009 tells why so.

// Checkpoint is what an earlier run left.
type Checkpoint struct {
	past     past
	sections map[string]section
}

// At is the traffic time until which it holds everything.
func (c *Checkpoint) At() testudo.Time { return max(c.past.epoch, c.past.last) }

// Position is where live records stood, nil if there were none: what their
// source goes on from.
func (c *Checkpoint) Position() []byte {
	if c == nil {
		return nil
	}
	return c.past.position
}

// ErrCheckpoint says that a checkpoint cannot be gone on from at all.
var ErrCheckpoint = errors.New("it was written by another version of testudo")

// past is what a run itself remembers, beside its memories.
type past struct {
	epoch   testudo.Time
	clock   clock
	counted totals
	weirds  [Shards]int64
	local   []netip.Prefix
	guessed bool
	ticked  testudo.Time // the judge's clock
	records int64
	first   testudo.Time
	last    testudo.Time
	logs    map[string]bool
	// position is that of live records, of a form of their own.
	position []byte
}

// section is one memory as it was written.
type section struct {
	digest uint64
	body   []byte
}

// The names of sections; those of detectors are their own.
const (
	ofRun      = "the run"
	ofNotes    = "names and habits"
	ofStories  = "incidents"
	ofConns    = "open conversations"
	ofTransit  = "records on their way"
	maxSection = 1 << 30 // bytes
)

// part is one section to be made. It has v, or items.
type part struct {
	name  string
	plan  *snapshot.Plan
	v     any
	items []held
}

// held is a record that was not judged yet.
type held struct {
	at testudo.Time
	r  testudo.Record
}

// kinds are the records there are.
func kinds() []any {
	return []any{
		&testudo.ARP{}, &testudo.Conn{}, &testudo.DHCP{}, &testudo.DNS{}, &testudo.FTP{}, &testudo.HTTP{},
		&testudo.ICMPEcho{}, &testudo.Load{}, &testudo.NTP{}, &testudo.Opaque{}, &testudo.QUIC{}, &testudo.SMTP{}, &testudo.SSH{},
		&testudo.TLS{}, &testudo.Weird{}, &testudo.X509{},
	}
}

// in names the section of one shard.
func in(name string, shard int) string { return fmt.Sprintf("%s/%d", name, shard) }

// pause takes a checkpoint if one is due. It returns false if nothing can be
// judged any longer.
func (e *engine) pause(g *judging) bool {
	if !e.isDue(e.clock) {
		return true
	}
	return g.quiet(e.checkpoint)
}

func (e *engine) isDue(now testudo.Time) bool {
	if e.cfg.Checkpoint == nil || e.cfg.Every <= 0 {
		return false
	}
	if e.due == 0 {
		e.due = now.Add(e.cfg.Every)
	}
	if now < e.due {
		return false
	}
	e.due = now.Add(e.cfg.Every)
	return true
}

// checkpoint writes down everything, shard by shard in parallel, and hands it
// over. Nothing may run meanwhile.
func (e *engine) checkpoint() {
	if e.cfg.Checkpoint == nil {
		return
	}
	at := e.clock
	if e.logs != nil {
		at = max(at, e.logs.at)
	}
	parts, err := e.parts()
	var made [Shards][]byte
	var errs [Shards]error
	if err == nil {
		parallel(e.cfg.Workers, func(shard int) {
			size := e.sizes[shard]
			made[shard], errs[shard] = encode(parts[shard], size+size/16)
			e.sizes[shard] = len(made[shard])
		})
		err = errors.Join(errs[:]...)
	}
	e.cfg.Checkpoint(at, func(w io.Writer) error {
		if err != nil {
			return err
		}
		for _, b := range made {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// parts lists the sections by the shard whose worker makes them.
func (e *engine) parts() (parts [Shards][]part, err error) {
	plans := snapshot.New(kinds()...)
	add := func(shard int, name string, v any, items []held) {
		of := v
		if v == nil {
			of = &held{}
		}
		plan, planErr := plans.Of(of)
		if planErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, planErr))
			return
		}
		parts[shard] = append(parts[shard], part{name, plan, v, items})
	}
	j := e.judge
	add(0, ofRun, e.past(), nil)
	add(0, ofNotes, j.notes, nil)
	add(1, ofStories, j.builder, nil)
	if e.logs != nil && e.logs.next != nil {
		add(0, ofTransit, nil, []held{{e.logs.at, e.logs.next}})
	}
	for i := range Shards {
		add(i, in(ofConns, i), e.sense.shards[i].Saved(), nil)
		if items := e.sense.written[i]; len(items) > 0 {
			list := make([]held, len(items))
			for k, it := range items {
				list[k] = held{it.at, it.r}
			}
			add(i, in(ofTransit, i), nil, list)
		}
		for d, m := range j.shards[i].memories {
			if m != nil {
				add(i, in(e.cfg.Detectors[d].Name, i), m, nil)
			}
		}
	}
	return parts, err
}

func (e *engine) past() *past {
	j := e.judge
	var position []byte
	if e.logs != nil {
		position = e.logs.position
	}
	return &past{
		epoch: e.clock, clock: e.kept, counted: e.counted, weirds: e.sense.weirds, local: j.local, guessed: j.guessed,
		ticked: j.clock, records: j.records, first: j.first, last: j.last, logs: j.logsSeen,
		position: position,
	}
}

// encode makes the sections of parts: length and bytes of the name, digest,
// length and bytes of the memory; lengths take eight bytes.
func encode(parts []part, size int) (b []byte, err error) {
	b = make([]byte, 0, size)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p.name)))
		b = append(b, p.name...)
		b = binary.BigEndian.AppendUint64(b, p.plan.Digest())
		b = append(b, make([]byte, 8)...)
		start := len(b)
		if p.v != nil {
			b, err = p.plan.Append(b, p.v)
		} else {
			b, err = appendItems(b, p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		binary.BigEndian.PutUint64(b[start-8:], uint64(len(b)-start))
	}
	return b, nil
}

// appendItems writes records one by one: they may share what they point to.
func appendItems(b []byte, p part) (_ []byte, err error) {
	var one []byte
	for i := range p.items {
		if one, err = p.plan.Append(one[:0], &p.items[i]); err != nil {
			return b, err
		}
		b = binary.AppendUvarint(b, uint64(len(one)))
		b = append(b, one...)
	}
	return b, nil
}

// ReadCheckpoint reads what write gave. An error that is ErrCheckpoint says
// that this version cannot go on from it at all; any other, that it is torn.
func ReadCheckpoint(r io.Reader) (*Checkpoint, error) {
	c := &Checkpoint{sections: map[string]section{}}
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		name, s, err := readSection(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		c.sections[name] = s
	}
	s, found := c.sections[ofRun]
	plan, err := snapshot.New().Of(&c.past)
	switch {
	case err != nil:
		return nil, err
	case !found || s.digest != plan.Digest():
		return nil, ErrCheckpoint
	}
	if err := plan.Read(s.body, &c.past); err != nil {
		return nil, fmt.Errorf("%s: %w", ofRun, err)
	}
	return c, nil
}

// readSection returns io.EOF where there is no more.
func readSection(in *bufio.Reader) (name string, s section, err error) {
	if _, err := in.Peek(1); err != nil {
		return "", s, err
	}
	text, err := readBytes(in, readLength(in))
	if err != nil {
		return "", s, err
	}
	s.digest = readLength(in)
	s.body, err = readBytes(in, readLength(in))
	return string(text), s, err
}

// readLength returns a length that is refused later where there is none.
func readLength(in io.Reader) uint64 {
	var b [8]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return math.MaxUint64
	}
	return binary.BigEndian.Uint64(b[:])
}

// readBytes takes no more memory than there are bytes.
func readBytes(in io.Reader, n uint64) ([]byte, error) {
	if n > maxSection {
		return nil, snapshot.ErrShort
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = snapshot.ErrShort
	}
	return b, err
}
