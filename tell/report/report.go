// Package report says what a run found: as JSON Lines for programs, as CSV
// for spreadsheets and as a page of text for people. It promises that no
// byte an adversary chose can act on a terminal, break a line of JSON or
// become a formula, and that the same incidents give the same bytes. It only
// reads; the nouns are in the root package. Start at Text, JSON or CSV; Clean
// is the one door for foreign text on its way to a terminal.
package report

import (
	"math"
	"net/netip"
	"strconv"

	"github.com/testudo-shield/testudo"
)

// countBySeverity counts the incidents of each severity.
func countBySeverity(incidents []testudo.Incident) (n [testudo.Critical + 1]int) {
	for i := range incidents {
		if s := incidents[i].Severity; int(s) < len(n) {
			n[s]++
		}
	}
	return n
}

// address prints an address bare: no zone, no IPv4-in-IPv6 form; "" for none.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// probability rounds p to four decimals. What is nearly sure stays below 1,
// as no evidence of ours makes anything certain.
func probability(p float64) float64 {
	if math.IsNaN(p) || p <= 0 {
		return 0
	}
	return math.Min(math.Round(p*1e4)/1e4, 0.9999)
}

// number prints f for data: six significant digits, but all digits of a
// whole part up to 1e15; false for what JSON has no number for.
func number(f float64) (string, bool) {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "", false
	case f == 0:
		return "0", true
	case abs >= 1e15 || abs < 1e-6:
		return strconv.FormatFloat(f, 'e', 5, 64), true
	case abs >= 1e5:
		return strconv.FormatFloat(math.Round(f), 'f', -1, 64), true
	}
	digits := 5 - int(math.Floor(math.Log10(abs)))
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', digits, 64), 64)
	if err != nil {
		return "", false
	}
	return strconv.FormatFloat(r, 'f', -1, 64), true
}
