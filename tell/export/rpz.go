package export

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// RPZ writes a response policy zone (draft-vixie-dnsop-dns-rpz) for which
// resolvers answer that the name does not exist: a domain with all names below
// it, a host alone, an address or prefix wherever it would be an answer. The
// serial is Options.Now in seconds. Written counts owner names.
func RPZ(w io.Writer, in Input, o Options) (Tally, error) {
	p := pick(in, o)
	zone := strings.ToLower(strings.TrimSuffix(p.o.Zone, "."))
	if !isName(zone) || len(zone) > 200 {
		return Tally{}, fmt.Errorf("export: rpz: zone %q is no name of DNS", p.o.Zone)
	}
	var owners []string
	for i := range p.items {
		it := &p.items[i]
		if why := it.doubt(); why != "" {
			p.left.left(why)
			continue
		}
		names, why := triggers(it)
		if why == "" && slices.ContainsFunc(names, func(n string) bool { return len(n)+1+len(zone) > 253 }) {
			names, why = nil, "too long for a name in this zone"
		}
		if why != "" {
			p.left.left(why)
		}
		owners = append(owners, names...)
	}
	slices.Sort(owners)
	owners = slices.Compact(owners)
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "$ORIGIN %s.\n$TTL 300\n@ IN SOA localhost. root.localhost. %d 3600 600 86400 300\n@ IN NS localhost.\n", zone, serial(p.o.Now))
	for _, owner := range owners {
		fmt.Fprintf(bw, "%s IN CNAME .\n", owner)
	}
	if err := bw.Flush(); err != nil {
		return Tally{}, fmt.Errorf("export: write rpz: %w", err)
	}
	return p.left.tally(len(owners)), nil
}

// serial is a zone's version, by RFC 1982 in 32 bits.
func serial(now testudo.Time) uint32 { return uint32(now / 1e9) }

// triggers returns the owner names that meet an item, or why there are none.
func triggers(it *item) (names []string, why string) {
	switch it.Type {
	case testudo.DomainIndicator:
		return []string{it.Value, "*." + it.Value}, ""
	case testudo.HostIndicator:
		return []string{it.Value}, ""
	case testudo.AddressIndicator:
		return []string{trigger(netip.PrefixFrom(it.addr, it.addr.BitLen()))}, ""
	case testudo.PrefixIndicator:
		return []string{trigger(it.prefix)}, ""
	}
	return nil, "of types that DNS does not answer with"
}

// trigger is a prefix as an owner name: its length and its parts, the last
// first; in IPv6 the longest run of two or more zero words is "zz", the first
// of them in reading order where there are several, as resolvers write it.
func trigger(p netip.Prefix) string {
	parts := []string{strconv.Itoa(p.Bits())}
	if p.Addr().Is4() {
		b := p.Addr().As4()
		for i := 3; i >= 0; i-- {
			parts = append(parts, strconv.Itoa(int(b[i])))
		}
		return strings.Join(append(parts, "rpz-ip"), ".")
	}
	var w [8]uint16 // the last word first
	b := p.Addr().As16()
	for i := range w {
		w[7-i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	from, n := zeros(w)
	for i := 0; i < len(w); i++ {
		if i == from && n > 1 {
			parts = append(parts, "zz")
			i += n - 1
			continue
		}
		parts = append(parts, strconv.FormatUint(uint64(w[i]), 16))
	}
	return strings.Join(append(parts, "rpz-ip"), ".")
}

// zeros returns the longest run of zero words, the last of the longest.
func zeros(w [8]uint16) (from, n int) {
	from = -1
	for i := 0; i < len(w); i++ {
		k := i
		for k < len(w) && w[k] == 0 {
			k++
		}
		if k-i >= n && k > i {
			from, n = i, k-i
		}
		i = max(i, k-1)
	}
	return from, n
}
