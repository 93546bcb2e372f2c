package flood

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// detail is what is kept of a surge that is worth a closer look.
type detail struct {
	sources detector.Distinct // by the sample
	all     detector.Distinct // by sense's sketch, which has a hash of its own
	sample  [192]packet       // drawn evenly
	n       int
	weight  float64 // of all that was offered
	seen    uint64
}

// packet is one of a sample.
type packet struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	size             uint16
	proto            testudo.Proto
	kind             testudo.LoadKind
	ttl              uint8
	local            bool
}

// add offers a packet that stands for so many; what stands for more is kept
// more likely (Chao: A general purpose unequal probability sampling plan,
// 1982).
func (d *detail) add(x *testudo.LoadPacket, weight float64) {
	d.seen++
	d.weight += weight
	d.sources.Add(detector.AddrKey(x.Src.Addr()))
	at := d.n
	if d.n < len(d.sample) {
		d.n++
	} else {
		h := (d.seen * 0x9e3779b97f4a7c15) ^ d.seen>>7
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 31
		if float64(h>>11)/(1<<53) >= float64(len(d.sample))*weight/d.weight {
			return
		}
		hi, _ := bits.Mul64(h*0x94d049bb133111eb, uint64(len(d.sample)))
		at = int(hi)
	}
	d.sample[at] = packet{
		src: x.Src.Addr(), dst: x.Dst.Addr(), srcPort: x.Src.Port(), dstPort: x.Dst.Port(), size: x.Size,
		proto: x.Proto, kind: x.Kind, ttl: x.TTL, local: x.SrcLocal,
	}
}

// merge takes in a sketch of senders that sense made.
func (d *detail) merge(sketch *[256]byte) {
	for i, r := range sketch {
		d.all[i] = max(d.all[i], r)
	}
}

// count returns how many senders there were, within about 7 %.
func (d *detail) count() int { return max(d.sources.Count(), d.all.Count()) }

func (d *detail) packets() []packet { return d.sample[:d.n] }

// share returns how much of the sample f holds for.
func (d *detail) share(f func(p *packet) bool) float64 {
	n := 0
	for i := range d.sample[:d.n] {
		if f(&d.sample[i]) {
			n++
		}
	}
	return float64(n) / float64(max(1, d.n))
}

// most returns the commonest value of a property, its share and how many
// different ones there are. Of equals the least wins.
func most[T cmp.Ordered](d *detail, of func(p *packet) T) (value T, share float64, different int) {
	all := make([]T, 0, len(d.sample))
	for i := range d.sample[:d.n] {
		all = append(all, of(&d.sample[i]))
	}
	slices.Sort(all)
	best, run := 0, 0
	for i := range all {
		if i == 0 || all[i] != all[i-1] {
			different, run = different+1, 0
		}
		if run++; run > best {
			best, value = run, all[i]
		}
	}
	return value, float64(best) / float64(max(1, d.n)), different
}

// targets returns the host that gets most, its share, and how many do.
func (d *detail) targets() (host string, share float64, hosts int) {
	return most(d, func(p *packet) string { return string(p.dst.AsSlice()) })
}

// prefixShare is a network of senders with what it sends of the whole.
type prefixShare struct {
	net   netip.Prefix
	share float64
}

// String writes "203.0.113.0/24 12 %".
func (p prefixShare) String() string { return fmt.Sprintf("%s %.0f %%", p.net, 100*p.share) }

// prefixes returns the networks of the senders that send most, at most n, by
// the narrowest width at which five of them hold a fifth of it all.
func (d *detail) prefixes(n int) []prefixShare {
	var found []prefixShare
	for _, width := range [...][2]int{{24, 64}, {16, 48}, {8, 32}} {
		found = d.networks(width[0], width[1])
		sum := 0.0
		for _, p := range found[:min(5, len(found))] {
			sum += p.share
		}
		if sum >= 0.2 {
			break
		}
	}
	return found[:min(n, len(found))]
}

func (d *detail) networks(four, six int) (found []prefixShare) {
	nets := make([]netip.Prefix, 0, d.n)
	for _, p := range d.packets() {
		width := four
		if p.src.Is6() {
			width = six
		}
		net, _ := p.src.Prefix(width)
		nets = append(nets, net)
	}
	slices.SortFunc(nets, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	for i, net := range nets {
		if i == 0 || net != nets[i-1] {
			found = append(found, prefixShare{net: net})
		}
		found[len(found)-1].share += 1 / float64(len(nets))
	}
	slices.SortStableFunc(found, func(a, b prefixShare) int { return cmp.Compare(b.share, a.share) })
	return found
}

// forged tells whether the senders' addresses are forged: "yes", "no" or
// "unknown", and why.
func (d *detail) forged(f form, sources int, completed float64) (answer, why string) {
	foreign := d.share(func(p *packet) bool { return !p.local })
	bogus := d.share(func(p *packet) bool { return !p.local && nobodys(p.src) })
	ttl, same, ttls := most(d, func(p *packet) uint8 { return p.ttl })
	switch {
	case f == reflectForm || f == answerForm:
		return "no", "they answer under their own addresses; who asked them forged the target's"
	case bogus >= 0.02 && d.n >= 64:
		return "yes", fmt.Sprintf("%.0f %% come from addresses that nobody on the Internet can have", 100*bogus)
	case sources >= 256 && foreign > 0.5 && d.even():
		return "yes", fmt.Sprintf("about %d senders lie evenly over the whole address space", sources)
	case sources >= crowd && d.n >= 64 && same >= 0.95 && ttl != 0:
		return "yes", fmt.Sprintf("about %d senders, and %.0f %% of the packets have one TTL, %d: they come from one place", sources, 100*same, ttl)
	case sources >= crowd && d.n >= 64 && ttls > 100:
		return "yes", fmt.Sprintf("the TTL is drawn at random: %d different ones in a sample of %d", ttls, d.n)
	case completed >= 0.05:
		return "no", fmt.Sprintf("%.0f %% of the requests were completed, which takes an address of one's own", 100*completed)
	case sources < crowd:
		return "unknown", fmt.Sprintf("%s: too few to tell", many(sources))
	}
	return "unknown", fmt.Sprintf("about %d senders of ordinary spread and TTL", sources)
}

// nobodys tells of an address that cannot be a sender's on the Internet
// (RFC 6890).
func nobodys(a netip.Addr) bool {
	if a.IsPrivate() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified() {
		return true
	}
	if !a.Is4() {
		return false
	}
	b := a.As4()
	return b[0] == 0 || b[0] >= 240 || b[0] == 100 && b[1]&0xc0 == 64
}

// even tells whether the senders are drawn from the whole space of IPv4:
// populations of real machines are lumpy.
func (d *detail) even() bool {
	var parts [32]int
	n := 0
	for _, p := range d.packets() {
		if b := p.src; b.Is4() && b.As4()[0] < 224 {
			parts[b.As4()[0]>>3]++
			n++
		}
	}
	if n < 128 {
		return false
	}
	// Pearson's statistic over the 28 parts below 224.0.0.0 that hold hosts;
	// its mean for even senders is 27, its deviation about 7.
	expected, sum := float64(n)/28, 0.0
	for _, k := range parts[:28] {
		sum += (float64(k) - expected) * (float64(k) - expected) / expected
	}
	return sum < 60
}
