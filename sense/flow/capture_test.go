package flow_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/flow"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
)

// reader claims every other stream and counts what it is given.
type reader struct{ data, gaps [2]int64 }

func (r *reader) Data(_ *protocol.Flow, dir protocol.Dir, data []byte) int {
	n := max(1, len(data)/2) // leaves a rest, to be given again
	r.data[dir] += int64(n)
	return n
}
func (r *reader) Gap(_ *protocol.Flow, dir protocol.Dir, n int) { r.gaps[dir] += int64(n) }
func (r *reader) End(*protocol.Flow)                            {}
func (r *reader) Reset()                                        { *r = reader{} }

// TestCaptures runs every real capture at hand through decoder and shard,
// once with ample and once with tiny budgets, and checks the books.
func TestCaptures(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(root); err != nil {
		t.Skip("../shared/data is not beside the checkout: real captures are not run")
	}
	if testing.Short() {
		t.Skip("real captures take a few seconds")
	}
	open := func(*protocol.Records) func() protocol.Analyzer {
		return func() protocol.Analyzer { return new(reader) }
	}
	ps := []protocol.Protocol{
		{Name: "ssl", Over: protocol.OverTCP, Open: open, Probe: func(_ testudo.ConnID, o, _ []byte) protocol.Verdict {
			if len(o) > 1 && o[0] == 0x16 && o[1] == 3 {
				return protocol.Yes
			}
			return protocol.No
		}},
		{Name: "opaque", Over: protocol.OverTCP | protocol.OverUDP, Open: open},
		{Name: "icmp", Over: protocol.OverICMP, Open: open},
	}
	for _, cfg := range []flow.Config{{}, {Conns: 16, StreamBytes: 32 << 10, FlowBytes: 4 << 10}} {
		files := 0
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if in, err := pcap.Open(path, nil); err == nil {
				files++
				replay(t, cfg, ps, in)
				return in.Close()
			}
			return nil
		})
		if err != nil || files == 0 {
			t.Errorf("%d captures: %v", files, err)
		}
		t.Logf("%d captures", files)
	}
}

func replay(t *testing.T, cfg flow.Config, ps []protocol.Protocol, in source.Frames) {
	var pkts int64
	s := flow.New(cfg, ps, func(_ testudo.Time, r testudo.Record) {
		c, ok := r.(*testudo.Conn)
		if !ok {
			return
		}
		if !c.Interim {
			pkts += c.OrigPkts + c.RespPkts
		}
		if c.OrigBytes < 0 || c.RespBytes < 0 || c.Duration < 0 || c.MissedBytes < 0 || c.Delta.OrigPkts < 0 || c.Delta.OrigBytes < 0 {
			t.Errorf("%s: negative count: %+v", in.Name(), *c)
		}
	})
	dec := packet.New(packet.Config{})
	var f source.Frame
	var p packet.Packet
	var clock testudo.Time
	for in.Next(&f) == nil {
		if clock = max(clock, f.Time); dec.Decode(f.Link, f.Time, f.Length, f.Data, &p) {
			p.Clock = clock
			s.Packet(&p)
		}
	}
	s.Flush(clock)
	st := s.Stats()
	if st.Live != 0 || st.StreamHeld != 0 || st.Conns != st.Reports || pkts != st.Packets-st.ARP-st.Ignored {
		t.Errorf("%s: the books do not balance: %d packets reported, %+v", in.Name(), pkts, st)
	}
}
