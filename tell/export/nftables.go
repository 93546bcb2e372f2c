package export

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// NFTables writes a file for "nft -f" that makes, or makes anew, four sets in
// one table: hosts4 and hosts6 hold addresses, nets4 and nets6 prefixes of
// which none overlaps another. An indicator that ends has its end as timeout,
// counted from Options.Now. The file holds no rule: what is done with the sets
// is the user's to say, and the file's comment shows how. Written counts
// elements.
func NFTables(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	if !isIdentifier(p.o.Table) {
		return Tally{}, fmt.Errorf("export: nftables: table %q is no identifier of nft", p.o.Table)
	}
	var hosts, nets []element
	for i := range p.items {
		it := &p.items[i]
		switch why := it.doubt(); {
		case it.Type != testudo.AddressIndicator && it.Type != testudo.PrefixIndicator:
			p.left.left("of types that packet filters do not know")
		case why != "":
			p.left.left(why)
		case it.Type == testudo.AddressIndicator:
			hosts = append(hosts, element{netip.PrefixFrom(it.addr, it.addr.BitLen()), it.Expires})
		default:
			nets = append(nets, element{it.prefix, it.Expires})
		}
	}
	nets = apart(nets)
	hosts = slices.DeleteFunc(apart(hosts), func(h element) bool {
		at, found := slices.BinarySearchFunc(nets, h.Addr(), func(n element, a netip.Addr) int { return n.Addr().Compare(a) })
		if !found {
			at--
		}
		return at >= 0 && nets[at].outlives(h)
	})
	bw := bufio.NewWriter(w)
	t := p.o.Table
	fmt.Fprintf(bw, "# Sets only: a rule says what is done, such as\n#   ip daddr @hosts4 counter drop\nadd table inet %s\n", t)
	for _, s := range []struct {
		name, kind, flags string
		elements          []element
		v4                bool
	}{
		{"hosts4", "ipv4_addr", "timeout", hosts, true},
		{"hosts6", "ipv6_addr", "timeout", hosts, false},
		{"nets4", "ipv4_addr", "interval, timeout", nets, true},
		{"nets6", "ipv6_addr", "interval, timeout", nets, false},
	} {
		fmt.Fprintf(bw, "add set inet %s %s { type %s; flags %s; }\nflush set inet %s %s\n", t, s.name, s.kind, s.flags, t, s.name)
		for _, e := range s.elements {
			if e.Addr().Is4() == s.v4 {
				fmt.Fprintf(bw, "add element inet %s %s { %s }\n", t, s.name, e.text(p.o.Now))
			}
		}
	}
	if err := bw.Flush(); err != nil {
		return Tally{}, fmt.Errorf("export: write nftables: %w", err)
	}
	return p.left.tally(len(hosts) + len(nets)), nil
}

// element is what a set holds, with its end, 0 for none.
type element struct {
	netip.Prefix
	end testudo.Time
}

// outlives says whether e covers f to f's end.
func (e element) outlives(f element) bool {
	return e.Bits() <= f.Bits() && e.Contains(f.Addr()) && (e.end == 0 || f.end != 0 && e.end >= f.end)
}

// text is the element in nft's words.
func (e element) text(now testudo.Time) string {
	s := e.String()
	if e.IsSingleIP() {
		s = e.Addr().String()
	}
	if e.end != 0 {
		s += fmt.Sprintf(" timeout %ds", max(int64(e.end.Sub(now)/time.Second), 1))
	}
	return s
}

// apart sorts elements and keeps of those that overlap the widest, of equal
// ones that which lasts longest.
func apart(es []element) []element {
	end := func(e element) testudo.Time { // none is the latest
		return e.end - 1
	}
	slices.SortFunc(es, func(a, b element) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()), cmp.Compare(uint64(end(b)), uint64(end(a))))
	})
	kept := es[:0]
	for _, e := range es {
		if len(kept) == 0 || !kept[len(kept)-1].Contains(e.Addr()) {
			kept = append(kept, e)
		}
	}
	return kept
}

// isIdentifier says whether nft takes s as a name.
func isIdentifier(s string) bool {
	if s == "" || len(s) > 64 || !(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') {
		return false
	}
	for i := range len(s) {
		if !isPlain(s[i]) && s[i] != '_' {
			return false
		}
	}
	return true
}
