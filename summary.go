package testudo

import (
	"net/netip"
	"time"
)

// Summary is what a run says of itself: what was read, what counts as ours,
// how far the answer reaches. Every "nothing found" rests on it.
type Summary struct {
	Inputs         []string // as the user named them
	Skipped        []Skip   // what could not be read, or only in part
	Packets, Bytes int64    // frames and their bytes on the wire
	Conns, Records int64
	First, Last    Time
	Hosts          int // machines of ours that were seen
	Malformed      int64
	Weirds         int64
	Dropped        int64 // frames a live source lost, not among Packets
	Unread         int64 // of Packets, those left out under load
	HeadersOnly    int64 // of Packets, those whose payload was left out under load
	BySeverity     [Critical + 1]int

	Local        []netip.Prefix // what counts as ours
	LocalGuessed bool           // by who answers whom, as none of the default networks occurs
	Detectors    []Judgement    // one a detector, sorted by name
	Shed         []Shed         // what fell to a budget, by cause
	NewHosts     int            // hosts of ours seen for less than a day

	IntelLists, Indicators int
	IntelNewest            Time

	Wall    time.Duration // how long the run took; not reproducible
	Workers int
}

// Skip is an input, or the rest of one, that could not be read.
type Skip struct{ Input, Reason string }

// Judgement says whether a detector had what it needs.
type Judgement struct {
	Detector string
	Full     bool
	Lacked   string // "slow beacons (needs hours)"; empty if Full
	// Wait is how much longer traffic must be watched until it judges fully; 0
	// where that is not what is lacking.
	Wait time.Duration
}

// Shed counts what fell to one budget.
type Shed struct {
	Cause string // "conns", "stream bytes", "beacon pairs"
	Count int64
}

// Coverage returns the share of the frames on the wire that were read, 0 to 1;
// 1 where there were none.
func (s *Summary) Coverage() float64 {
	if s.Packets+s.Dropped == 0 {
		return 1
	}
	return float64(s.Packets-s.Unread) / float64(s.Packets+s.Dropped)
}

// Span returns how much traffic time the run covers.
func (s *Summary) Span() time.Duration { return s.Last.Sub(s.First) }
