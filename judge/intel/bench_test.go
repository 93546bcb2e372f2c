package intel

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/testudo-shield/testudo"
)

// million is a set like those that shields are given: addresses, domains,
// URLs, digests and prefixes, some of them from two sources, dated, with notes.
func million(tb testing.TB, n int) *Set {
	tb.Helper()
	b := NewBuilder(nil)
	for i := range n {
		ind := testudo.Indicator{Source: fmt.Sprint("feed ", i>>10), Confidence: i % 101, Last: day(-(i % 400)), Note: fmt.Sprint("family ", i%977)}
		switch i % 20 {
		case 0, 1, 2, 3, 4, 5:
			ind.Type, ind.Value = testudo.AddressIndicator, address(i).String()
		case 6, 7, 8, 9, 10, 11, 12, 13:
			ind.Type, ind.Value = testudo.DomainIndicator, domainName(i)
		case 14, 15, 16:
			ind.Type, ind.Value = testudo.URLIndicator, fmt.Sprintf("%s/wp-content/%x/gate.php?id=%d", domainName(i), i*2654435761, i)
		case 17, 18:
			ind.Type, ind.Value = testudo.HashIndicator, fmt.Sprintf("%016x%016x%016x%016x", i, i*31, i*37, i*41)
		case 19:
			ind.Type, ind.Value = testudo.PrefixIndicator, netip.PrefixFrom(address(i), 20+i/20%9).Masked().String()
		}
		if b.Add(ind) != Taken && ind.Type != testudo.PrefixIndicator {
			tb.Fatalf("%+v is not taken", ind)
		}
	}
	return b.Seal()
}

func address(i int) netip.Addr {
	x := uint32(i) * 2654435761
	return netip.AddrFrom4([4]byte{byte(x>>24)%200 + 20, byte(x >> 16), byte(x >> 8), byte(i)})
}

func domainName(i int) string { return fmt.Sprintf("update-%x.cdn%d.example", i*40503, i%5000) }

// BenchmarkMatch measures a look at one record against a million indicators;
// the mixture has a hit in 200 records and six values to look up in each.
func BenchmarkMatch(b *testing.B) {
	s := million(b, 1e6)
	records := map[string][]testudo.Record{}
	add := func(kind string, r testudo.Record) {
		records[kind] = append(records[kind], r)
		records["mixture"] = append(records["mixture"], r)
	}
	for i := range 4096 {
		far := netip.AddrFrom4([4]byte{byte(i)%200 + 20, byte(i >> 3), byte(i * 7), 200})
		m := testudo.Meta{Time: day(0), ID: testudo.ConnID{Orig: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 4000), Resp: netip.AddrPortFrom(far, 443)}}
		name := fmt.Sprintf("www%d.shop%d.co.example", i, i*13)
		if i%200 == 0 {
			name = "a." + domainName(i*20+7)
		}
		add("conn", &testudo.Conn{Meta: m})
		add("dns", &testudo.DNS{Meta: m, Query: name, Addresses: []netip.Addr{far}})
		add("tls", &testudo.TLS{Meta: m, ServerName: name, JA3: fmt.Sprintf("%032x", i), JA4: "t13d1516h2_8daaf6152771_02713d6af862"})
		add("http", &testudo.HTTP{Meta: m, Host: name, URI: "/index.html?page=" + fmt.Sprint(i), UserAgent: "Mozilla/5.0"})
	}
	for _, kind := range []string{"conn", "dns", "tls", "http", "mixture"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				s.Match(records[kind][i%len(records[kind])])
			}
		})
	}
}

// BenchmarkLookup measures one value of each sort, in the set and not.
func BenchmarkLookup(b *testing.B) {
	s := million(b, 1e6)
	for _, hit := range []bool{false, true} {
		off := 20 // by sort: what is in the set and what is beyond it
		if !hit {
			off = 20e6
		}
		addrs, names, hosts, urls, prints := make([]netip.Addr, 1<<12), make([]string, 1<<12), make([]string, 1<<12), make([]string, 1<<12), make([]string, 1<<12)
		for i := range addrs {
			n := i*240 + off
			addrs[i], names[i] = address(n), domainName(n+7)
			if !hit {
				addrs[i] = netip.AddrFrom4([4]byte{15, byte(i >> 8), byte(i), 1})
			}
			hosts[i] = domainName(n + 14)
			urls[i] = fmt.Sprintf("/wp-content/%x/gate.php?id=%d", (n+14)*2654435761, n+14)
			prints[i] = fmt.Sprintf("%016x%016x%016x%016x", n+17, (n+17)*31, (n+17)*37, (n+17)*41)
		}
		run := func(kind string, one func(l *look, i int)) {
			b.Run(fmt.Sprintf("%s/hit=%v", kind, hit), func(b *testing.B) {
				b.ReportAllocs()
				found := 0
				l := look{set: s, hits: make([]testudo.Hit, 0, 64)}
				for i := range b.N {
					l.hits = l.hits[:0]
					one(&l, i%len(addrs))
					found += min(1, len(l.hits))
				}
				if hit && found < b.N*9/10 || !hit && found > b.N/10 {
					b.Errorf("%d of %d found", found, b.N)
				}
			})
		}
		run("address", func(l *look, i int) { l.addr("resp", addrs[i]) })
		run("domain", func(l *look, i int) { l.name("query", names[i]) })
		run("url", func(l *look, i int) { l.url("url", hosts[i], urls[i]) })
		// Whether it is there, without what is said of it.
		var buf [256]byte
		find := func(l *look, key []byte) {
			if _, ok := l.find(key); ok {
				l.hits = l.hits[:1]
			}
		}
		run("address only found", func(l *look, i int) { find(l, appendAddr(append(buf[:0], addressKey), addrs[i])) })
		run("domain only found", func(l *look, i int) { find(l, append(append(buf[:0], nameKey), names[i]...)) })
		run("print", func(l *look, i int) { l.digest("certificate", prints[i]) })
	}
}

// BenchmarkBuild measures taking and sealing a million indicators, and what
// they hold of memory when that is done.
func BenchmarkBuild(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := million(b, 1e6)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		runtime.KeepAlive(s)
	}
}

// TestMemory holds the budget: 200 bytes an indicator, and no allocation for
// a record that nothing matches.
func TestMemory(t *testing.T) {
	const n = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := million(t, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := float64(after.HeapAlloc-before.HeapAlloc) / n; per > 150 {
		t.Errorf("%.0f bytes an indicator", per)
	}
	meta := ends("10.0.0.5:4000", "15.0.0.1:443")
	for _, r := range []testudo.Record{
		&testudo.Conn{Meta: meta}, &testudo.DNS{Meta: meta, Query: "www.Shop.example", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{15, 0, 0, 2})}, Answers: []string{"a.shop.example"}},
		&testudo.TLS{Meta: meta, ServerName: "www.shop.example", JA3: "e7d705a3286e19ea42f587b344ee6865", JA4: "t13d1516h2_8daaf6152771_02713d6af862", Chain: []string{"00"}},
		&testudo.HTTP{Meta: meta, Host: "www.shop.example:8080", URI: "/index.html?page=1", UserAgent: "Mozilla/5.0 (X11)"},
		&testudo.SMTP{Meta: meta, From: "A <a@b.example>", RcptTo: []string{"c@d.example"}},
	} {
		if n := testing.AllocsPerRun(100, func() { s.Match(r) }); n != 0 {
			t.Errorf("%s: %.0f allocations", r.Log(), n)
		}
	}
}
