package intel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// set makes a Set of values by their shape.
func set(t testing.TB, values ...string) *Set {
	t.Helper()
	b := NewBuilder(nil)
	for _, v := range values {
		if b.Add(shaped(t, v)) != Taken {
			t.Fatalf("%q is not taken", v)
		}
	}
	return b.Seal()
}

func shaped(t testing.TB, value string) testudo.Indicator {
	t.Helper()
	typ, form, ok := Classify(value)
	if !ok {
		t.Fatalf("%q is no value", value)
	}
	return testudo.Indicator{Type: typ, Value: form, Source: "list", Confidence: -1}
}

func day(n int) testudo.Time {
	return testudo.TimeOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n))
}

func ends(orig, resp string) testudo.Meta {
	return testudo.Meta{ID: testudo.ConnID{Orig: netip.MustParseAddrPort(orig), Resp: netip.MustParseAddrPort(resp)}}
}

// TestMatch holds which fields of which records are looked up.
func TestMatch(t *testing.T) {
	ja3, cert, ja4 := strings.Repeat("ab", 16), strings.Repeat("cd", 32), "t13d1516h2_8daaf6152771_02713d6af862"
	s := set(t, "203.0.113.7", "198.51.100.0/25", "198.51.0.0/16", "2001:db8::/48", "2001:db8:1::/96", "spy.example", "https://drop.example/Gate.php?id=1",
		ja3, ja4, strings.ToUpper(cert), "http://port.example:8080/x", "http://only.example/", "http://path.example/a", "boss@mail.example")
	here := ends("10.0.0.5:4000", "192.0.2.1:443")
	for _, c := range []struct {
		name string
		r    testudo.Record
		want []string // field=value
	}{
		{"none", &testudo.Conn{Meta: here}, nil},
		{"resp", &testudo.Conn{Meta: ends("10.0.0.5:4000", "203.0.113.7:443")}, []string{"resp=203.0.113.7"}},
		{"orig", &testudo.Conn{Meta: ends("203.0.113.7:4000", "10.0.0.5:22")}, []string{"orig=203.0.113.7"}},
		{"mapped", &testudo.Conn{Meta: ends("[::ffff:203.0.113.7]:4000", "10.0.0.5:22")}, []string{"orig=203.0.113.7"}},
		{"prefixes", &testudo.Conn{Meta: ends("10.0.0.5:4000", "198.51.100.127:443")}, []string{"resp=198.51.100.0/25", "resp=198.51.0.0/16"}},
		{"beside a prefix", &testudo.Conn{Meta: ends("10.0.0.5:4000", "198.51.100.128:443")}, []string{"resp=198.51.0.0/16"}},
		{"beside both", &testudo.Conn{Meta: ends("10.0.0.5:4000", "198.52.0.0:443")}, nil},
		{"six", &testudo.Conn{Meta: ends("[fd00::1]:4000", "[2001:db8::99]:443")}, []string{"resp=2001:db8::/48"}},
		{"a long prefix of six", &testudo.Conn{Meta: ends("[fd00::1]:4000", "[2001:db8:1::99]:443")}, []string{"resp=2001:db8:1::/96"}},
		{"query", &testudo.DNS{Meta: here, Query: "a.b.SPY.example."}, []string{"query=spy.example"}},
		{"a name that only ends alike", &testudo.DNS{Meta: here, Query: "notspy.example"}, nil},
		{"the domain above", &testudo.DNS{Meta: here, Query: "example"}, nil},
		{"answer", &testudo.DNS{Meta: here, Query: "x.example", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7"), {}}, Answers: []string{"203.0.113.7"}}, []string{"answer=203.0.113.7"}},
		{"alias", &testudo.DNS{Meta: here, Query: "x.example", Answers: []string{"a.spy.example", "TXT 5 spy.example"}}, []string{"answer=spy.example"}},
		{"tls", &testudo.TLS{Meta: here, ServerName: "spy.example", JA3: ja3, JA4: ja4}, []string{"server_name=spy.example", "ja3=" + ja3, "ja4=" + ja4}},
		{"chain", &testudo.TLS{Meta: here, Chain: []string{cert}}, []string{"certificate=" + cert}},
		{"certificate", &testudo.X509{Meta: here, Fingerprint: cert}, []string{"certificate=" + cert}},
		{"empty fields", &testudo.TLS{Meta: here}, nil},
		{"quic", &testudo.QUIC{Meta: here, ServerName: "spy.example"}, []string{"server_name=spy.example"}},
		{"host", &testudo.HTTP{Meta: here, Host: "spy.example"}, []string{"host=spy.example"}},
		{"host with a port", &testudo.HTTP{Meta: here, Host: "www.spy.example:8080"}, []string{"host=spy.example"}},
		{"host alone", &testudo.HTTP{Meta: here, Host: "only.example"}, []string{"host=only.example"}},
		{"below a host alone", &testudo.HTTP{Meta: here, Host: "www.only.example"}, nil},
		{"url", &testudo.HTTP{Meta: here, Host: "Drop.example", URI: "/Gate.php?id=1"}, []string{"url=drop.example/Gate.php?id=1"}},
		{"url at port 80", &testudo.HTTP{Meta: here, Host: "drop.example:80", URI: "/Gate.php?id=1"}, []string{"url=drop.example/Gate.php?id=1"}},
		{"url asked of a proxy", &testudo.HTTP{Meta: here, Host: "drop.example", URI: "http://drop.example/Gate.php?id=1"}, []string{"url=drop.example/Gate.php?id=1"}},
		{"url with any question", &testudo.HTTP{Meta: here, Host: "path.example", URI: "/a?b=c"}, []string{"url=path.example/a"}},
		{"another path", &testudo.HTTP{Meta: here, Host: "drop.example", URI: "/index.html"}, nil},
		{"url with a port", &testudo.HTTP{Meta: here, Host: "port.example:8080", URI: "/x"}, []string{"url=port.example:8080/x"}},
		{"mail", &testudo.SMTP{Meta: here, From: "The Boss <Boss@Mail.example>", MailFrom: "x@spy.example"}, []string{"mailfrom=spy.example", "from=boss@mail.example"}},
		{"ssh", &testudo.SSH{Meta: here, HASSH: ja3}, []string{"hassh=" + ja3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, h := range s.Match(c.r) {
				got = append(got, fmt.Sprintf("%s=%s", h.Field, h.Value))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("hits %v, want %v", got, c.want)
			}
		})
	}
}

// TestSources holds what is told where several sources name one value, and
// that the order in which they came does not show.
func TestSources(t *testing.T) {
	var all []testudo.Indicator
	for i := range 11 {
		all = append(all, testudo.Indicator{
			Type: testudo.DomainIndicator, Value: "spy.example", Source: fmt.Sprintf("list %02d", i), Confidence: 10 * i,
			Last: day(i % 4), Note: "note", TLP: testudo.TLPGreen, Threats: []string{"APT X"},
		})
	}
	var want []testudo.Hit
	for _, order := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {10, 3, 5, 0, 9, 1, 8, 2, 7, 4, 6}} {
		b := NewBuilder(nil)
		for _, i := range order {
			old := all[i]
			old.Last, old.Note = day(-100), "older"
			if i%2 == 0 {
				b.Add(old)
			}
			if got := b.Add(all[i]); got == Refused || (got == Merged) != (i%2 == 0) {
				t.Fatalf("%d: outcome %d", i, got)
			}
			if i%3 == 0 && b.Add(old) != Merged {
				t.Fatal("an older word is not merged")
			}
		}
		s := b.Seal()
		got := s.Match(&testudo.DNS{Meta: testudo.Meta{Time: day(20)}, Query: "spy.example"})
		if s.Len() != 11 || s.Sources() != 11 || len(got) != maxGiven || got[7].More != 3 || got[0].More != 0 {
			t.Fatalf("%d indicators of %d sources, hits %+v", s.Len(), s.Sources(), got)
		}
		if h := got[0]; h.Source != "list 03" || h.Confidence != 30 || h.Listed != day(3) || h.TLP != testudo.TLPGreen || h.Note != "note" || !slices.Equal(h.Threats, []string{"APT X"}) || h.Marks != 0 {
			t.Errorf("the first hit is %+v", h)
		}
		if want == nil {
			want = got
		}
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("another order of sources tells\n%+v, not\n%+v", got, want)
		}
	}
}

// TestMarks holds what is taken with a mark.
func TestMarks(t *testing.T) {
	w := NewWarnings()
	for _, e := range []struct {
		mark        testudo.Marks
		kind        WarningKind
		list, value string
	}{
		{testudo.MarkKnown, WarnHostname, "big names", "Known.example"},
		{testudo.MarkShared, WarnHostname, "dynamic names", ".dyn.example"},
		{testudo.MarkShared, WarnCIDR, "cdn", "203.0.113.0/24"},
		{testudo.MarkKnown, WarnString, "top", "top.example"},
		{testudo.MarkKnown, WarnString, "top", "203.0.112.9"},
		{testudo.MarkKnown, WarnSubstring, "checks", "connectivity"},
		{testudo.MarkKnown, WarnRegex, "trackers", `/^ad[0-9]+\.track\.example$/i`},
		{testudo.MarkKnown, WarnString, "agents", "Mozilla/5.0 (X11)"},
	} {
		if err := w.Add(e.list, e.mark, e.kind, e.value); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		value string
		want  testudo.Marks
	}{
		{"203.0.112.7", 0},
		{"spy.example", 0},
		{"203.0.112.0/24", 0},
		{"2001:db8::/48", 0},
		{"spy.github.io", 0},
		{"spy.example/x", 0},
		{"8.8.8.8", testudo.MarkKnown},
		{"8.8.8.0/24", testudo.MarkKnown},
		{"2606:4700:4700::1111", testudo.MarkKnown},
		{"10.0.0.1", testudo.MarkPrivate},
		{"172.20.1.1", testudo.MarkPrivate},
		{"127.0.0.1", testudo.MarkPrivate},
		{"0.0.0.0", testudo.MarkPrivate},
		{"100.64.0.9", testudo.MarkPrivate},
		{"169.254.1.1", testudo.MarkPrivate},
		{"224.0.0.1", testudo.MarkPrivate},
		{"255.255.255.255", testudo.MarkPrivate},
		{"::1", testudo.MarkPrivate},
		{"fe80::1", testudo.MarkPrivate},
		{"fd00::1", testudo.MarkPrivate},
		{"10.0.0.1:80", testudo.MarkPrivate},
		{"http://192.168.1.1/admin", testudo.MarkPrivate},
		{"192.168.1.0/24", testudo.MarkPrivate},
		{"printer.local", testudo.MarkPrivate},
		{"fc00::/20", testudo.MarkWide | testudo.MarkPrivate},
		{"172.0.0.0/8", testudo.MarkWide | testudo.MarkPrivate},
		{"128.0.0.0/9", testudo.MarkWide},
		{"2a00::/16", testudo.MarkWide},
		{"0.0.0.0/0", testudo.MarkWide | testudo.MarkPrivate | testudo.MarkKnown},
		{"::/0", testudo.MarkWide | testudo.MarkPrivate | testudo.MarkKnown},
		{"co.uk", testudo.MarkSuffix},
		{"github.io", testudo.MarkSuffix},
		{"*.com", testudo.MarkSuffix},
		{"known.example", testudo.MarkKnown},
		{"www.known.example", testudo.MarkKnown},
		{"http://www.known.example/x", testudo.MarkKnown},
		{"dyn.example", testudo.MarkShared},
		{"spy.dyn.example", 0},
		{"203.0.113.9", testudo.MarkShared},
		{"203.0.113.128/25", testudo.MarkShared},
		{"203.0.113.0/24", testudo.MarkShared},
		{"203.0.112.9", testudo.MarkKnown},
		{"top.example", testudo.MarkKnown},
		{"www.top.example", 0},
		{"connectivity.some.example", testudo.MarkKnown},
		{"ad7.track.example", testudo.MarkKnown},
		{"ad.track.example", 0},
		{"d41d8cd98f00b204e9800998ecf8427e", testudo.MarkKnown},
	} {
		ind := shaped(t, c.value)
		if got := Mark(&ind, w); got != c.want {
			t.Errorf("%s: marked %q, want %q", c.value, got.Words(), c.want.Words())
		}
	}
	if got := w.Of(testudo.AgentIndicator, "Mozilla/5.0 (X11)"); len(got) != 1 || got[0] != (Warning{"agents", testudo.MarkKnown}) {
		t.Errorf("warnings of an agent: %v", got)
	}
	if n := w.Len(); n != 8 {
		t.Errorf("%d entries", n)
	}
	for _, bad := range []struct {
		kind  WarningKind
		value string
	}{{WarnRegex, `(?=x)y`}, {WarnRegex, strings.Repeat("x", 1001)}, {WarnSubstring, "a"}, {WarnCIDR, "known.example"}, {"fuzzy", "x"}, {WarnHostname, "no name!"}} {
		if w.Add("bad", testudo.MarkKnown, bad.kind, bad.value) == nil {
			t.Errorf("%s %.20q is taken", bad.kind, bad.value)
		}
	}
}

// TestExpiry holds when an indicator is no longer believed.
func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		ind  testudo.Indicator
		last int // the last day on which it is believed; -1 for never expired
	}{
		{testudo.Indicator{Type: testudo.AddressIndicator, Value: "203.0.113.7", Last: day(0)}, 180},
		{testudo.Indicator{Type: testudo.AddressIndicator, Value: "203.0.113.7", First: day(0)}, 180},
		{testudo.Indicator{Type: testudo.AddressIndicator, Value: "203.0.113.7", First: day(-900), Last: day(0)}, 180},
		{testudo.Indicator{Type: testudo.AddressIndicator, Value: "203.0.113.7", Last: day(0), Expires: day(7)}, 7},
		{testudo.Indicator{Type: testudo.AddressIndicator, Value: "203.0.113.7"}, -1},
		{testudo.Indicator{Type: testudo.DomainIndicator, Value: "spy.example", Last: day(0)}, 365},
		{testudo.Indicator{Type: testudo.JA4Indicator, Value: "t13d1516h2_8daaf6152771_02713d6af862", Last: day(0)}, 730},
		{testudo.Indicator{Type: testudo.HashIndicator, Value: strings.Repeat("ab", 32), Last: day(0)}, -1},
	} {
		c.ind.Source = "list"
		b := NewBuilder(nil)
		b.Add(c.ind)
		s := b.Seal()
		for _, at := range []int{-2000, c.last, c.last + 1, c.last + 20000} {
			hits := s.Lookup(c.ind.Type, c.ind.Value, day(at))
			if want := c.last >= 0 && at > c.last; len(hits) != 1 || (hits[0].Marks&testudo.MarkExpired != 0) != want {
				t.Errorf("%s %+v on day %d: %+v, want it expired: %v", c.ind.Type, c.ind, at, hits, want)
			}
		}
	}
}

// TestHolds holds that what is nobody's makes nothing shared.
func TestHolds(t *testing.T) {
	s := set(t, "203.0.113.0/24", "cdn.example", "10.0.0.0/8", "co.uk", "0.0.0.0/0")
	for _, c := range []struct {
		addr, domain string
		want         bool
	}{{"203.0.113.9", "", true}, {"203.0.112.9", "", false}, {"10.0.0.1", "", false}, {"10.0.0.1", "a.cdn.example", true}, {"10.0.0.1", "x.co.uk", false}} {
		if got := s.Holds(netip.MustParseAddr(c.addr), c.domain); got != c.want {
			t.Errorf("%s %s: %v", c.addr, c.domain, got)
		}
	}
	if s.Holds(netip.Addr{}, "") {
		t.Error("nothing is held")
	}
}

// FuzzMatch holds that no value and no record breaks a set, and that whatever
// is taken is found again.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"203.0.113.7", "spy.example", "hxxp://a[.]b.example:1/x", "10.0.0.0/8", "2001:db8::/70", "*.*.example", "t13d1516h2_8daaf6152771_02713d6af862", "a@b.example"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, value, other string) {
		b := NewBuilder(nil)
		typ, form, ok := Classify(value)
		if ok && b.Add(testudo.Indicator{Type: typ, Value: form, Source: "list"}) != Taken {
			t.Fatalf("%s %q is not taken", typ, form)
		}
		s := b.Seal()
		if ok && len(s.Lookup(typ, form, 0)) == 0 && typ != testudo.PrefixIndicator {
			t.Fatalf("%s %q is not found", typ, form)
		}
		for _, r := range []testudo.Record{
			&testudo.HTTP{Host: other, URI: other, UserAgent: other}, &testudo.DNS{Query: other, Answers: []string{other}},
			&testudo.TLS{ServerName: other, JA3: other, JA4: other, Chain: []string{other}}, &testudo.SMTP{From: other, Helo: other, RcptTo: []string{other}},
		} {
			s.Match(r)
		}
	})
}

// TestRanges holds the search for prefixes against looking at each.
func TestRanges(t *testing.T) {
	seed := uint64(1)
	next := func() uint64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return seed >> 11
	}
	for round := range 200 {
		b := NewBuilder(nil)
		var all []netip.Prefix
		for range round % 40 {
			a := netip.AddrFrom4([4]byte{byte(next() % 3 * 127), byte(next() % 3), byte(next()), byte(next())})
			p, _ := a.Prefix(int(next() % 32))
			if b.Add(testudo.Indicator{Type: testudo.PrefixIndicator, Value: p.String(), Source: "list"}) == Taken {
				all = append(all, p)
			}
		}
		s := b.Seal()
		for range 200 {
			a := netip.AddrFrom4([4]byte{byte(next() % 3 * 127), byte(next() % 3), byte(next()), byte(next())})
			var got, want []string
			for _, h := range s.Lookup(testudo.AddressIndicator, a.String(), 0) {
				got = append(got, h.Value)
			}
			for _, p := range all {
				if p.Contains(a) {
					want = append(want, p.String())
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%v in %v: %v, want %v", a, all, got, want)
			}
		}
	}
}
