// Package export writes indicators and incidents in the forms of other
// tools: STIX 2.1, MISP, CSV, Zeek intel, Suricata rules and datasets, a DNS
// response policy zone, nftables sets, an ATT&CK Navigator layer.
//
// It promises three things. What is shown to whom follows the Traffic Light
// Protocol: what is stricter than Options.Max stays here. Our own machines
// never leave, unless Options.Victims asks for them in a form that can say
// what they are. And what blocks or is made to block (rules, sets, zones)
// holds nothing that unrelated parties share: every mark of testudo.Marks
// keeps an indicator out. Whatever is left out is counted with its reason.
//
// The same input gives the same bytes. Nothing here reads a clock: Options.Now
// says what time it is. Start with Formats and Options.
package export

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Input is what may be exported. Indicators are all that are known, also
// those too strict to be shown: a server of an incident that a stricter list
// names is then not shown either.
type Input struct {
	Indicators []testudo.Indicator
	Incidents  []testudo.Incident
}

// Options says for whom an export is made.
type Options struct {
	Now   testudo.Time   // indicators that ended before are expired; must be set
	Max   testudo.TLP    // the strictest label shown; unset is amber
	Label testudo.TLP    // of our own findings; unset is amber
	Local []netip.Prefix // our networks: no address in them is shown

	// Victims shows our own machines and the words of incidents that name
	// them, where the format has a place for them (STIX, MISP).
	Victims bool

	Producer   string            // who says so; empty is "testudo"
	Techniques map[string]string // names of ATT&CK techniques by id, where known

	Zone     string // origin of the response policy zone; empty is "rpz.testudo."
	Table    string // nftables table of family inet; empty is "testudo"
	FirstSID int    // first Suricata rule id that may be given; 0 is 7700000
	LastSID  int    // the last; 0 is FirstSID+99999
	Drop     bool   // Suricata rules drop instead of alert
	Attack   string // version of ATT&CK the layer states; empty is "18"
	Domain   string // of the layer; empty is "enterprise-attack"
}

// Tally says what became of what was given.
type Tally struct {
	Written int    // indicators, in the format's own units where it has others
	Left    []Left // what was left out, by reason, the most first
}

// Left counts what was left out for one reason.
type Left struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// String returns the tally in words: "12 written; left out: 3 shared, so
// nothing to block".
func (t Tally) String() string {
	s := fmt.Sprintf("%d written", t.Written)
	for i, l := range t.Left {
		s += [...]string{"; left out: ", ", "}[min(i, 1)] + fmt.Sprintf("%d %s", l.Count, l.Reason)
	}
	return s
}

// Format is one form that others read.
type Format struct {
	Name   string // as the command line calls it
	File   string // what its file is usually called
	About  string // who reads it
	Blocks bool   // whether what is in it is blocked, or matched without a word of doubt
	Write  func(w io.Writer, in Input, o Options) (Tally, error)
}

// Formats returns all forms, sorted by name. Each Write returns an error only
// where w does, or where the options cannot be met.
func Formats() []Format {
	all := []Format{
		{"stix", "bundle.json", "STIX 2.1: threat intelligence platforms, TAXII servers", false, STIX},
		{"misp", "event.json", "MISP, as an event", false, MISP},
		{"csv", "indicators.csv", "spreadsheets and scripts", false, CSV},
		{"zeek", "intel.dat", "Zeek's intelligence framework", false, Zeek},
		{"suricata", "testudo.rules", "Suricata, as rules", true, Suricata},
		{"rpz", "rpz.zone", "resolvers with response policy zones: BIND, Unbound, Knot, PowerDNS", true, RPZ},
		{"nftables", "sets.nft", "nft -f, as sets of addresses and prefixes", true, NFTables},
		{"navigator", "layer.json", "ATT&CK Navigator, as a layer of techniques", false, Navigator},
	}
	for _, d := range datasets {
		all = append(all, Format{"suricata-" + d.name, "testudo-" + d.name + ".lst", "Suricata, as a dataset of type " + d.kind, true, d.write})
	}
	slices.SortFunc(all, func(a, b Format) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// withDefaults fills what was left unset.
func (o Options) withDefaults() Options {
	if o.Max == testudo.TLPUnset {
		o.Max = testudo.TLPAmber
	}
	if o.Label == testudo.TLPUnset {
		o.Label = testudo.TLPAmber
	}
	o.Producer = cmp.Or(line(o.Producer), "testudo")
	o.Zone = cmp.Or(o.Zone, "rpz.testudo.")
	o.Table = cmp.Or(o.Table, "testudo")
	o.FirstSID = cmp.Or(o.FirstSID, 7_700_000)
	o.LastSID = cmp.Or(o.LastSID, o.FirstSID+99_999)
	o.Attack = cmp.Or(o.Attack, "18")
	o.Domain = cmp.Or(o.Domain, "enterprise-attack")
	return o
}

// counter counts what is left out.
type counter map[string]int

func (c counter) left(reason string) { c[reason]++ }

// tally closes the count.
func (c counter) tally(written int) Tally {
	t := Tally{Written: written}
	for reason, n := range c {
		t.Left = append(t.Left, Left{reason, n})
	}
	slices.SortFunc(t.Left, func(a, b Left) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return t
}

// line returns s as one line of valid UTF-8: whatever could end a line or
// hide on it becomes a blank.
func line(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), unseen), " ")
}
