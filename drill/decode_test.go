package drill

import (
	"bytes"
	"io"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// small is an exercise of one day with every attack in little.
func small(seed uint64) Config {
	c := Showcase(seed)
	c.Days = 1
	var keep []Attack
	for _, a := range c.Attacks {
		switch a := a.(type) {
		case SYNFlood:
			a.At, a.Packets, a.Sources = 10*3600e9, 4000, 900
			keep = append(keep, a)
		case Reflection:
			a.At, a.Packets = 10*3600e9, 2000
			keep = append(keep, a)
		case BruteForce:
			a.At, a.Tries = 11*3600e9, 40
			keep = append(keep, a)
		case Beacon:
			a.At = 9 * 3600e9
			keep = append(keep, a)
		case Tunnel:
			a.At = 9 * 3600e9
			keep = append(keep, a)
		case Exfil:
			a.At = 9 * 3600e9
			keep = append(keep, a)
		case Sweep:
			a.At = 13 * 3600e9
			keep = append(keep, a)
		}
	}
	c.Attacks = keep
	return c
}

// Every frame decodes, in order of time, and what was kept whole has right
// checksums.
func TestDecodes(t *testing.T) {
	var buf bytes.Buffer
	truth, err := Write(&buf, small(3))
	if err != nil {
		t.Fatal(err)
	}
	if int64(buf.Len()) != truth.Bytes {
		t.Errorf("wrote %d bytes, truth says %d", buf.Len(), truth.Bytes)
	}
	r, err := pcapgo.NewReader(&buf)
	if err != nil {
		t.Fatal(err)
	}
	var packets, whole int64
	var last int64
	for {
		data, ci, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packets++
		if ci.Timestamp.UnixMicro() < last {
			t.Fatalf("packet %d goes back in time", packets)
		}
		last = ci.Timestamp.UnixMicro()
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
		if ci.CaptureLength == ci.Length {
			whole++
			checkWhole(t, packets, p)
		} else if ip, ok := p.NetworkLayer().(*layers.IPv4); !ok || int(ip.Length)+14 != ci.Length {
			t.Fatalf("packet %d: cut, and its length is not that on the wire", packets)
		}
		if t.Failed() {
			t.Fatal(p.String())
		}
	}
	if packets != truth.Packets {
		t.Errorf("%d packets, truth says %d", packets, truth.Packets)
	}
	t.Logf("%d packets, %d kept whole", packets, whole)
}

func checkWhole(t *testing.T, n int64, p gopacket.Packet) {
	t.Helper()
	if e := p.ErrorLayer(); e != nil && p.TransportLayer() == nil {
		t.Errorf("packet %d: %v", n, e.Error())
		return
	}
	if wrong, err := checksums(p); err != nil || wrong {
		t.Errorf("packet %d: wrong checksum (%v)", n, err)
	}
}

// checksums says whether any layer's checksum is wrong.
func checksums(p gopacket.Packet) (bool, error) {
	for _, l := range p.Layers() {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				return false, err
			}
		}
	}
	err, wrong := p.VerifyChecksums()
	return len(wrong) > 0, err
}
