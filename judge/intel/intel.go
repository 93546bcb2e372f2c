// Package intel holds indicators and finds them in records. A hit annotates:
// it says that a source names the value, never that the source is right.
// Lists are dirty and rot, so what cannot be blamed on one party (a private
// address, a public suffix, a well-known name) is taken with a mark, and each
// hit says when the source saw it. Each format of lists has a folder below.
package intel

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Set is indicators of any number of sources, ready to be matched. It is
// never changed, and may be used from anywhere. A million indicators take
// less than 200 MB.
type Set struct {
	index    index // by a value: its first mention, and 1
	filter   filter
	mentions pages[mention]
	details  []detail
	nets     prefixes
	has      [keys]bool
	sources  int
}

// mention is that one source names one value. Times are in seconds.
type mention struct {
	next            uint32 // the value's next mention, and 1; newest first
	detail          uint32
	note            uint32 // where it stands in the arena
	listed, expires uint32
	marks           testudo.Marks
	kind            uint8 // index in typesInOrder
}

// detail is what many mentions of one source have in common.
type detail struct {
	source     string
	threats    []string
	confidence int8
	tlp        testudo.TLP
}

var typesInOrder = [...]testudo.IndicatorType{
	testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator, testudo.HostIndicator, testudo.URLIndicator, testudo.EmailIndicator,
	testudo.AgentIndicator, testudo.JA3Indicator, testudo.JA4Indicator, testudo.CertIndicator, testudo.HashIndicator,
}

// Len returns how many indicators the set holds: a value that three sources
// name is three. Sources returns how many sources named any.
func (s *Set) Len() int { return int(s.mentions.n) }

// Sources returns how many sources the indicators came from.
func (s *Set) Sources() int { return s.sources }

// Outcome is what became of an indicator that was added.
type Outcome uint8

// The outcomes.
const (
	Refused Outcome = iota // its value is none of its type, or there is no room
	Taken
	Merged // the same source had named the value as that type; the newer word stays
)

// Builder collects indicators for a Set. The order in which they come does
// not matter.
type Builder struct {
	set     Set
	warn    *Warnings
	known   map[string]uint32 // details by what they hold
	latest  uint32            // the detail that was used last
	notes   map[string]uint32 // where notes stand
	sources map[string]bool
	buf     []byte
}

// NewBuilder returns a Builder that marks what warn warns of; it may be nil.
func NewBuilder(warn *Warnings) *Builder {
	b := &Builder{
		set: Set{index: newIndex()}, warn: warn,
		known: map[string]uint32{}, notes: map[string]uint32{}, sources: map[string]bool{},
	}
	b.note("") // stands at 0
	return b
}

// Len returns how many indicators were taken until now.
func (b *Builder) Len() int { return b.set.Len() }

// Add takes an indicator. Its marks are made here, see Mark; its licence is
// not kept.
func (b *Builder) Add(ind testudo.Indicator) Outcome {
	value, ok := Canonical(ind.Type, ind.Value)
	if !ok {
		return Refused
	}
	ind.Value = value
	if b.buf, ok = appendKey(b.buf[:0], ind.Type, value); !ok {
		return Refused
	}
	s := &b.set
	key, isNew, ok := s.index.put(b.buf)
	if !ok {
		return Refused
	}
	if isNew {
		s.has[b.buf[0]] = true
		if b.buf[0] == prefixKey {
			s.nets.add(prefixOf(b.buf), key)
		}
	}
	return b.mention(key, mention{
		detail: b.detail(&ind), note: b.note(ind.Note), marks: Mark(&ind, b.warn),
		listed: seconds(listed(&ind)), expires: seconds(Expires(&ind)),
		kind: uint8(slices.Index(typesInOrder[:], ind.Type)),
	})
}

// mention puts m in its place among what is said of a value. What its source
// said before of the value as that type gives way, or stays if it is newer.
func (b *Builder) mention(key uint32, m mention) Outcome {
	s := &b.set
	at := s.take(key, &m)
	if at == 0 {
		s.insert(key, s.mentions.push(m)+1)
		return Taken
	}
	if old := s.mentions.at(at - 1); !s.before(old, &m) {
		*old = m
	}
	s.insert(key, at)
	return Merged
}

// take removes the mention by m's source as m's type from a value's list, and
// returns its number, and 1; 0 where there is none.
func (s *Set) take(key uint32, m *mention) uint32 {
	last := uint32(0)
	for at := s.index.word(key); at != 0; {
		old := s.mentions.at(at - 1)
		if old.kind == m.kind && s.details[old.detail].source == s.details[m.detail].source {
			s.link(key, last, old.next)
			return at
		}
		last, at = at, old.next
	}
	return 0
}

// insert puts a mention in its place in a value's list.
func (s *Set) insert(key, at uint32) {
	m := s.mentions.at(at - 1)
	last, next := uint32(0), s.index.word(key)
	for next != 0 && s.before(s.mentions.at(next-1), m) {
		last, next = next, s.mentions.at(next-1).next
	}
	m.next = next
	s.link(key, last, at)
}

// link makes next the one behind last in a value's list, its first for 0.
func (s *Set) link(key, last, next uint32) {
	if last == 0 {
		s.index.set(key, next)
	} else {
		s.mentions.at(last - 1).next = next
	}
}

// before orders mentions of one value: the newest first, those of unknown age
// last, then by all else that is told, so that the order in which they were
// added never shows.
func (s *Set) before(a, b *mention) bool {
	x, y := &s.details[a.detail], &s.details[b.detail]
	c := cmp.Or(cmp.Compare(b.listed, a.listed), cmp.Compare(x.source, y.source), cmp.Compare(a.kind, b.kind),
		cmp.Compare(b.expires, a.expires), cmp.Compare(y.confidence, x.confidence), cmp.Compare(y.tlp, x.tlp))
	if c == 0 && a.note != b.note {
		c = cmp.Compare(string(s.index.text.at(a.note)), string(s.index.text.at(b.note)))
	}
	return cmp.Or(c, slices.Compare(x.threats, y.threats)) <= 0
}

// detail returns the number of what ind has in common with others.
func (b *Builder) detail(ind *testudo.Indicator) uint32 {
	conf := int8(max(-1, min(100, ind.Confidence)))
	if n := len(b.set.details); n > 0 {
		d := &b.set.details[b.latest]
		if d.source == ind.Source && d.confidence == conf && d.tlp == ind.TLP && slices.Equal(d.threats, ind.Threats) {
			return b.latest
		}
	}
	key := ind.Source + "\x00" + string([]byte{byte(conf), byte(ind.TLP)}) + strings.Join(ind.Threats, "\x00")
	at, ok := b.known[key]
	if !ok {
		at = uint32(len(b.set.details))
		b.known[key] = at
		b.sources[ind.Source] = true
		b.set.details = append(b.set.details, detail{ind.Source, slices.Clone(ind.Threats), conf, ind.TLP})
	}
	b.latest = at
	return at
}

// The bounds of what is kept of notes: a line, and how many different ones
// are compared so that equal ones are kept once.
const (
	maxNote  = 240
	maxNotes = 1 << 15
)

// note returns where a note stands; 0, where the empty one does, if there is
// no room.
func (b *Builder) note(note string) uint32 {
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	at, ok := b.notes[note]
	if ok {
		return at
	}
	if at, ok = b.set.index.text.put([]byte(note)); !ok {
		return 0
	}
	if len(b.notes) < maxNotes {
		b.notes[strings.Clone(note)] = at
	}
	return at
}

// seconds keeps a time of the years 1970 to 2105; 0 is none.
func seconds(t testudo.Time) uint32 {
	if t <= 0 {
		return 0
	}
	return uint32(min(max(1, int64(t)/1e9), math.MaxUint32))
}

// Seal returns the Set. The Builder is of no more use.
func (b *Builder) Seal() *Set {
	s := b.set
	s.sources = len(b.sources)
	s.filter = s.index.filter()
	s.nets.seal()
	*b = Builder{}
	return &s
}

// Holds tells whether the set names an address or a domain (or one above it),
// what is marked as nobody's or too wide apart.
func (s *Set) Holds(a netip.Addr, domain string) bool {
	l := look{set: s}
	if a.IsValid() {
		l.addr("", a)
	}
	l.name("", domain)
	return slices.ContainsFunc(l.hits, func(h testudo.Hit) bool {
		return h.Marks&(testudo.MarkPrivate|testudo.MarkSuffix|testudo.MarkWide) == 0
	})
}
