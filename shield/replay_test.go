package shield

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/judge/intel/plain"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/ipfix"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/sense/source/zeek"
	"github.com/testudo-shield/testudo/test/wire"
)

func replay(paths ...string) Replay {
	return Replay{
		Parts:    Parts{Sources: []source.Opener{{Name: "capture", Sniff: pcap.Sniff, Frames: pcap.Open}}},
		Settings: Settings{Workers: 2, Budgets: engine.DefaultBudgets(), Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		Paths:    paths,
	}
}

func write(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestReplay holds what is read of a folder, and what is said of the rest.
func TestReplay(t *testing.T) {
	whole := wire.Mixed(1, 30).Pcap()
	dir := write(t, map[string][]byte{"a": whole, "b/c": whole, "b/notes.txt": []byte("notes"), "cut": whole[:len(whole)-1]})
	res, err := replay(dir).Run(context.Background())
	if err != nil || len(res.Summary.Skipped) != 1 || !strings.HasSuffix(res.Summary.Skipped[0].Input, "cut") {
		t.Errorf("error %v, skipped %v", err, res.Summary.Skipped)
	}
	n := wire.Mixed(1, 30).Len()
	if res.Summary.Packets != int64(3*n-1) || len(res.Summary.Inputs) != 1 {
		t.Errorf("%d packets, want %d; inputs %v", res.Summary.Packets, 3*n-1, res.Summary.Inputs)
	}
	res, err = replay(filepath.Join(dir, "none"), t.TempDir()).Run(context.Background())
	if !errors.Is(err, ErrNoInput) || len(res.Summary.Skipped) != 2 {
		t.Errorf("error %v, skipped %v", err, res.Summary.Skipped)
	}
	if _, err := replay("-").Run(context.Background()); !errors.Is(err, ErrNoInput) {
		t.Errorf("no stdin: %v", err)
	}
}

// TestReplayOnce holds that what is named twice is read once, and what is said
// of it and of files that are no input.
func TestReplayOnce(t *testing.T) {
	whole := wire.Mixed(1, 30)
	dir := write(t, map[string][]byte{"a": whole.Pcap(), "notes.txt": []byte("notes"), "todo.txt": []byte("todo")})
	a := filepath.Join(dir, "a")
	for _, paths := range [][]string{{a, a}, {a, dir}, {dir, dir}, {dir, dir + "/./a"}} {
		var said []string
		r := replay(paths...)
		r.Note = func(s string) { said = append(said, s) }
		res, err := r.Run(context.Background())
		if err != nil || len(res.Summary.Skipped) != 0 || res.Summary.Packets != int64(whole.Len()) {
			t.Errorf("%q: error %v, skipped %v, %d packets", paths, err, res.Summary.Skipped, res.Summary.Packets)
		}
		all := strings.Join(said, "\n")
		if !strings.Contains(all, "twice") || strings.Contains(all, "2 other files left aside") != slices.Contains(paths, dir) {
			t.Errorf("%q: said %q", paths, said)
		}
	}
}

// TestReplayGivenUp holds that a stdin that never says what it holds can be
// left.
func TestReplayGivenUp(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	r := replay("-")
	r.Stdin = in
	res, err := r.Run(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || len(res.Summary.Inputs) != 1 || len(res.Summary.Skipped) != 1 {
		t.Errorf("error %v, inputs %v", err, res.Summary.Inputs)
	}
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func zst(t testing.TB, b []byte) []byte {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(b, nil)
}

// FuzzFirstBytes holds that the look at a file's head ends, gives at most
// 64 KiB, and leaves what is not packed as it is.
func FuzzFirstBytes(f *testing.F) {
	bomb := make([]byte, 8<<20)
	for _, b := range [][]byte{nil, []byte("text"), gz([]byte("text")), gz(bomb), gz(gz(bomb)), zst(f, []byte("text")), zst(f, bomb), gz(bomb)[:30], {0x1f, 0x8b}, {0x28, 0xb5, 0x2f, 0xfd}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		head, err := firstBytes(bytes.NewReader(b))
		if len(head) > headBytes || err != nil && len(head) > 0 {
			t.Fatalf("%d bytes, %v", len(head), err)
		}
		packed := bytes.HasPrefix(b, []byte{0x1f, 0x8b}) || bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd})
		if !packed && !bytes.Equal(head, b[:min(len(b), headBytes)]) {
			t.Fatalf("%d other bytes", len(head))
		}
	})
}

// TestFirstBytes holds that packed heads are looked into.
func TestFirstBytes(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 8000)
	for name, b := range map[string][]byte{"plain": long, "gzip": gz(long), "zstd": zst(t, long), "gzip, cut": gz(bytes.Repeat(long, 50))[:400]} {
		head, err := firstBytes(bytes.NewReader(b))
		if err != nil || len(head) == 0 || !bytes.HasPrefix(long, head) || name != "gzip, cut" && len(head) != headBytes {
			t.Errorf("%s: %d bytes, %v", name, len(head), err)
		}
	}
}

// plainLists are files of plain indicators.
func plainLists(paths ...string) Intel {
	return Intel{Formats: []intel.Format{plain.Format}, Paths: paths}
}

// TestLoadIntel holds which files of a folder are lists.
func TestLoadIntel(t *testing.T) {
	dir := write(t, map[string][]byte{
		"lists/a.txt":     []byte("spy.example\n10.0.0.1\n"),
		"lists/sub/b.txt": []byte("203.0.113.7\n"),
		"lists/README.md": []byte("Prose about lists.\n"),
		"lists/.git/pack": bytes.Repeat([]byte{0}, 1<<20),
		"lists/.swp":      []byte("shop.example\n"),
		"prose.txt":       []byte("Prose.\n"),
	})
	var s Settings
	if err := s.LoadIntel(t.Context(), plainLists(filepath.Join(dir, "lists"))); err != nil {
		t.Fatal(err)
	}
	if s.Lists.Lists != 2 || s.Lists.Indicators != 3 {
		t.Errorf("%+v", s.Lists)
	}
	if hits := s.Match(&testudo.DNS{Query: "www.spy.example"}); len(hits) != 1 || hits[0].Source != "a.txt" {
		t.Errorf("hits %+v", hits)
	}
	for _, bad := range []string{"prose.txt", "none.txt"} {
		if err := s.LoadIntel(t.Context(), plainLists(filepath.Join(dir, bad))); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := s.LoadIntel(t.Context(), plainLists(filepath.Join(dir, "none.txt"))); err == nil || strings.Contains(err.Error(), "stat") {
		t.Errorf("a missing list: %v", err)
	}
	refused := write(t, map[string][]byte{"lists/a.txt": []byte("Dear reader,\n")})
	if err := s.LoadIntel(t.Context(), plainLists(refused)); err == nil || !strings.Contains(err.Error(), "1 line of prose") {
		t.Errorf("a folder of nothing usable: %v", err)
	}
	if err := s.LoadIntel(t.Context(), plainLists(filepath.Join(dir, "lists"))); err != nil {
		t.Fatal(err)
	}
	own := &testudo.DNS{Query: "x.example", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, 1})}}
	if hits := s.Match(own); len(hits) != 1 || hits[0].Marks != testudo.MarkPrivate {
		t.Errorf("a private address on a list: %+v", hits)
	}
	var none Settings
	if err := none.LoadIntel(t.Context(), plainLists()); err != nil || none.Match != nil {
		t.Errorf("without lists: %v", err)
	}
}

// TestReplayKinds holds that records of several kinds and captures are read
// together.
func TestReplayKinds(t *testing.T) {
	dir := write(t, map[string][]byte{
		"flows":    wire.Exports().Pcap(),
		"capture":  wire.Mixed(1, 30).Pcap(),
		"dns.json": []byte(`{"_path":"dns","ts":1709629200.5,"uid":"C1","id.orig_h":"10.1.0.9","id.orig_p":5353,"id.resp_h":"10.1.0.1","id.resp_p":53,"proto":"udp","query":"www.example"}` + "\n"),
	})
	r := replay(dir)
	r.Sources = append([]source.Opener{
		ipfix.Opener(pcap.Open),
		{Name: "zeek log", Sniff: zeek.Sniff, Records: func(p ...string) (source.Records, error) { return zeek.Open(p...) }},
	}, r.Sources...)
	var said []string
	r.Note = func(s string) { said = append(said, s) }
	kinds := map[string]int{}
	r.Match = func(rec testudo.Record) []testudo.Hit { kinds[rec.Log()]++; return nil }
	res, err := r.Run(context.Background())
	if err != nil || len(res.Summary.Skipped) != 0 || res.Summary.Packets != int64(wire.Mixed(1, 30).Len()) || kinds["dns"] != 1 || kinds["conn"] < 320 {
		t.Errorf("error %v, skipped %v, %d packets, records %v", err, res.Summary.Skipped, res.Summary.Packets, kinds)
	}
	if !strings.Contains(strings.Join(said, "\n"), "flow exports (NetFlow v5)") {
		t.Errorf("said %q", said)
	}
}
