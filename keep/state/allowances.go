package state

import (
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// Allowances is a list in memory. It is read-only and may be asked from
// anywhere.
type Allowances struct {
	entries []entry
	byAddr  map[netip.Addr][]int // entries whose value is an address
	byName  map[string][]int     // whose value is a name, or "*." and a name
	others  []int                // that must be tried
}

// entry is an allowance with its texts read.
type entry struct {
	Allowance
	value, source, destination pattern
	network                    netip.Prefix
}

// NewAllowances makes a list of entries, which are asked in their order.
func NewAllowances(list []Allowance) *Allowances {
	a := &Allowances{byAddr: map[netip.Addr][]int{}, byName: map[string][]int{}}
	for i, al := range list {
		e := entry{Allowance: al, value: newPattern(al.Value), source: newPattern(al.Source), destination: newPattern(al.Destination)}
		e.network, _ = netip.ParsePrefix(al.Network) // was read when it was added
		a.entries = append(a.entries, e)
		switch {
		case e.value.prefix.IsSingleIP():
			a.byAddr[e.value.prefix.Addr()] = append(a.byAddr[e.value.prefix.Addr()], i)
		case e.value.name != "":
			a.byName[e.value.name] = append(a.byName[e.value.name], i)
		default:
			a.others = append(a.others, i)
		}
	}
	return a
}

// Contact is one machine of ours and one other end, as a sighting names them.
// What is not known is empty.
type Contact struct {
	Victim     netip.Addr
	VictimName string
	Server     netip.Addr
	ServerName string
	Port       string // of the server, "tcp/443"
}

// Allowed returns the first entry that fits a contact at a moment of wall
// time.
func (a *Allowances) Allowed(c Contact, now testudo.Time) (Allowance, bool) {
	best := len(a.entries)
	try := func(list []int) {
		for _, i := range list {
			if i < best && a.entries[i].fits(&c, now) {
				best = i
			}
		}
	}
	c.Victim, c.Server = c.Victim.Unmap(), c.Server.Unmap()
	try(a.byAddr[c.Victim])
	try(a.byAddr[c.Server])
	for _, name := range [...]string{c.VictimName, c.ServerName} {
		for ; name != ""; name = parent(name) {
			try(a.byName[name])
		}
	}
	try(a.others)
	if best == len(a.entries) {
		return Allowance{}, false
	}
	return a.entries[best].Allowance, true
}

func (e *entry) fits(c *Contact, now testudo.Time) bool {
	return (e.Until == 0 || e.Until > now) &&
		(e.value.fits(c.Victim, c.VictimName) || e.value.fits(c.Server, c.ServerName)) &&
		(e.Source == "" || e.source.fits(c.Victim, c.VictimName)) &&
		(e.Destination == "" || e.destination.fits(c.Server, c.ServerName)) &&
		(e.Port == "" || samePort(e.Port, c.Port)) &&
		(e.Network == "" || c.Victim.IsValid() && e.network.Contains(c.Victim))
}

// Covers says whether a list allows all that a sighting claims: every
// machine of ours with every name and port of every other end. One pair that
// no entry fits, and the sighting stands. It returns an entry for each
// reason, in the list's order. NameOf returns what a machine of ours is
// called, "" if unknown.
func (a *Allowances) Covers(s *testudo.Sighting, nameOf func(netip.Addr) string, now testudo.Time) ([]Allowance, bool) {
	if len(a.entries) == 0 || len(s.Victims)+len(s.Servers) == 0 {
		return nil, false
	}
	used := make([]bool, len(a.entries))
	all := contacts(s, nameOf, func(c Contact) bool {
		got, ok := a.Allowed(c, now)
		for i := range a.entries {
			used[i] = used[i] || ok && a.entries[i].ID == got.ID
		}
		return ok
	})
	if !all {
		return nil, false
	}
	var why []Allowance
	for i, u := range used {
		if u {
			why = append(why, a.entries[i].Allowance)
		}
	}
	return why, true
}

// contacts calls f for every pair until it returns false.
func contacts(s *testudo.Sighting, nameOf func(netip.Addr) string, f func(Contact) bool) bool {
	victims, servers := s.Victims, s.Servers
	if len(victims) == 0 {
		victims = []netip.Addr{{}}
	}
	if len(servers) == 0 {
		servers = []testudo.Server{{}}
	}
	for _, v := range victims {
		c := Contact{Victim: v}
		if v.IsValid() {
			c.VictimName = canonical(nameOf(v))
		}
		for i := range servers {
			for _, c.ServerName = range orNone(servers[i].Names) {
				c.ServerName = canonical(c.ServerName)
				for _, c.Port = range orNone(servers[i].Ports) {
					c.Server = servers[i].Address
					if !f(c) {
						return false
					}
				}
			}
		}
	}
	return true
}

func orNone(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

// Concerning returns the entries whose value, or a scope for one end, fits a
// value, whatever their other scopes: what to show to who asks why it is
// silent.
func (a *Allowances) Concerning(value string, now testudo.Time) (list []Allowance) {
	value = canonical(value)
	addr, err := netip.ParseAddr(value)
	if err == nil {
		value = ""
	}
	for i := range a.entries {
		e := &a.entries[i]
		if e.Until != 0 && e.Until <= now {
			continue
		}
		if e.value.any() && (e.source.fits(addr, value) || e.destination.fits(addr, value) || e.network.Contains(addr)) || !e.value.any() && e.value.fits(addr, value) ||
			e.Source == "" && e.Destination == "" && e.value.any() {
			list = append(list, e.Allowance)
		}
	}
	return list
}
