// Package shield holds the use cases: replay a capture, run the exercise,
// measure. It is the one door for the command line, and carries results
// between the wings, which do not know each other.
package shield

import (
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/source"
)

// Parts are the concrete leaves the shield is put together from. The command
// lists them; nothing registers itself.
type Parts struct {
	Sources   []source.Opener // the first that recognises an input opens it
	Protocols []protocol.Protocol
	Detectors []detector.Detector
	Formats   []intel.Format // of indicators; the first that recognises a file reads it
}

// Settings are what a user may choose for every use case.
type Settings struct {
	Workers    int
	Local      []netip.Prefix
	GuessLocal bool // Local is the default: if it does not occur, guess
	Budgets    engine.Budgets
	Match      func(testudo.Record) []testudo.Hit
	IsShared   func(netip.Addr, string) bool
	Lists      Lists
	ListsNow   func() Lists // where they change while it runs; nil where they do not
	Progress   func(engine.Progress)
}

// Lists is what a run says of the indicators it was given.
type Lists struct {
	Lists, Indicators, Refused int
	Newest                     testudo.Time // when a source last saw anything bad, 0 where none says
}

// complete says in a summary which indicators there were.
func (l Lists) complete(s *testudo.Summary) {
	s.IntelLists, s.Indicators, s.IntelNewest = l.Lists, l.Indicators, l.Newest
}
