package test

import (
	"bytes"
	"compress/gzip"
	bin "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo/test/wire"
)

// most is how much memory any input may make the binary hold.
const most = 512 << 20

// check holds what is promised for every input, however bad: an end within
// patience, bounded memory, an exit code of the contract, a summary as the
// last line of JSON, and a report that cannot act on a terminal. It returns
// what the JSON form and the text form did.
func check(t *testing.T, code int, stdin []byte, args ...string) (asJSON, asText ran) {
	t.Helper()
	in := func() io.Reader {
		if stdin == nil {
			return nil
		}
		return bytes.NewReader(stdin)
	}
	asJSON = run(t, in(), append([]string{"replay", "-o", "json"}, args...)...)
	asText = run(t, in(), append([]string{"replay", "--all"}, args...)...)
	for _, r := range []ran{asJSON, asText} {
		healthy(t, r)
		if r.code != code {
			t.Errorf("exit %d, want %d\n%.1000s", r.code, code, r.stderr)
		}
		if code == 3 && len(bytes.TrimSpace(r.stderr)) == 0 {
			t.Error("exit 3 without a word on stderr")
		}
	}
	summary(t, asJSON)
	return asJSON, asText
}

// healthy holds what is promised of any run.
func healthy(t *testing.T, r ran) {
	t.Helper()
	if bytes.Contains(r.stderr, []byte("goroutine ")) || bytes.Contains(r.stderr, []byte("panic")) {
		t.Errorf("panic: %.3000s", r.stderr)
	}
	if r.rss > most {
		t.Errorf("%d MB held", r.rss>>20)
	}
	for what, out := range map[string][]byte{"stdout": r.stdout, "stderr": r.stderr} {
		if i := acts(out); i >= 0 {
			t.Errorf("%s can act on a terminal: %q", what, out[max(0, i-40):min(len(out), i+40)])
		}
	}
}

// acts returns where out holds something that is not shown but obeyed, -1 for
// nowhere.
func acts(out []byte) int {
	for i := 0; i < len(out); {
		c, n := utf8.DecodeRune(out[i:])
		if c == utf8.RuneError && n == 1 || c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
			return i
		}
		i += n
	}
	return -1
}

// object is one line of JSON.
type object map[string]any

// lines decodes JSON Lines.
func lines(t *testing.T, out []byte) (all []object) {
	t.Helper()
	for line := range bytes.Lines(out) {
		var o object
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %.300q", err, line)
		}
		if o["type"] == nil || o["schema"] != 1.0 {
			t.Errorf("a line without type or schema: %.300q", line)
		}
		all = append(all, o)
	}
	return all
}

// summary returns the summary, which must be the last line and the only one.
func summary(t *testing.T, r ran) object {
	t.Helper()
	all := lines(t, r.stdout)
	if len(all) == 0 {
		t.Fatalf("no summary; exit %d\n%.1000s", r.code, r.stderr)
	}
	for i, o := range all {
		if (o["type"] == "summary") != (i == len(all)-1) {
			t.Errorf("line %d is %v", i, o["type"])
		}
	}
	return all[len(all)-1]
}

// ordinary is a small capture that is as it should be.
func ordinary() []byte { return wire.Mixed(5, 60).Pcap() }

// TestHostileFiles feeds what is no capture, or one only in part.
func TestHostileFiles(t *testing.T) {
	whole := ordinary()
	noise := rand.NewChaCha8([32]byte{1})
	random := make([]byte, 1<<20)
	noise.Read(random)
	frame := wire.Ether(0x0800, wire.IP(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1"), 17, 1, wire.UDP(1, 2, []byte("hello"))))
	long4 := wire.PcapFrame(wire.Start, frame, len(frame))
	bin.LittleEndian.PutUint32(long4[8:], 0xffffffff)
	longBlock := wire.PacketBlock(wire.Start, frame)
	bin.LittleEndian.PutUint32(longBlock[4:], 0xfffffffc)
	longPacket := wire.PacketBlock(wire.Start, frame)
	bin.LittleEndian.PutUint32(longPacket[20:], 0xffffffff)
	shortBlock := wire.PacketBlock(wire.Start, frame)
	bin.LittleEndian.PutUint32(shortBlock[4:], 0)
	one := append(wire.PcapHeader(1), wire.PcapFrame(wire.Start, frame, len(frame))...)
	for _, c := range []struct {
		name    string
		data    []byte
		code    int
		says    string // on stderr
		packets float64
	}{
		{"empty", nil, 3, "empty", 0},
		{"one byte", []byte{0xd4}, 3, "not a capture", 0},
		{"text", []byte("Dear reader,\x1b[31m this is no capture.\n"), 3, "not a capture", 0},
		{"random", random, 3, "not a capture", 0},
		{"wrong magic", append([]byte{0xd4, 0xc3, 0xb2, 0xa2}, whole[4:]...), 3, "not a capture", 0},
		{"only the head", whole[:24], 0, "", 0},
		{"half the head", whole[:12], 3, "in part", 0},
		{"cut in a frame", one[:len(one)-3], 3, "in part", 0},
		{"cut in a frame's head", append(one, 1, 2, 3), 3, "in part", 1},
		{"frame of 4 GB", append(wire.PcapHeader(1), long4...), 3, "4294967295", 0},
		{"random after one frame", append(bytes.Clone(one), random...), 3, "in part", 1},
		{"unknown link type", append(wire.PcapHeader(147), wire.PcapFrame(wire.Start, frame, len(frame))...), 0, "", 1},
		{"pcapng: block of 4 GB", append(wire.Section(), longBlock...), 3, "length", 0},
		{"pcapng: packet of 4 GB", append(wire.Section(), longPacket...), 3, "4294967295", 0},
		{"pcapng: block of nothing", append(wire.Section(), shortBlock...), 3, "length", 0},
		{"pcapng: packet before an interface", append(wire.Section()[:28], wire.PacketBlock(wire.Start, frame)...), 3, "interface", 0},
		{"gzip of nothing", packed(nil), 3, "", 0},
		{"gzip of random", packed(random), 3, "not a capture", 0},
		{"gzip cut", packed(whole)[:2000], 3, "in part", -1},
		{"gzip magic and noise", append([]byte{0x1f, 0x8b}, random[:500]...), 3, "", 0},
		{"zstd magic and noise", append([]byte{0x28, 0xb5, 0x2f, 0xfd}, random[:500]...), 3, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, "in.pcap", c.data)
			r, text := check(t, c.code, nil, path)
			if !strings.Contains(string(r.stderr), c.says) {
				t.Errorf("stderr does not say %q: %s", c.says, r.stderr)
			}
			s := summary(t, r)
			if got := s["packets"]; c.packets >= 0 && got != c.packets {
				t.Errorf("%v packets, want %v", got, c.packets)
			}
			if skipped, _ := s["skipped"].([]any); (len(skipped) > 0) != (c.code == 3) {
				t.Errorf("skipped: %v", skipped)
			}
			if c.code == 3 && !bytes.Contains(append(text.stdout, text.stderr...), []byte("in.pcap")) {
				t.Errorf("the text does not name the input:\n%s", text.stdout)
			}
			if c.data != nil {
				piped, _ := check(t, c.code, c.data, "-")
				if s2 := summary(t, piped); s2["packets"] != s["packets"] {
					t.Errorf("%v packets through stdin, %v from the file", s2["packets"], s["packets"])
				}
			}
		})
	}
}

// packed compresses by gzip; writing to memory cannot fail.
func packed(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// TestHostileMix holds that a bad input beside a good one costs nothing but
// itself, and that a folder and a missing file are told apart.
func TestHostileMix(t *testing.T) {
	dir := t.TempDir()
	whole := ordinary()
	for name, data := range map[string][]byte{"a.pcap": whole, "b.pcap": whole[:len(whole)-7], "c.txt": []byte("notes\n"), "d.pcap.gz": packed(whole)[:900]} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	alone := summary(t, run(t, nil, "replay", "-o", "json", filepath.Join(dir, "a.pcap")))
	r, _ := check(t, 3, nil, dir)
	both := summary(t, r)
	if both["packets"].(float64) < 2*alone["packets"].(float64)-1 {
		t.Errorf("%v packets of the folder, %v of one file", both["packets"], alone["packets"])
	}
	if skipped := fmt.Sprint(both["skipped"]); !strings.Contains(skipped, "b.pcap") || !strings.Contains(skipped, "d.pcap.gz") || strings.Contains(skipped, "a.pcap") {
		t.Errorf("skipped: %s", skipped)
	}
	check(t, 3, nil, filepath.Join(dir, "none.pcap"))
	check(t, 3, nil, filepath.Join(dir, "a\x1b[31m\u202e.pcap"))
	empty := t.TempDir()
	check(t, 3, nil, empty)
	check(t, 3, nil, filepath.Join(dir, "none.pcap"), empty)
}

// TestHostileTraffic feeds captures whose frames mean harm.
func TestHostileTraffic(t *testing.T) {
	for _, c := range []struct {
		name string
		tape func() *wire.Tape
		all  bool // every frame is counted
	}{
		{"nested tunnels", nested, true},
		{"overlapping fragments", overlapping, true},
		{"fragments without end", endless, true},
		{"names that act on terminals", ugly, true},
		{"random bytes behind every header", noisy, true},
		{"one host, all ports", crowd, true},
		{"streams with holes", holes, true},
		{"times everywhere", unruly, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tape := c.tape()
			r, text := check(t, 0, nil, file(t, "in.pcap", tape.Pcap()))
			if got := summary(t, r)["packets"]; got != float64(tape.Len()) {
				t.Errorf("%v packets, want %d", got, tape.Len())
			}
			t.Logf("%d frames: %v, %d MB", tape.Len(), text.took.Round(time.Millisecond), max(r.rss, text.rss)>>20)
			dir := t.TempDir()
			healthy(t, run(t, nil, "replay", "-o", "csv", "--records", dir, "--config", file(t, "c.yaml", []byte(tiny)), file(t, "in.pcap", tape.Pcap())))
			if records := contents(t, dir); acts(bytes.ReplaceAll(records, []byte("\t"), nil)) >= 0 {
				i := acts(bytes.ReplaceAll(records, []byte("\t"), nil))
				t.Errorf("a record can act on a terminal near %.80q", bytes.ReplaceAll(records, []byte("\t"), nil)[max(0, i-40):])
			}
		})
	}
}

var (
	spy  = netip.MustParseAddr("203.0.113.66")
	desk = netip.MustParseAddr("10.0.0.66")
)

// TestHostileNames holds that foreign names that reach an incident cannot act
// on a terminal in any form, and that JSON gives them back as they were.
func TestHostileNames(t *testing.T) {
	capture := file(t, "in.pcap", ugly().Pcap())
	list := file(t, "list.txt", []byte("203.0.113.0/24 \x1b[31mnote\u202e\n"))
	for _, form := range []string{"text", "json", "csv"} {
		r := run(t, nil, "replay", "-o", form, "--all", "--intel", list, capture)
		healthy(t, r)
		if r.code != 0 {
			t.Errorf("exit %d: %.500s", r.code, r.stderr)
		}
		if form == "json" {
			if n := len(lines(t, r.stdout)); n < 2 {
				t.Errorf("%d lines: the names are in no incident", n)
			}
			if !bytes.Contains(r.stdout, []byte(`\u202e`)) {
				t.Error("no incident holds an ugly name")
			}
		}
	}
}

// nested wraps packets in IP in IP, and GRE in GRE, as deep as a frame allows.
func nested() *wire.Tape {
	t := &wire.Tape{}
	var deep [3][]byte
	for i := range 10000 {
		k := i % 3
		inner := deep[k]
		if inner == nil || len(inner) > 9000 {
			inner = wire.IP(desk, spy, 17, 1, wire.UDP(1, 2, []byte("deep")))
		}
		switch k {
		case 0:
			inner = wire.IP(desk, spy, 4, uint16(i), inner)
		case 1:
			inner = wire.IP(desk, spy, 47, uint16(i), append([]byte{0, 0, 8, 0}, inner...))
		default:
			vxlan := append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, wire.Ether(0x0800, inner)...)
			inner = wire.IP(desk, spy, 17, uint16(i), wire.UDP(5000, 4789, vxlan))
		}
		deep[k] = inner
		t.Add(wire.Start.Add(time.Duration(i)*time.Millisecond), wire.Ether(0x0800, inner))
	}
	for i := range 200 { // tags within tags
		f := []byte{}
		for range 1 + i*20 {
			f = append(f, 0x00, 0x05, 0x81, 0x00)
		}
		t.Add(wire.Start.Add(time.Minute), wire.Ether(0x8100, f))
	}
	return t
}

// overlapping sends pieces that contradict each other and lie beyond the end.
func overlapping() *wire.Tape {
	t := &wire.Tape{}
	r := rand.New(rand.NewPCG(2, 2))
	piece := make([]byte, 1480)
	for i := range 20000 {
		off := r.IntN(8191) * 8
		t.Add(wire.Start.Add(time.Duration(i)*time.Millisecond),
			wire.Ether(0x0800, wire.Fragment(desk, spy, 17, uint16(i%7), off, r.IntN(3) > 0, piece[:8+r.IntN(1400)/8*8])))
	}
	for i := range 500 { // the ping of death
		t.Add(wire.Start.Add(time.Minute), wire.Ether(0x0800, wire.Fragment(desk, spy, 1, uint16(i), 65528, false, piece[:1000])))
	}
	return t
}

// endless begins a packet of its own with every fragment.
func endless() *wire.Tape {
	t := &wire.Tape{}
	piece := make([]byte, 1400)
	for i := range 30000 {
		src := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		t.Add(wire.Start.Add(time.Duration(i)*10*time.Microsecond), wire.Ether(0x0800, wire.Fragment(src, spy, 17, uint16(i), 0, true, piece)))
	}
	return t
}

// ugly puts what terminals obey wherever a name can be put, in traffic that
// makes incidents of it.
func ugly() *wire.Tape {
	t := &wire.Tape{}
	evil := []string{"\x1b[2J\x1b]0;owned\x07", "a\r\nSet: b", "\u202egnp.exe", "\x00\x01\x7f\u009b31m", "\xff\xfe\xc0\x80", "\u200b\u2066\ufeff", strings.Repeat("A", 63)}
	for i, e := range evil {
		at := wire.Start.Add(time.Duration(i) * time.Second)
		name := e[:min(len(e), 60)] + ".example"
		server := netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})
		t.Lookup(at, netip.AddrPortFrom(desk, uint16(4000+i)), netip.MustParseAddr("10.0.0.2"), uint16(i), name, server)
		t.Conn(at.Add(time.Second), netip.AddrPortFrom(desk, uint16(5000+i)), netip.AddrPortFrom(server, 443), wire.Say{Bytes: wire.Hello(name)})
		t.Conn(at.Add(2*time.Second), netip.AddrPortFrom(desk, uint16(6000+i)), netip.AddrPortFrom(server, 80),
			wire.Say{Bytes: []byte("POST /" + e + " HTTP/1.1\r\nHost: " + name + "\r\nUser-Agent: " + e + "\r\nContent-Length: 4\r\n\r\nMZ\x90\x00")},
			wire.Say{Resp: true, Bytes: []byte("HTTP/1.1 200 " + e + "\r\nServer: " + e + "\r\nContent-Disposition: attachment; filename=\"" + e + "\"\r\n\r\n\x7fELF" + e)})
		t.Conn(at.Add(3*time.Second), netip.AddrPortFrom(server, uint16(6000+i)), netip.AddrPortFrom(desk, 21),
			wire.Say{Resp: true, Bytes: []byte("220 " + e + "\r\n")}, wire.Say{Bytes: []byte("USER " + e + "\r\n")},
			wire.Say{Resp: true, Bytes: []byte("530 " + e + "\r\n")})
		for k := range 40 {
			t.Conn(at.Add(time.Duration(k)*time.Minute), netip.AddrPortFrom(server, uint16(7000+k)), netip.AddrPortFrom(desk, 22),
				wire.Say{Resp: true, Bytes: []byte("SSH-2.0-" + e + "\r\n")}, wire.Say{Bytes: []byte("SSH-2.0-" + e + "\r\n")})
			t.Conn(at.Add(time.Duration(k)*time.Minute), netip.AddrPortFrom(desk, uint16(8000+k)), netip.AddrPortFrom(server, 80),
				wire.Say{Bytes: []byte("GET /" + e + " HTTP/1.1\r\nHost: " + name + "\r\n\r\n")})
		}
	}
	t.Sort()
	return t
}

// noisy follows every well-known port's handshake with random bytes.
func noisy() *wire.Tape {
	t := &wire.Tape{}
	r := rand.New(rand.NewPCG(3, 3))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for i := range 3000 {
		at := wire.Start.Add(time.Duration(i) * 10 * time.Millisecond)
		port := [...]uint16{21, 22, 25, 53, 67, 80, 123, 137, 161, 389, 443, 445, 502, 1900, 5353, 8080}[i%16]
		from := netip.AddrPortFrom(desk, uint16(10000+i))
		head := [...][]byte{nil, {22, 3, 1, 255, 255, 1, 255, 255, 255}, []byte("GET "), []byte("SSH-2.0-"), {0, 0, 255, 255}, {0xc3, 0, 0, 0, 1, 255}}[i%6]
		t.Conn(at, from, netip.AddrPortFrom(spy, port), wire.Say{Bytes: append(bytes.Clone(head), noise(r.IntN(2000))...)}, wire.Say{Resp: true, Bytes: noise(r.IntN(2000))})
		t.Datagram(at, from, netip.AddrPortFrom(spy, port), append(bytes.Clone(head), noise(r.IntN(1200))...))
		t.Packet(at, desk, spy, byte(i), noise(r.IntN(100)))
		f := wire.Ether(0x0800, wire.IP(desk, spy, byte(i%60), uint16(i), noise(r.IntN(100))))
		for range 3 {
			f[14+r.IntN(len(f)-14)] = byte(r.Uint32())
		}
		t.Add(at, f)
	}
	return t
}

// crowd makes more conversations than any table holds.
func crowd() *wire.Tape {
	t := &wire.Tape{}
	for i := range 300000 {
		src := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		t.Packet(wire.Start.Add(time.Duration(i)*10*time.Microsecond), src, desk, 6, wire.TCP(uint16(i>>3), 443, uint32(i), 0, wire.SYN, nil))
	}
	return t
}

// holes opens streams and sends only what lies beyond a hole.
func holes() *wire.Tape {
	t := &wire.Tape{}
	data := make([]byte, 1400)
	for i := range 2000 {
		at := wire.Start.Add(time.Duration(i) * 5 * time.Millisecond)
		port := uint16(10000 + i)
		t.Packet(at, desk, spy, 6, wire.TCP(port, 80, 0, 0, wire.SYN, nil))
		t.Packet(at, spy, desk, 6, wire.TCP(80, port, 0, 1, wire.SYN|wire.ACK, nil))
		for k := range 30 {
			t.Packet(at, desk, spy, 6, wire.TCP(port, 80, uint32(2000+k*2800), 1, wire.ACK, data))
		}
	}
	return t
}

// unruly gives frames any time there is.
func unruly() *wire.Tape {
	t := &wire.Tape{}
	r := rand.New(rand.NewPCG(4, 4))
	for i := range 5000 {
		at := time.Unix(int64(r.Uint32()), 0)
		t.Datagram(at, netip.AddrPortFrom(desk, uint16(i)), netip.AddrPortFrom(spy, 53), wire.Question(uint16(i), "a.example"))
	}
	return t
}

// endlessNG writes well-formed pcapng blocks until its reader is gone or n
// bytes are written.
type endlessNG struct {
	block []byte
	rest  []byte
	n     int
}

func (e *endlessNG) Read(b []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	if len(e.rest) == 0 {
		e.rest = e.block
	}
	k := copy(b, e.rest[:min(len(e.rest), e.n)])
	e.rest, e.n = e.rest[k:], e.n-k
	return k, nil
}

// TestHostileStreams feeds what has no end of its own through stdin: blocks
// that hold nothing, and bombs.
func TestHostileStreams(t *testing.T) {
	size := 200 << 20
	if testing.Short() {
		size = 20 << 20
	}
	empty := func() io.Reader {
		interfaces := bytes.Repeat(wire.Section()[28:], 1000)
		return io.MultiReader(bytes.NewReader(wire.Section()), bytes.NewReader(bytes.Repeat(interfaces, 60)),
			&endlessNG{block: bytes.Repeat(wire.Block(0x0bad, make([]byte, 4000)), 20), n: size / 4012 * 4012})
	}
	zeros := func() io.Reader { return &endlessNG{block: make([]byte, 1<<20), n: size} }
	bomb := func(w func(io.Writer) io.WriteCloser, in io.Reader) io.Reader {
		var b bytes.Buffer
		z := w(&b)
		if _, err := io.Copy(z, in); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	gz := func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed); return z }
	zst := func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	head := func(in io.Reader) io.Reader { return io.MultiReader(bytes.NewReader(wire.PcapHeader(1)), in) }
	for _, c := range []struct {
		name string
		in   io.Reader
		code int
	}{
		{"pcapng blocks that hold nothing", empty(), 0},
		{"zeros after a pcap head", head(zeros()), 0},
		{"zeros", zeros(), 3},
		{"gzip bomb of zeros", bomb(gz, zeros()), 3},
		{"gzip bomb of frames", bomb(gz, head(zeros())), 0},
		{"gzip bomb in a gzip bomb", bomb(gz, bomb(gz, head(zeros()))), 0},
		{"zstd bomb of frames", bomb(zst, head(zeros())), 0},
		{"zstd bomb of blocks", bomb(zst, empty()), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.in, "replay", "-o", "json", "-")
			healthy(t, r)
			if r.code != c.code {
				t.Errorf("exit %d, want %d: %.500s", r.code, c.code, r.stderr)
			}
			summary(t, r)
			t.Logf("%v, %d MB", r.took.Round(time.Millisecond), r.rss>>20)
		})
	}
}

// TestHostileLogs feeds logs of another sensor that mean harm.
func TestHostileLogs(t *testing.T) {
	head := "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n" +
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\n" +
		"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\n"
	row := func(ts, duration, service string) string {
		return ts + "\tCabc\t10.0.0.5\t4000\t203.0.113.7\t443\ttcp\t" + service + "\t" + duration + "\t10\t20\tSF\n"
	}
	good := row("1700000000.5", "1.5", "ssl")
	for _, c := range []struct {
		name string
		text string
	}{
		{"as it should be", head + good},
		{"times everywhere", head + row("99999999999999999999", "1", "-") + row("-5", "1", "-") + row("1e308", "1e308", "-") + row("4000000000", "9200000000", "-") + good + row("NaN", "Inf", "-")},
		{"what terminals obey", head + row("1700000000.5", "1", "\x1b[2J\u202e\x07") + strings.ReplaceAll(good, "Cabc", "\\x1b[31m")},
		{"too few and too many fields", head + "1700000000.5\tCabc\n" + strings.Repeat("x\t", 100000) + "\n" + good},
		{"a line of 32 MB", head + strings.Repeat("x", 32<<20) + "\n" + good},
		{"a head of lies", "#separator \\xZZ\n" + head + "#fields\tts\tts\tts\n" + good},
		{"no rows", head},
		{"nested JSON", strings.Repeat(`{"_path":"conn","ts":`, 20000) + "\n"},
		{"JSON of another kind", `{"_path":"conn","ts":"x","id.orig_h":5,"id.resp_h":[],"proto":{}}` + "\n" + `{"_path":"conn"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t, "conn.log", []byte(c.text))
			for _, form := range []string{"json", "text"} {
				r := run(t, nil, "replay", "-o", form, path)
				healthy(t, r)
				if r.code != 0 && r.code != 3 {
					t.Errorf("exit %d: %.500s", r.code, r.stderr)
				}
				if form == "json" {
					summary(t, r)
				}
			}
		})
	}
}
