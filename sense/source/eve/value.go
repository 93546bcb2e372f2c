package eve

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// refuse notes a field whose value is not of its type; the first one counts.
func (p *parser) refuse(f logs.Pair) {
	if p.bad == "" {
		p.bad = string(f.Key)
	}
}

func (p *parser) text(f logs.Pair) string {
	if f.Sort == '[' || f.Sort == '0' && string(f.Raw) == "null" {
		return ""
	}
	return p.words.Intern(p.object.Text(f.Raw, f.Sort))
}

// texts returns a list's elements, or one text as a list of it.
func (p *parser) texts(f logs.Pair) []string {
	items := p.object.List(f)
	if len(items) == 0 {
		return nil
	}
	s := make([]string, len(items))
	for i, b := range items {
		s[i] = p.words.Intern(b)
	}
	return s
}

// count reads a whole number that is not negative.
func (p *parser) count(f logs.Pair) int64 {
	n, err := logs.ParseInt(f.Raw)
	if err != nil || n < 0 {
		p.refuse(f)
		return 0
	}
	return n
}

func (p *parser) port(f logs.Pair) uint16 {
	n, err := logs.ParsePort(f.Raw)
	if err != nil {
		p.refuse(f)
	}
	return n
}

func (p *parser) truth(f logs.Pair) bool { return string(f.Raw) == "true" }

func (p *parser) addr(f logs.Pair) netip.Addr {
	if len(f.Raw) == 0 {
		return netip.Addr{}
	}
	a, err := logs.ParseAddr(f.Raw)
	if err != nil {
		p.refuse(f)
	}
	return a
}

// addrs returns the addresses of a list, leaving out what is none.
func (p *parser) addrs(f logs.Pair) (all []netip.Addr) {
	for _, b := range p.object.List(f) {
		if a, err := logs.ParseAddr(b); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// time reads a time that a record is put in order by.
func (p *parser) time(f logs.Pair) testudo.Time {
	t, ok := stamp(f.Raw)
	if !ok || t > logs.MaxTraffic*1e9 || t < -logs.MaxTraffic*1e9 {
		p.refuse(f)
		return 0
	}
	return t
}

// stamp reads Suricata's form of a time, 2024-01-02T03:04:05.123456+0000; the
// zone may have a colon, be Z or be missing, which is UTC. A time further
// away than nanoseconds reach is cut.
func stamp(b []byte) (testudo.Time, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, ok1 := number(b[0:4])
	month, ok2 := number(b[5:7])
	day, ok3 := number(b[8:10])
	hour, ok4 := number(b[11:13])
	minute, ok5 := number(b[14:16])
	second, ok6 := number(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 {
		return 0, false
	}
	s := days(year, month, day)*86400 + hour*3600 + minute*60 + second
	b = b[19:]
	var ns int64
	if len(b) > 0 && b[0] == '.' {
		unit := int64(1e8)
		for b = b[1:]; len(b) > 0 && b[0] >= '0' && b[0] <= '9'; b = b[1:] {
			ns += int64(b[0]-'0') * unit
			unit /= 10
		}
	}
	offset, ok := zone(b)
	s -= offset
	return testudo.Time(max(-logs.MaxSeconds, min(s, logs.MaxSeconds))*1e9 + ns), ok
}

// zone reads an offset from UTC in seconds.
func zone(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) == 6 && b[3] == ':' {
		b = []byte{b[0], b[1], b[2], b[4], b[5]}
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, ok1 := number(b[1:3])
	m, ok2 := number(b[3:5])
	s := h*3600 + m*60
	if b[0] == '-' {
		s = -s
	}
	return s, ok1 && ok2
}

// number reads digits only.
func number(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// days counts the days from the epoch to a date of the Gregorian calendar,
// with years that begin in March so that leap days come last.
func days(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// since returns the time from a to b, never negative and never beyond what a
// record's time can be moved by.
func since(a, b testudo.Time) time.Duration {
	return max(0, min(b.Sub(a), logs.MaxTraffic*time.Second))
}

// name turns a distinguished name as Suricata writes it, "C=US, O=a, CN=b",
// into the order and form of RFC 4514, "CN=b,O=a,C=US".
func name(s string) string {
	parts := make([]string, 0, 8)
	start := 0
	for i := 0; i+2 < len(s); i++ {
		if s[i] == ',' && s[i+1] == ' ' && begins(s[i+2:]) {
			parts = append(parts, s[start:i])
			start = i + 2
		}
	}
	if len(parts) == 0 {
		return s
	}
	parts = append(parts, s[start:])
	var b strings.Builder
	b.Grow(len(s))
	for i := len(parts) - 1; i >= 0; i-- {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(parts[i])
	}
	return b.String()
}

// begins says whether an attribute, "CN=", begins s.
func begins(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '=':
			return i > 0
		case i == 32 || c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z'):
			return false
		}
	}
	return false
}
