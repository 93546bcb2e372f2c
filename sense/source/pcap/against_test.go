package pcap

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/testudo-shield/testudo/sense/source"
)

// TestAgainstGopacket compares this reader with another one on the captures
// of that one's module.
func TestAgainstGopacket(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gopacket/gopacket").Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Skip("the go command does not tell where gopacket's module lies: ", err)
	}
	files, frames := 0, 0
	err = filepath.WalkDir(string(bytes.TrimSpace(out)), func(path string, e fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".pcap" && ext != ".pcapng" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if Sniff(b) {
			files++
			frames += compareReaders(t, filepath.Base(path), b)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d captures, %v", files, err)
	}
	t.Logf("%d captures, %d frames", files, frames)
}

func compareReaders(t *testing.T, name string, b []byte) (n int) {
	var other gopacket.PacketDataSource
	other, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		options := pcapgo.DefaultNgReaderOptions
		options.WantMixedLinkType = true
		options.SkipUnknownVersion = true
		if other, err = pcapgo.NewNgReader(bytes.NewReader(b), options); err != nil {
			t.Logf("%s: the other reader says %v", name, err)
			return 0
		}
	}
	r, err := New(name, bytes.NewReader(b))
	if err != nil {
		t.Error(err)
		return 0
	}
	var f source.Frame
	for ; ; n++ {
		data, info, otherErr := other.ReadPacketData()
		err := r.Next(&f)
		if err != nil || otherErr != nil {
			if err != otherErr {
				t.Logf("%s: after %d frames %v, the other reader says %v", name, n, err, otherErr)
			}
			if (err == io.EOF) && otherErr == nil {
				t.Errorf("%s: ended after %d frames", name, n)
			}
			return n
		}
		if !bytes.Equal(data, f.Data) || info.Length != f.Length {
			t.Fatalf("%s: frame %d differs", name, n)
		}
		if at := info.Timestamp; !at.IsZero() && at.UnixNano() != int64(f.Time) {
			t.Errorf("%s: frame %d is of %v, the other reader says %v", name, n, f.Time, at.UTC())
		}
	}
}
