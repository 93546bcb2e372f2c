package testudo

import "time"

// Heartbeat is a sensor's word that it recorded a link for a while.
type Heartbeat struct {
	Sensor, Link string
	Span
	Packets int64
	Lost    []Shed // packets not recorded meanwhile, by cause
	End     string // why it ended where it says: "sensor stopped"
}

// Coverage is how much of a period was recorded. Every answer about the past
// has one.
type Coverage struct {
	From, To Time   // the period asked about
	Links    []Link // sorted by sensor and name
}

// Link is one source of one sensor and what was recorded of it in a period.
type Link struct {
	Sensor, Name string // "north", "eth1"
	Recorded     []Span // sorted, apart from each other, within the period
	Gaps         []Gap  // the rest of the period, sorted
	Packets      int64
	Lost         []Shed // packets that were not recorded while it was, by cause
}

// Span is an interval of time, From <= t < To.
type Span struct{ From, To Time }

// Length returns how long the span is.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Gap is an interval in which a link was not recorded.
type Gap struct {
	Span
	Cause string // "sensor stopped", empty where it is not known
}
