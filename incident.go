package testudo

import "net/netip"

// Incident is sightings that tell one story and need one decision.
type Incident struct {
	ID          string // INC- and 12 characters, derived from the evidence
	Kind        Kind
	Severity    Severity
	Confidence  float64 // probability, from Score
	Score       float64 // log-odds; the sum of Explanation's weights
	Urgency     int     // 0 to 100: what to look at first
	Title       string
	First, Last Time
	Victims     []Victim
	Servers     []NamedServer
	Techniques  []string
	Sightings   []Sighting
	Explanation []Reason
	Innocent    []string // innocent explanations considered
}

// Victim is a machine of ours with the name it was known by.
type Victim struct {
	Address netip.Addr
	Name    string
}

// NamedServer is an adversary's machine with how sure we are of its role.
type NamedServer struct {
	Server
	Confidence float64
}
