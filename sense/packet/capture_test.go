package packet_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
)

// captures lists the captures below dir.
func captures(t *testing.T, dir string) (paths []string) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			head := make([]byte, pcap.SniffLen)
			n, _ := io.ReadFull(f, head)
			if pcap.Sniff(head[:n]) {
				paths = append(paths, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestAgainstGopacket compares the decoder with another one on the real
// captures of that one's module, and on those beside the checkout.
func TestAgainstGopacket(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gopacket/gopacket").Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Skip("the go command does not tell where gopacket's module lies: ", err)
	}
	compareAll(t, string(bytes.TrimSpace(out)))
}

func TestAgainstGopacketOnShared(t *testing.T) {
	dir := "../../../shared/data"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data is not beside the checkout: ", err)
	}
	if testing.Short() {
		t.Skip("captures beside the checkout are not read in short mode")
	}
	compareAll(t, dir)
}

func compareAll(t *testing.T, dir string) {
	frames, same, unlike := 0, 0, 0
	var total packet.Counts
	for _, path := range captures(t, dir) {
		in, err := pcap.Open(path, nil)
		if err != nil {
			t.Errorf("open: %v", err)
			continue
		}
		d := packet.New(packet.Config{})
		var f source.Frame
		for err = in.Next(&f); err == nil; err = in.Next(&f) {
			frames++
			var p packet.Packet
			if d.Decode(f.Link, f.Time, f.Length, f.Data, &p) && p.Kind == packet.KindIP && p.Tunnel == packet.NoTunnel && !p.Joined {
				if why := differs(&f, &p); why == "" {
					same++
				} else if unlike++; unlike < 10 {
					t.Errorf("%s: %s: %+v", filepath.Base(path), why, p)
				}
			}
		}
		if err != io.EOF {
			t.Logf("%v", err)
		}
		c := d.Counts()
		for r, n := range c.Malformed {
			total.Malformed[r] += n
			if n > 0 {
				t.Logf("%s: %v %d of %d", filepath.Base(path), packet.Reason(r), n, c.Frames)
			}
		}
		total.Packets += c.Packets
		total.NotIP += c.NotIP
		total.UnknownLink += c.UnknownLink
		total.Tunnelled += c.Tunnelled
		total.FragmentsJoined += c.FragmentsJoined
		total.FragmentsDropped += c.FragmentsDropped
		total.Encrypted += c.Encrypted
		total.Cut += c.Cut
		in.Close()
	}
	if frames == 0 {
		t.Error("no frames were read")
	}
	t.Logf("%d frames, %d compared and alike, %+v", frames, same, total)
}

// differs says how gopacket's reading of a frame differs from p.
func differs(f *source.Frame, p *packet.Packet) string {
	if f.Link > 255 {
		return ""
	}
	g := gopacket.NewPacket(f.Data, layers.LinkType(f.Link), gopacket.DecodeOptions{NoCopy: true, Lazy: true})
	n := g.NetworkLayer()
	if n == nil {
		return ""
	}
	if src, dst := n.NetworkFlow().Endpoints(); !bytes.Equal(src.Raw(), p.Src.Addr().AsSlice()) || !bytes.Equal(dst.Raw(), p.Dst.Addr().AsSlice()) {
		return "addresses " + n.NetworkFlow().String()
	}
	switch l := g.TransportLayer().(type) {
	case *layers.TCP:
		if uint16(l.SrcPort) != p.SrcPort || uint16(l.DstPort) != p.DstPort || l.Seq != p.Seq || l.Ack != p.Ack || l.Window != p.Window ||
			l.SYN != (p.Flags&packet.SYN != 0) || l.FIN != (p.Flags&packet.FIN != 0) || !bytes.Equal(l.Payload, p.Payload) {
			return "tcp " + l.TransportFlow().String()
		}
	case *layers.UDP:
		if uint16(l.SrcPort) != p.SrcPort || uint16(l.DstPort) != p.DstPort || !bytes.Equal(l.Payload, p.Payload) {
			return "udp " + strings.TrimSpace(l.TransportFlow().String())
		}
	}
	return ""
}
