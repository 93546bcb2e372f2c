package testudo

import "strings"

// An Indicator is a value somebody believes bad, with what is known of the
// belief. The same value from two sources is two indicators.
type Indicator struct {
	Type        IndicatorType
	Value       string   // in one form: lower case, no trailing dot, refanged
	Source      string   // the list, feed or event it came from
	Licence     string   // of the source, as it states it; "" where it does not
	TLP         TLP      // to whom it may be shown
	Confidence  int      // 0 to 100 as the source says; -1 where it does not
	First, Last Time     // when the source saw it bad first and last, 0 where it does not say
	Expires     Time     // when it is no longer to be believed, 0 for the default of its type
	Note        string   // what the source says of it, in a line
	Threats     []string // groups, software and techniques it names, as it names them
	Marks       Marks
}

// IndicatorType is what sort of observable an indicator's value is.
type IndicatorType string

// The types.
const (
	AddressIndicator IndicatorType = "address"
	PrefixIndicator  IndicatorType = "prefix"
	DomainIndicator  IndicatorType = "domain" // the name and all below it
	HostIndicator    IndicatorType = "host"   // this name alone
	URLIndicator     IndicatorType = "url"    // without its scheme
	EmailIndicator   IndicatorType = "email"
	AgentIndicator   IndicatorType = "user-agent"
	JA3Indicator     IndicatorType = "ja3"
	JA4Indicator     IndicatorType = "ja4"
	CertIndicator    IndicatorType = "certificate" // SHA-256 or SHA-1 of it
	HashIndicator    IndicatorType = "hash"        // MD5, SHA-1 or SHA-256 of a file
)

// TLP is the Traffic Light Protocol 2.0 label of a piece of information.
type TLP uint8

// The labels, the widest first. What has no label is treated as TLPAmber.
const (
	TLPUnset TLP = iota
	TLPClear
	TLPGreen
	TLPAmber
	TLPAmberStrict
	TLPRed
)

var tlpNames = [...]string{"", "clear", "green", "amber", "amber+strict", "red"}

// String returns the label's word, "" for none.
func (t TLP) String() string {
	if int(t) < len(tlpNames) {
		return tlpNames[t]
	}
	return ""
}

// MarshalText writes the form of String.
func (t TLP) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ParseTLP reads a label in any of its spellings: "TLP:AMBER+STRICT",
// "tlp:white", "green"; TLPUnset for anything else.
func ParseTLP(s string) TLP {
	s = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "tlp:")
	if s == "white" {
		return TLPClear
	}
	for i, n := range tlpNames {
		if s == n {
			return TLP(i)
		}
	}
	return TLPUnset
}

// Marks are reasons not to act on an indicator alone. It is taken, matched
// and shown with them.
type Marks uint8

// The marks.
const (
	MarkPrivate Marks = 1 << iota // an address nobody on the Internet has to himself
	MarkSuffix                    // a name under which anybody can register
	MarkWide                      // a prefix too wide to blame on one party
	MarkShared                    // a CDN, cloud or dynamic name that unrelated parties use
	MarkKnown                     // on a warning list of what is well known or benign
	MarkExpired                   // older than its type is believed
)

var markNames = [...]string{"private", "public suffix", "wide", "shared", "well known", "expired"}

// Words returns the marks in words.
func (m Marks) Words() (words []string) {
	for i, n := range markNames {
		if m&(1<<i) != 0 {
			words = append(words, n)
		}
	}
	return words
}
