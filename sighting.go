package testudo

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// Kind is what sort of attack a sighting or an incident is about.
type Kind string

// The kinds of the contract.
const (
	Espionage Kind = "espionage" // command and control, tunnel, theft
	Intrusion Kind = "intrusion" // exploit, brute force, lateral movement, delivery
	Flood     Kind = "flood"
	Scan      Kind = "scan"
	Control   Kind = "control"   // industrial process
	Isolation Kind = "isolation" // a closed zone leaked
	Policy    Kind = "policy"
)

// ServerRole is what an adversary's machine was used for.
type ServerRole string

// The roles of the contract.
const (
	C2          ServerRole = "c2"
	TunnelEnd   ServerRole = "tunnel"
	ExfilSink   ServerRole = "exfil"
	Staging     ServerRole = "staging"
	Phishing    ServerRole = "phishing"
	Exploiter   ServerRole = "exploit"
	Scanner     ServerRole = "scanner"
	Flooder     ServerRole = "flooder"
	Reflector   ServerRole = "reflector"
	Controller  ServerRole = "controller"
	Lateral     ServerRole = "lateral"
	TrapVisitor ServerRole = "trap-visitor"
)

// Server is one machine on the adversary's side. Address may be invalid where
// only names are known.
type Server struct {
	Address netip.Addr
	Names   []string
	Ports   []string // "tcp/443"
	Role    ServerRole
	Shared  bool
}

// Outcome is how far a sighting says the attack got.
type Outcome uint8

// The outcomes, least first.
const (
	// Noise is an attempt that no machine of ours answered.
	Noise Outcome = iota
	// Attempt is one that was answered but is not known to have worked.
	Attempt
	// Success is one that worked, or activity that only follows success.
	Success
)

// Reason is one addend of a score: evidence of one family in log-odds.
type Reason struct {
	Family Family
	Weight float64 // log-likelihood ratio, natural logarithm; negative speaks for innocence
	Text   string  // plain words with the numbers
}

// String returns the addend as explanations print it: "+1.90 timing: …".
func (r Reason) String() string { return fmt.Sprintf("%+.2f %s: %s", r.Weight, r.Family, r.Text) }

// Family groups evidence that is one fact seen several times; each family
// contributes one capped addend to a score.
type Family string

// The families. Base is the prior: how rare such a thing is among all pairs.
const (
	Base      Family = "base"
	Timing    Family = "timing"
	Volume    Family = "volume"
	Rarity    Family = "rarity"
	Naming    Family = "name"
	Crypto    Family = "crypto"
	Content   Family = "content"
	Company   Family = "company"
	Listed    Family = "listed"
	Innocence Family = "innocent"
)

// Fact is one named number or word of evidence, in the order it is told.
type Fact struct {
	Name  string
	Value any // string, bool, int, int64, float64, []string, Time, UID, time.Duration, netip.Addr, Aggregate
}

// Sighting is a detector's claim: who, when, how sure and why. A later
// sighting with the same Detector and Key replaces the earlier one.
type Sighting struct {
	Detector    string
	Key         string // identity of the thing claimed, stable from run to run
	Kind        Kind
	Outcome     Outcome
	First, Last Time
	Victims     []netip.Addr // machines of ours that were attacked
	Servers     []Server     // the adversary's side, few and sure
	Title       string       // plain words for an incident that holds only this: "10.0.0.5 reports to 203.0.113.7 every 60 s"
	Summary     string       // one line with the numbers
	Reasons     []Reason     // addends; their sum is the log-odds
	Innocent    string       // the innocent explanation that was considered
	Techniques  []string     // ATT&CK ids
	Evidence    []Fact
	UIDs        []UID // up to 16 conns that show it
}

// Logit returns the sum of the addends, each rounded to two decimals as it is
// printed, so that what a reader adds up is what was decided.
func (s *Sighting) Logit() float64 { return SumReasons(s.Reasons) }

// Score returns the logit as a probability between 0 and 1.
func (s *Sighting) Score() float64 { return Probability(s.Logit()) }

// SumReasons adds the weights as printed, to two decimals.
func SumReasons(rs []Reason) float64 {
	var cents int64
	for _, r := range rs {
		cents += int64(math.Round(r.Weight * 100))
	}
	return float64(cents) / 100
}

// Probability turns log-odds into a probability.
func Probability(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// Severity orders incidents by how much a person must do about them.
type Severity uint8

// The severities; Medium and above ask a person to act.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"info", "low", "medium", "high", "critical"}

// String returns the contract's word.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "unknown"
}

// MarshalText writes the form of String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeverity reads the contract's word.
func ParseSeverity(word string) (Severity, error) {
	for i, n := range severityNames {
		if strings.EqualFold(n, word) {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("severity %q: want one of %s", word, strings.Join(severityNames[:], ", "))
}
