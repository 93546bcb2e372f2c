package intel

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/testudo-shield/testudo"
)

// WarningKind is how an entry of a warning list is compared, in MISP's words.
type WarningKind string

// The kinds.
const (
	WarnString    WarningKind = "string"    // the value itself
	WarnHostname  WarningKind = "hostname"  // the name; below it what is well known, see Warnings
	WarnCIDR      WarningKind = "cidr"      // addresses and prefixes within it
	WarnSubstring WarningKind = "substring" // values that contain it
	WarnRegex     WarningKind = "regex"     // values that fit it (RE2)
)

// Warnings is values known to be shared or benign, by list. They mark
// indicators and silence nothing. Of WarnHostname the names below one that is
// MarkKnown are its owner's and bear the mark, too; those below one that is
// MarkShared are its customers' and do not. Memory and time are bounded: 4096
// substrings and 1024 expressions, which are compared one by one.
type Warnings struct {
	lists   []Warning
	index   index // by a value: its first entry, and 1
	entries pages[warned]
	bits4   [33]bool // lengths of prefixes that the index holds
	bits6   [129]bool
	parts   []part
	exprs   []expr
}

// Warning is that a list names a value, and what that means.
type Warning struct {
	List string
	Mark testudo.Marks
}

type warned struct {
	next uint32
	list uint32
	host bool // WarnHostname
}

type part struct {
	text string
	list uint32
}

type expr struct {
	re   *regexp.Regexp
	list uint32
}

const (
	maxParts = 4096
	maxExprs = 1024
	maxExpr  = 1000
)

// ErrWarning says that an entry of a warning list cannot be used.
var ErrWarning = errors.New("warning not used")

// NewWarnings returns an empty set. It is read-only after the last Add.
func NewWarnings() *Warnings { return &Warnings{index: newIndex()} }

// Len returns how many entries the set holds.
func (w *Warnings) Len() int { return int(w.entries.n) + len(w.parts) + len(w.exprs) }

// Add takes an entry of a list. Its mark is what the list's values are:
// MarkShared or MarkKnown. An entry that cannot be compared is refused with
// the reason; errors.Is ErrWarning.
func (w *Warnings) Add(list string, mark testudo.Marks, kind WarningKind, value string) error {
	at := w.list(Warning{list, mark})
	switch kind {
	case WarnSubstring:
		if len(value) < 3 || len(value) > maxValue || len(w.parts) >= maxParts {
			return fmt.Errorf("%w: a substring of fewer than 3 letters, or more than %d of them", ErrWarning, maxParts)
		}
		w.parts = append(w.parts, part{strings.ToLower(value), at})
		return nil
	case WarnRegex:
		return w.expression(at, value)
	case WarnString, WarnHostname, WarnCIDR:
		key, ok := warningKey(kind, value)
		if !ok {
			return fmt.Errorf("%w: no %s: %.80q", ErrWarning, kind, value)
		}
		return w.put(key, warned{list: at, host: kind == WarnHostname})
	}
	return fmt.Errorf("%w: kind %.80q is none of string, hostname, cidr, substring, regex", ErrWarning, kind)
}

func (w *Warnings) list(l Warning) uint32 {
	for i := len(w.lists) - 1; i >= 0; i-- {
		if w.lists[i] == l {
			return uint32(i)
		}
	}
	w.lists = append(w.lists, l)
	return uint32(len(w.lists) - 1)
}

// expression takes a regular expression, without the slashes that some lists
// put around it. What RE2 has not (look-around, back references) is refused.
func (w *Warnings) expression(list uint32, value string) error {
	if n := len(value); n > 2 && value[0] == '/' {
		if i := strings.LastIndexByte(value, '/'); i > 0 && strings.Trim(value[i+1:], "i") == "" {
			value = value[1:i]
		}
	}
	if len(value) > maxExpr || len(w.exprs) >= maxExprs {
		return fmt.Errorf("%w: an expression of more than %d letters, or more than %d of them", ErrWarning, maxExpr, maxExprs)
	}
	re, err := regexp.Compile("(?i)" + value)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWarning, err)
	}
	w.exprs = append(w.exprs, expr{re, list})
	return nil
}

// warningKey returns the key of an entry that is compared as a whole.
func warningKey(kind WarningKind, value string) ([]byte, bool) {
	t, form, ok := Classify(value)
	switch {
	case ok && kind == WarnCIDR && t != testudo.AddressIndicator && t != testudo.PrefixIndicator:
		return nil, false
	case ok:
		return appendKey(nil, t, form)
	}
	name, ok := Name(strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(value), "*"), "."))
	switch {
	case kind == WarnCIDR:
		return nil, false
	case ok:
		return appendKey(nil, testudo.DomainIndicator, name)
	case kind == WarnString && plain(strings.TrimSpace(value)):
		return appendKey(nil, testudo.AgentIndicator, strings.TrimSpace(value))
	}
	return nil, false
}

func (w *Warnings) put(key []byte, e warned) error {
	at, isNew, ok := w.index.put(key)
	if !ok {
		return fmt.Errorf("%w: there is no room", ErrWarning)
	}
	if isNew && key[0] == prefixKey {
		w.lengths(len(key))[key[len(key)-1]] = true
	}
	for n := w.index.word(at); n != 0; {
		old := w.entries.at(n - 1)
		if n = old.next; old.list == e.list && old.host == e.host {
			return nil
		}
	}
	e.next = w.index.word(at)
	w.index.set(at, w.entries.push(e)+1)
	return nil
}

// lengths returns the lengths of the family whose prefixes have keys as long.
func (w *Warnings) lengths(key int) []bool {
	if key == 1+4+1 {
		return w.bits4[:]
	}
	return w.bits6[:]
}

// Of returns the warnings about a value in its canonical form.
func (w *Warnings) Of(t testudo.IndicatorType, value string) (all []Warning) {
	seen := map[uint32]bool{}
	w.each(t, value, func(list uint32) {
		if !seen[list] {
			seen[list] = true
			all = append(all, w.lists[list])
		}
	})
	return all
}

// marks returns what the warnings about a value come to. That a network is
// rented out says nothing of one address in it: attackers rent, too.
func (w *Warnings) marks(t testudo.IndicatorType, value string) (m testudo.Marks) {
	if w != nil {
		w.each(t, value, func(list uint32) { m |= w.lists[list].Mark })
	}
	if t == testudo.AddressIndicator {
		m &^= testudo.MarkWide
	}
	return m
}

func (w *Warnings) each(t testudo.IndicatorType, value string, yield func(list uint32)) {
	var buf [256]byte
	if key, ok := appendKey(buf[:0], t, value); ok {
		w.same(key, func(e *warned) { yield(e.list) })
	}
	switch t {
	case testudo.DomainIndicator, testudo.HostIndicator:
		w.above(value, yield)
	case testudo.AddressIndicator:
		if a, err := netip.ParseAddr(value); err == nil {
			w.around(a, a.BitLen(), yield)
		}
	case testudo.PrefixIndicator:
		if p, err := netip.ParsePrefix(value); err == nil {
			w.around(p.Addr(), p.Bits()-1, yield)
		}
	}
	if len(w.parts) == 0 && len(w.exprs) == 0 {
		return
	}
	lower := strings.ToLower(value)
	for _, p := range w.parts {
		if strings.Contains(lower, p.text) {
			yield(p.list)
		}
	}
	for _, e := range w.exprs {
		if e.re.MatchString(value) {
			yield(e.list)
		}
	}
}

func (w *Warnings) same(key []byte, yield func(e *warned)) {
	at, ok := w.index.find(w.index.hash(key), key)
	if !ok {
		return
	}
	for n := w.index.word(at); n != 0; {
		e := w.entries.at(n - 1)
		yield(e)
		n = e.next
	}
}

// above yields the lists that know a name above name for their owner's.
func (w *Warnings) above(name string, yield func(list uint32)) {
	var buf [256]byte
	for {
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return
		}
		name = name[i+1:]
		w.same(append(append(buf[:0], nameKey), name...), func(e *warned) {
			if e.host && w.lists[e.list].Mark&testudo.MarkKnown != 0 {
				yield(e.list)
			}
		})
	}
}

// around yields the lists with a prefix of at most bits that a lies in.
func (w *Warnings) around(a netip.Addr, bits int, yield func(list uint32)) {
	lengths := w.bits6[:]
	if a.Is4() {
		lengths = w.bits4[:]
	}
	var buf [18]byte
	for n := bits; n >= 0; n-- {
		if !lengths[n] {
			continue
		}
		if p, err := a.Prefix(n); err == nil {
			w.same(appendPrefix(buf[:0], p), func(e *warned) { yield(e.list) })
		}
	}
}
