package intel

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

// A Format is a form in which others write indicators down. Each lives in a
// folder of its own below this one. A parser gives what it takes and tells
// of everything else by line and reason, so that taken and skipped together
// account for every value of the file. Its error is that of the reader, or
// says what made the rest of the file unreadable; what was given before
// stands.
type Format struct {
	Name string
	// Sniff tells by a file's first bytes (at most Head) whether it is of
	// this format; by its name only where content cannot.
	Sniff func(head []byte, name string) bool
	// Parse reads indicators; nil for a format that holds none.
	Parse Parser
	// Threats reads the groups, campaigns, software and techniques that a
	// file describes; nil for a format that describes none.
	Threats func(r io.Reader, give func(testudo.Threat), skip Skip) error
	// Warnings reads lists of what is well known or shared; nil for a format
	// that holds none.
	Warnings func(source string, r io.Reader, give func(WarningList), skip Skip) error
}

// A Parser reads the indicators of one file. Source becomes theirs.
type Parser func(source string, r io.Reader, give func(testudo.Indicator), skip Skip) error

// Skip is told of a value that was not taken: where, and why in words that
// are the same for all values of that sort.
type Skip = func(line int, why string)

// Head is how many bytes a Sniff is given of a file that has so many.
const Head = 8 << 10

// Pick returns the first of formats that a file is of.
func Pick(formats []Format, head []byte, name string) (Format, bool) {
	for _, f := range formats {
		if f.Sniff(head[:min(len(head), Head)], name) {
			return f, true
		}
	}
	return Format{}, false
}

// A WarningList is values that are well known, shared or benign. It
// annotates and protects; it never silently suppresses.
type WarningList struct {
	Name, Description string
	Type              string // how Values match: "cidr", "hostname", "string", "substring" or "regex"
	Values            []string
}

// Shaped returns the indicator that a value is by its shape.
func Shaped(source, value string) (testudo.Indicator, bool) {
	t, v, ok := Classify(value)
	return testudo.Indicator{Type: t, Value: v, Source: source, Confidence: -1}, ok
}

// Typed returns the indicator that a value is if it is of type t, as its
// source says. An address said of a prefix, or a prefix of an address, is
// taken for what it is; a name said of an address or of a URL without a path
// likewise. A URL of another scheme that names a server alone is the server.
func Typed(source string, t testudo.IndicatorType, value string) (testudo.Indicator, bool) {
	if t == testudo.HostIndicator && strings.HasPrefix(value, "*.") {
		t = testudo.DomainIndicator
	}
	in := testudo.Indicator{Type: t, Source: source, Confidence: -1}
	v, ok := Canonical(t, value)
	in.Value = v
	if ok {
		return in, true
	}
	switch t {
	case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator, testudo.HostIndicator, testudo.URLIndicator:
		if in.Type, in.Value, ok = Classify(value); !ok {
			in.Type, in.Value, ok = Classify(server(value))
		}
		if ok {
			return in, onNetwork(in.Type)
		}
	}
	return testudo.Indicator{}, false
}

// server returns the host of a URL that is not of the web and names nothing
// but a server ("tcp://203.0.113.7:443/"), else "".
func server(value string) string {
	_, host, ok := strings.Cut(Refang(value), "://")
	host = strings.TrimSuffix(host, "/")
	if !ok || strings.ContainsAny(host, "/?#@") {
		return ""
	}
	return host
}

func onNetwork(t testudo.IndicatorType) bool {
	switch t {
	case testudo.AddressIndicator, testudo.PrefixIndicator, testudo.DomainIndicator, testudo.HostIndicator, testudo.URLIndicator:
		return true
	}
	return false
}

// Unusable says why value, which Classify or Canonical does not take, is no
// indicator.
func Unusable(value string) string {
	v := Refang(value)
	switch {
	case v == "":
		return "an empty value"
	case len(v) > maxValue:
		return "a value longer than 8 KiB"
	case !plain(v):
		return "control characters or broken UTF-8"
	case v[0] == '/' || v[0] == '?':
		return "a path without a host, which any server may have"
	case strings.ContainsAny(v, "*^$\\"):
		return "a pattern, not one value"
	case len(v) >= 48 && allHex(v):
		return "a digest other than MD5, SHA-1 and SHA-256"
	case strings.Contains(v, "://"):
		return "a URL that is broken or not of the web"
	}
	return "no address, name, URL, email address or hash"
}

// Note joins what a source says of an indicator to one line of at most 240
// bytes, without what is empty or said twice.
func Note(parts ...string) string {
	note := ""
	for _, p := range parts {
		if p = oneLine(p); p == "" || note != "" && strings.Contains(note, p) {
			continue
		}
		if note == "" {
			note = p
		} else if len(note) <= maxNote {
			note += "; " + p
		}
	}
	if len(note) <= maxNote {
		return note
	}
	cut := maxNote - len("…")
	for !utf8.RuneStart(note[cut]) {
		cut--
	}
	return note[:cut] + "…"
}

// oneLine returns text with single blanks, in sound UTF-8.
func oneLine(text string) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == ' ' && (i == 0 || i == len(text)-1 || text[i-1] == ' ') {
			text = strings.Join(strings.Fields(text[:min(len(text), MaxLine)]), " ")
			return strings.ToValidUTF8(strings.Map(printed, text), "\uFFFD")
		}
	}
	return text
}

// printed drops what moves a terminal's cursor or changes its look.
func printed(c rune) rune {
	if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) {
		return -1
	}
	return c
}

// Confidence returns n bounded to what an indicator's confidence may be.
func Confidence(n int) int { return max(0, min(n, 100)) }

// MaxThreats bounds the names of threats that one indicator carries.
const MaxThreats = 32

// AddThreats returns list with the names that are not yet in it, however they
// are written, up to MaxThreats.
func AddThreats(list []string, names ...string) []string {
next:
	for _, n := range names {
		n = Note(n)
		if n == "" || len(list) >= MaxThreats {
			continue
		}
		for _, have := range list {
			if strings.EqualFold(have, n) {
				continue next
			}
		}
		list = append(list, n)
	}
	return list
}

// ParseTime reads a date or a time as lists write them: RFC 3339, with a
// blank for the T or none, without seconds or zone (UTC then), a day alone, or
// seconds or milliseconds since the epoch. It answers 0 for anything else and
// for what lies before 1990 or after 2200.
func ParseTime(s string) testudo.Time {
	s = strings.TrimSuffix(strings.TrimSpace(s), " UTC")
	if len(s) < len("2006-1-2") || len(s) > 40 {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n >= 6e8 && n < 7.3e9:
			return testudo.Time(n) * testudo.Time(time.Second)
		case n >= 6e11 && n < 7.3e12:
			return testudo.Time(n) * testudo.Time(time.Millisecond)
		}
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Year() < 1990 || t.Year() > 2200 {
				return 0
			}
			return testudo.TimeOf(t)
		}
	}
	return 0
}

var layouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04", "2006-01-02T15:04Z07:00", "2006/01/02 15:04:05", "2006/01/02", "2006_01_02", "20060102", "02-Jan-2006", "2 Jan 2006", "2 January 2006", "January 2, 2006", "Jan 2, 2006",
	time.RFC1123, time.RFC1123Z,
}

// Word returns a foreign word fit to be said in a reason: short, printable,
// "(none)" if there is none.
func Word(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "(none)"
	}
	if len(s) > 40 || !plain(s) {
		return "(unreadable)"
	}
	return s
}
