// Package detector is what every detector has in common: how it is described
// to the engine, how its memory is sharded and bounded, and how it claims a
// sighting. Each detector is a folder below this one. A detector is pure: no
// sockets, files, clocks, goroutines or look-ups; what it needs to know of
// the world is in the record's Context.
package detector

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// Detector describes one detector. All of it is fixed at start.
type Detector struct {
	Name string
	// Needs are the logs its evidence comes from ("conn", "dns"); without
	// any of them it could not judge.
	Needs []string
	// Wants is the evidence it weighs beyond what every input gives. A run on
	// inputs without some of it says so.
	Wants []testudo.Evidence
	// Habit is how long traffic must be watched before the detector can
	// judge all it is made for; 0 for at once. Slow says, in a few words,
	// what it cannot judge before: "slow beacons".
	Habit time.Duration
	Slow  string
	// Route returns the key that the detector's memory hangs on for this
	// record (host pair, our host, server, registered domain, network),
	// hashed with AddrKey, PairKey
	// or NameKey, and false for a record it has no use for. Records
	// with equal keys meet in one Memory, in order of time.
	Route func(r testudo.Record) (uint64, bool)
	// Ticks says that its memories want to be told the time while the input
	// goes on, and not at its end only.
	Ticks bool
	// New makes the memory of one logical shard; entries is its budget, the
	// number of things of any one sort it may remember.
	New func(entries int) Memory
}

// Memory is a detector's memory in one shard.
type Memory interface {
	// Observe takes one record. The record is only valid during the call.
	Observe(r testudo.Record, out *Out)
	// Tick is called at the end of the input with last set: what still can be
	// said is said. Where the detector wants Ticks, it is also called whenever
	// ten seconds of traffic time have passed.
	Tick(now testudo.Time, last bool, out *Out)
	// Shed returns how many entries fell to the budget so far.
	Shed() int
}

// Out takes what a detector claims.
type Out struct {
	Now       testudo.Time
	Sightings []testudo.Sighting
}

// Claim adds a sighting. One with the same Detector and Key replaces the
// earlier one, so a growing thing is claimed again with its new numbers, but
// not more often than its numbers tell something new.
func (o *Out) Claim(s testudo.Sighting) { o.Sightings = append(o.Sightings, s) }

// AddrKey hashes an address for Route. It is the same on every machine, as
// are PairKey and NameKey.
func AddrKey(a netip.Addr) uint64 { return mixAddr(fnvBasis, a) }

// PairKey hashes two addresses, in either order alike.
func PairKey(a, b netip.Addr) uint64 {
	if b.Less(a) {
		a, b = b, a
	}
	return mixAddr(mixAddr(fnvBasis, a), b)
}

// NameKey hashes a name.
func NameKey(s string) uint64 {
	h := uint64(fnvBasis)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// The hash is FNV-1a with more mixing at the end.
const (
	fnvBasis = 14695981039346656037
	fnvPrime = 1099511628211
	// fnvPrime10 is fnvPrime to the tenth.
	fnvPrime10 = 1775861927039214153
)

// mixAddr hashes an address in its form of 16 bytes (RFC 4291, 2.5.5.2).
func mixAddr(h uint64, a netip.Addr) uint64 {
	if a.Is4() {
		h *= fnvPrime10 // ten zeros
		h = (h ^ 0xff) * fnvPrime
		h = (h ^ 0xff) * fnvPrime
		for _, b := range a.As4() {
			h = (h ^ uint64(b)) * fnvPrime
		}
	} else {
		for _, b := range a.As16() {
			h = (h ^ uint64(b)) * fnvPrime
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// Cap limits x to [-limit, limit]: no family of evidence decides alone
// beyond what was calibrated for it.
func Cap(x, limit float64) float64 { return max(-limit, min(limit, x)) }
