// Package ipfix reads what routers, switches and probes tell of the flows
// they saw: NetFlow v5 and v9, IPFIX (RFC 7011) and sFlow v5, as they arrive
// on a port (Listen), in a capture of the datagrams, or in a file of IPFIX
// messages (RFC 5655; Opener). One-way flows are joined to conversations, and
// each becomes a testudo.Conn. What a flow export cannot know stays zero:
// there are no names, no certificates, no content.
//
// Whatever is sent here, memory is bounded, and everything that was not
// understood, came too late or was lost on the way is counted: Notes and Shed
// tell. DESIGN.md says why it is made this way.
package ipfix

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// DefaultConns is how many conversations may wait for their other half or
// their end at once; about 350 bytes each.
const DefaultConns = 1 << 17

// Shed returns what exporters told and we do not know, by cause.
func (c *collector) Shed() (shed []testudo.Shed) {
	l := c.gone
	for _, d := range c.domains {
		l.add(d)
	}
	for _, s := range []testudo.Shed{
		{Cause: "flows lost on the way", Count: l.flows},
		{Cause: "export sets without template", Count: l.sets},
		{Cause: "export templates", Count: l.templates},
		{Cause: "damaged export records", Count: l.records},
		{Cause: "damaged export datagrams", Count: c.stats.foreign},
		{Cause: "exports by others than allowed", Count: c.stats.denied},
		{Cause: "exporters", Count: c.stats.domains},
		{Cause: "exported conns", Count: c.table.forced},
	} {
		if s.Count > 0 {
			shed = append(shed, s)
		}
	}
	return shed
}

// maxNotes bounds what is told of single exporters.
const maxNotes = 20

// Notes returns what a person should know of the exporters: what they sample,
// whose clock is wrong, what they told that could not be used.
func (c *collector) Notes() (notes []string) {
	all := make([]*domain, 0, len(c.domains))
	for _, d := range c.domains {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *domain) int { return int(a.index) - int(b.index) })
	for _, d := range all {
		notes = append(notes, d.notes()...)
	}
	if n := len(notes); n > maxNotes {
		notes = append(notes[:maxNotes], fmt.Sprintf("flow exports: %d more notes of this kind on other exporters", n-maxNotes))
	}
	if n := c.stats.duplicates; n > 0 {
		notes = append(notes, fmt.Sprintf("flow exports: %d flows were told by a second observer, or on the way in and on the way out; each is counted once", n))
	}
	if n := c.stats.repeated; n > 0 {
		notes = append(notes, fmt.Sprintf("flow exports: %d datagrams came twice, byte for byte; each is counted once", n))
	}
	if n := c.stats.timeless; n > 0 {
		notes = append(notes, fmt.Sprintf("flow exports: %d flows had times more than a day away from their export; the time of the export was taken", n))
	}
	return notes
}

// notes is what is to be said of one exporter.
func (d *domain) notes() (notes []string) {
	who := "exporter " + d.name()
	if d.maxRate > 1 {
		notes = append(notes, fmt.Sprintf("%s: sampled 1 of %d: short conversations are not seen, and silence says nothing", who, d.maxRate))
	}
	if d.clockSaid != 0 {
		way := "behind"
		if d.clockSaid < 0 {
			way = "ahead"
		}
		notes = append(notes, fmt.Sprintf("%s: its clock is %v %s ours; its times were set right by that. Give it a time server", who, d.clockSaid.Abs().Round(time.Second), way))
	}
	if d.losses.flows > 0 {
		notes = append(notes, fmt.Sprintf("%s: about %d flows were lost on the way (gaps in its sequence numbers)", who, d.losses.flows))
	}
	if n := d.losses.sets + int64(len(d.waiting)); n > 0 {
		notes = append(notes, fmt.Sprintf("%s: %d data sets came without their template; let it send templates more often", who, n))
	}
	return notes
}

// name is an exporter as a person knows it.
func (d *domain) name() string {
	who := d.key.file
	if d.key.from.IsValid() {
		who = d.key.from.String()
	}
	return fmt.Sprintf("%s (%v, domain %d)", strings.TrimSpace(who), d.key.kind, d.key.id)
}

// allowed tells whether one of the prefixes holds an address.
func allowed(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
