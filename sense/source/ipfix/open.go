package ipfix

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// Capture opens a capture; see the pcap room beside this one.
type Capture func(path string, stdin io.Reader) (source.Frames, error)

// Opener returns the kind of input that holds flow exports: captures of the
// datagrams and nothing else, and files of IPFIX messages.
func Opener(capture Capture) source.Opener {
	return source.Opener{
		Name:  "flow exports",
		Sniff: func(head []byte) bool { return Sniff(head, capture) },
		Lacks: []testudo.Evidence{
			testudo.Bursts, testudo.Turns, testudo.Bodies, testudo.Headers, testudo.FirstBytes, testudo.Keys,
			testudo.Keystrokes, testudo.Logins, testudo.EchoPayloads, testudo.FlagOrder, testudo.ExactSizes, testudo.Certificates, testudo.Loads,
		},
		Records: func(paths ...string) (source.Records, error) {
			return Open(capture, paths...)
		},
	}
}

// sniffed is how many frames of a capture are looked at.
const sniffed = 64

// Sniff tells whether an input that begins with head is a capture in which
// every frame carries a flow export, or a file of IPFIX messages. The first
// 64 frames are looked at, or those that head holds.
func Sniff(head []byte, capture Capture) bool {
	if isMessages(head) {
		return true
	}
	frames, err := capture("-", bytes.NewReader(head))
	if err != nil {
		return false
	}
	defer frames.Close()
	var (
		f    source.Frame
		seen int
	)
	for seen < sniffed && frames.Next(&f) == nil {
		if !carries(&f) {
			return false
		}
		seen++
	}
	return seen > 0
}

// Moments between which an export is plausible: 2000 and 2100.
const (
	earliest = 946684800
	latest   = 4102444800
)

// carries tells whether a frame is a flow export and nothing else could be
// meant.
func carries(f *source.Frame) bool {
	var s segment
	if !s.read(f.Link, f.Data) || s.proto != testudo.UDP || s.fragment {
		return false
	}
	k, err := kindOf(s.body)
	return err == nil && plausible(k, s.body)
}

// plausible holds what sets the four formats apart from other content: a
// time of export, and something told.
func plausible(k kind, b []byte) bool {
	at, head := 0, 0
	switch k {
	case kindSFlow:
		return (b[7] == 1 || b[7] == 2) && len(b) > headSFlow(b)
	case kindV5, kindV9:
		at, head = 8, headerV9
	case kindIPFIX:
		at, head = 4, headerIPFIX
	}
	s := int64(seconds(b[at:]) / 1e9)
	return s >= earliest && s <= latest && len(b) >= head+setHeader
}

// isMessages tells a file of IPFIX messages: the first is whole as far as
// head goes, and another follows.
func isMessages(head []byte) bool {
	if len(head) < headerIPFIX+setHeader || head[0] != 0 || head[1] != 10 {
		return false
	}
	n := int(head[2])<<8 | int(head[3])
	if n < headerIPFIX+setHeader || !plausible(kindIPFIX, head) {
		return false
	}
	if n > len(head) { // longer than what there is to see
		id := int(head[16])<<8 | int(head[17])
		return id == 2 || id == 3 || id >= firstData
	}
	if k, err := kindOf(head[:n]); k != kindIPFIX || err != nil {
		return false
	}
	return len(head) < n+2 || head[n] == 0 && head[n+1] == 10
}

// Reader reads recorded flow exports. It implements source.Records.
type Reader struct {
	*collector
	in      *source.Merged
	kinds   [kindSFlow + 1]bool
	other   int64 // frames that are no export
	ended   bool
	skipped []testudo.Skip
}

// Open reads the inputs as one, in order of time. It is an error if none can
// be opened; what could not be opened beside others is told by Skipped.
func Open(capture Capture, paths ...string) (*Reader, error) {
	r := &Reader{collector: newCollector(DefaultConns)}
	var (
		inputs []source.Frames
		first  error
	)
	for _, p := range paths {
		in, err := openOne(capture, p)
		if err != nil {
			first = fmt.Errorf("flow exports: %w", err)
			r.skipped = append(r.skipped, testudo.Skip{Input: p, Reason: err.Error()})
			continue
		}
		inputs = append(inputs, in)
	}
	if len(inputs) == 0 {
		return nil, first
	}
	r.in = source.Merge(inputs...)
	return r, nil
}

// openOne opens a file of messages, or a capture.
func openOne(capture Capture, path string) (source.Frames, error) {
	f := &file{path: path}
	if err := f.open(); err != nil {
		return nil, err
	}
	head, _ := f.in.Peek(4096)
	if isMessages(head) {
		return f, nil
	}
	f.Park()
	return capture(path, nil)
}

// Next returns the next conversation, io.EOF after the last.
func (r *Reader) Next() (testudo.Record, error) {
	for {
		if rec := r.take(); rec != nil {
			return rec, nil
		}
		if r.ended {
			return nil, io.EOF
		}
		var f source.Frame
		if err := r.in.Next(&f); err != nil {
			r.ended = true
			r.skipped = append(r.skipped, r.in.Skipped()...)
			r.table.flush()
			continue
		}
		r.frame(&f)
	}
}

// frame takes one frame of the input.
func (r *Reader) frame(f *source.Frame) {
	if f.Link == linkMessage {
		r.kinds[kindIPFIX] = true
		r.Datagram(max(f.Time, r.now), noAddr, r.in.Name(), f.Data)
		return
	}
	var s segment
	if !s.read(f.Link, f.Data) || s.proto != testudo.UDP || s.fragment {
		r.other++
		return
	}
	k, err := kindOf(s.body)
	if err != nil && k == kindNone {
		r.other++
		return
	}
	r.kinds[k] = true
	r.Datagram(f.Time, s.src, "", s.body)
}

// Notes returns what a person should know of the inputs.
func (r *Reader) Notes() []string {
	var found []string
	for k, is := range r.kinds {
		if is {
			found = append(found, kind(k).String())
		}
	}
	if len(found) == 0 {
		return nil
	}
	notes := []string{fmt.Sprintf("flow exports (%s): judged is what they tell, %d flows; they hold no names, no certificates and no content", join(found), r.stats.flows)}
	if r.other > 0 {
		notes = append(notes, fmt.Sprintf("flow exports: %d other frames, or fragments, in the same captures were left aside", r.other))
	}
	return append(notes, r.collector.Notes()...)
}

func join(words []string) string {
	s := words[0]
	for _, w := range words[1:] {
		s += ", " + w
	}
	return s
}

// Account implements source.Records.
func (r *Reader) Account() source.Account {
	return source.Account{Skipped: r.skipped, Notes: r.Notes(), Shed: r.Shed()}
}

// Close gives up what is open.
func (r *Reader) Close() error { return r.in.Close() }

// size returns the length of a file, 0 if it is not known.
func size(f *os.File) int64 {
	if st, err := f.Stat(); err == nil {
		return st.Size()
	}
	return 0
}
