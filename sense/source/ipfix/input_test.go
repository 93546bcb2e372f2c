package ipfix

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/test/wire"
)

// some is a capture of a few export datagrams of every format.
func some() *wire.Tape {
	at := start.Add(-20 * time.Second)
	there := flowOf(a80, b80, 6, whole, 6, 1312, at, time.Second)
	back := flowOf(b80, a80, 6, whole, 5, 5260, at.Add(ms), time.Second)
	f9, fx := fields9(false), fieldsX(false)
	tape := &wire.Tape{}
	for i, b := range [][]byte{
		message5(start, 1, 0, there),
		message9(start, 1, 7, set(0, templateOf(300, f9...)), set(300, records(f9, back))),
		messageX(start, 1, 7, set(2, templateOf(300, fx...)), set(300, records(fx, flowOf("10.0.0.5:1000", "10.0.0.6:22", 6, syn, 1, 60, at, 0)))),
		messageS(1, sample(1, 1, 60, wire.Ether(0x0800, wire.IP(netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8"), 17, 1, wire.UDP(1000, 2000, make([]byte, 10)))))),
	} {
		tape.Datagram(start.Add(time.Duration(i)*time.Second), netip.AddrPortFrom(router, 5000), netip.MustParseAddrPort("192.0.2.9:4739"), b)
	}
	return tape
}

func bare() []byte {
	fx := fieldsX(false)
	b := messageX(start, 0, 7, set(2, templateOf(300, fx...)), set(300, records(fx, flowOf("10.0.0.5:1", b80, 6, syn, 1, 60, start, 0))))
	return append(b, messageX(start.Add(time.Minute), 1, 7, set(300, records(fx, flowOf("10.0.0.5:1", b80, 17, 0, 1, 60, start, 0))))...)
}

// TestSniff holds that inputs are told by content.
func TestSniff(t *testing.T) {
	mixed := some()
	mixed.Datagram(start, netip.AddrPortFrom(router, 5000), netip.MustParseAddrPort("192.0.2.9:53"), wire.Question(1, "www.example"))
	for name, c := range map[string]struct {
		head []byte
		want bool
	}{
		"exports": {some().Pcap(), true}, "cut within a frame": {some().Pcap()[:500], true},
		"pcapng":   {append(wire.Section(), section(some())...), true},
		"messages": {bare(), true}, "one message": {bare()[:100], true},
		"other traffic": {wire.Mixed(1, 50).Pcap(), false}, "beside other traffic": {mixed.Pcap(), false},
		"empty": {nil, false}, "empty capture": {wire.PcapHeader(1), false}, "text": {[]byte("0\n10\n"), false},
		"zeros": {make([]byte, 5000), false}, "version only": {[]byte{0, 10, 0, 40}, false},
	} {
		if got := Sniff(c.head, pcap.Open); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func section(tape *wire.Tape) (b []byte) {
	b = wire.Block(1, []byte{1, 0, 0, 0, 0, 0, 4, 0})
	tape.Each(func(at time.Time, data []byte) { b = append(b, wire.PacketBlock(at, data)...) })
	return b
}

func put(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, r *Reader) (all []*testudo.Conn) {
	t.Helper()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec.(*testudo.Conn))
	}
}

// TestOpen holds that every form of file is read, all of one directory as
// one, and that what is cut or gone is told.
func TestOpen(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	capture := put(t, "a", some().Pcap())
	for _, c := range []struct {
		name    string
		paths   []string
		conns   int
		skipped string
	}{
		{"capture", []string{capture}, 3, ""},
		{"messages", []string{put(t, "b", bare())}, 2, ""},
		{"gzip", []string{put(t, "b", pack(t, bare()))}, 2, ""},
		{"zstd", []string{put(t, "b", z.EncodeAll(bare(), nil))}, 2, ""},
		{"cut", []string{put(t, "b", bare()[:len(bare())-1])}, 1, "read only in part"},
		{"damaged", []string{put(t, "b", append(bare(), "xxxxxxxxxxxxxxxxxxxx"...))}, 2, "are no IPFIX message"},
		{"two", []string{capture, put(t, "b", bare())}, 5, ""},
		{"one gone", []string{capture, capture + ".none"}, 3, "no such file"},
	} {
		r, err := Open(pcap.Open, c.paths...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		all := readAll(t, r)
		reason := ""
		for _, s := range r.skipped {
			reason += s.Reason
		}
		if len(all) != c.conns || (reason == "") != (c.skipped == "") || !strings.Contains(reason, c.skipped) {
			t.Errorf("%s: skipped %q, conns:\n%s", c.name, reason, lines(all))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(pcap.Open, capture+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestOther holds that what stands beside exports is said.
func TestOther(t *testing.T) {
	tape := some()
	tape.Datagram(start, netip.AddrPortFrom(router, 5000), netip.MustParseAddrPort("192.0.2.9:53"), wire.Question(1, "www.example"))
	r, err := Open(pcap.Open, put(t, "a", tape.Pcap()))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, r)
	if said := strings.Join(r.Notes(), "\n"); !strings.Contains(said, "NetFlow v5, NetFlow v9, IPFIX, sFlow v5") || !strings.Contains(said, "1 other frames") {
		t.Errorf("said %q", said)
	}
}

// TestListen holds that datagrams that arrive become conns, that silence is
// told, and that strangers are not heard.
func TestListen(t *testing.T) {
	if _, err := Listen("127.0.0.1:0", Options{}); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody allowed: %v", err)
	}
	if _, err := Listen("256.0.0.1:x", Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}); err == nil {
		t.Error("listens nowhere")
	}
	l, err := Listen("127.0.0.1:0", Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Conns: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send := func(from string, b []byte) {
		t.Helper()
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, l.Addr().(*net.UDPAddr))
		if err != nil {
			t.Skipf("this machine has no address %s: %v", from, err)
		}
		defer c.Close()
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	now := start
	l.clock = func() time.Time { now = now.Add(time.Millisecond); return now }
	if err := l.receive(time.Now().Add(time.Millisecond)); err != nil {
		t.Errorf("silence: %v", err)
	}
	long := time.Now().Add(5 * time.Second)
	send("127.0.0.3", message5(start, 0, 0, flowOf(a80, b80, 6, syn, 1, 60, start, 0)))
	if err := l.receive(long); err != nil || l.stats.denied != 1 || l.stats.flows != 0 {
		t.Errorf("a stranger: %v, %+v", err, l.stats)
	}
	send("127.0.0.2", message5(start, 0, 0, flowOf(a80, b80, 6, syn, 1, 60, start, 0)))
	if err := l.receive(long); err != nil || l.stats.flows != 1 {
		t.Errorf("an exporter: %v, %+v", err, l.stats)
	}
	l.clock = time.Now // reading it takes as long as it takes
	began := time.Now()
	l.collector.now = 0
	l.table.flush()
	if r, err := l.Next(); err != nil || !strings.Contains(line(r.(*testudo.Conn)), "S0") {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := l.Next(); err != source.ErrIdle || time.Since(began) < pause/2 {
		t.Errorf("idle: %v after %v", err, time.Since(began))
	}
	l.Close()
	if _, err := l.Next(); err == nil || err == source.ErrIdle {
		t.Errorf("closed: %v", err)
	}
	if len(l.Shed()) != 1 {
		t.Errorf("shed %v", l.Shed())
	}
}
