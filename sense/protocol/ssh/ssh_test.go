package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

const (
	t0   = testudo.Time(1_700_000_000_000_000_000)
	orig = protocol.Orig
	resp = protocol.Resp
)

func packet(payload []byte) []byte {
	pad := 8 - (5+len(payload))%8
	if pad < 4 {
		pad += 8
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	b = append(append(b, byte(pad)), payload...)
	return append(b, make([]byte, pad)...)
}

func kexInit(lists ...string) []byte {
	p := append([]byte{msgKex}, make([]byte, 16)...)
	for _, l := range append(lists, "", "") {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(l))), l...)
	}
	return packet(append(p, 0, 0, 0, 0, 0))
}

// talk builds a conversation, a millisecond a step.
type talk struct {
	steps []protocoltest.Step
	at    testudo.Time
	size  wire
}

func (c *talk) say(dir protocol.Dir, b []byte) {
	c.at += testudo.Time(time.Millisecond)
	c.steps = append(c.steps, protocoltest.Step{Dir: dir, Data: b, At: c.at})
}

func (c *talk) wait(d time.Duration) { c.at = c.at.Add(d) }

// secret says a message of that many payload bytes, encrypted.
func (c *talk) secret(dir protocol.Dir, payload int) { c.say(dir, c.frame(payload)) }

func (c *talk) frame(payload int) []byte {
	b := bytes.Repeat([]byte{0xee}, c.size.of(payload))
	if c.size.clear {
		binary.BigEndian.PutUint32(b, uint32(len(b)-4-c.size.mac))
	}
	return b
}

// opened is a conversation up to the acceptance of the service.
func opened(cipher, mac, comp string) *talk {
	c := &talk{at: t0 - testudo.Time(time.Millisecond), size: wireOf(cipher, mac)}
	c.say(orig, []byte("SSH-2.0-Client_1 x\r\n"))
	c.say(resp, []byte("welcome\r\nSSH-2.0-Server_2\r\n"))
	lists := []string{"kex-a,kex-b", "ssh-ed25519", cipher, cipher, mac, mac, comp, comp}
	c.say(orig, kexInit(lists...))
	c.say(resp, kexInit("kex-b,kex-c", "rsa,ssh-ed25519", "other,"+cipher, cipher, mac, mac, comp, comp))
	c.say(orig, packet([]byte{30, 1, 2, 3}))
	reply := append(packet([]byte{31, 1, 2, 3}), packet([]byte{msgKeys})...)
	c.say(resp, append(reply, c.frame(150)...)) // extensions in the same segment
	c.say(orig, packet([]byte{msgKeys}))
	c.secret(orig, acceptPayload)
	c.secret(resp, acceptPayload)
	return c
}

func (c *talk) run(t *testing.T) *testudo.SSH {
	t.Helper()
	h := protocoltest.Run(Protocol(), protocoltest.ID, c.steps...)
	if len(h.Records) != 1 {
		t.Fatalf("%d records, want 1", len(h.Records))
	}
	return h.Records[0].(*testudo.SSH)
}

var suites = []struct{ cipher, mac string }{
	{"chacha20-poly1305@openssh.com", "umac-64@openssh.com"},
	{"aes128-ctr", "hmac-sha2-256"},
	{"aes256-ctr", "hmac-sha2-512-etm@openssh.com"},
	{"aes256-gcm@openssh.com", "hmac-sha1"},
	{"3des-cbc", "hmac-md5"},
}

func TestClear(t *testing.T) {
	c := opened("aes128-ctr", "hmac-sha2-256", "none")
	r := c.run(t)
	sum := md5.Sum([]byte("kex-a,kex-b;aes128-ctr;hmac-sha2-256;none"))
	server := md5.Sum([]byte("kex-b,kex-c;aes128-ctr;hmac-sha2-256;none"))
	if r.Client != "SSH-2.0-Client_1 x" || r.Server != "SSH-2.0-Server_2" || r.Version != 2 || r.KexAlg != "kex-b" ||
		r.HostKeyAlg != "ssh-ed25519" || r.CipherAlg != "aes128-ctr" || r.MACAlg != "hmac-sha2-256" || r.CompressionAlg != "none" ||
		r.HASSH != hex.EncodeToString(sum[:]) || r.HASSHServer != hex.EncodeToString(server[:]) || r.Time != t0 {
		t.Errorf("%+v", r)
	}
	if r.AuthSuccess != nil || r.AuthAttempts != 0 || r.Shell || r.Reverse {
		t.Errorf("%+v", r)
	}
	// The same byte by byte, as far as it is in clear.
	slow := &talk{at: t0, size: c.size}
	for _, s := range c.steps[:5] {
		for i := range s.Data {
			slow.say(s.Dir, s.Data[i:i+1])
		}
	}
	if got := slow.run(t); got.HASSH != r.HASSH || got.CipherAlg != r.CipherAlg || got.Server != r.Server {
		t.Errorf("byte by byte: %+v", got)
	}
}

func TestAuth(t *testing.T) {
	const failure, none, password = 24, 35, 60
	yes, no := true, false
	for _, s := range suites {
		for _, c := range []struct {
			name     string
			comp     string
			talk     func(c *talk)
			attempts int
			ok       *bool
		}{
			{"password at once", "none", func(c *talk) { c.secret(orig, password); c.secret(resp, 1) }, 1, &yes},
			{"none, then password", "none", func(c *talk) {
				c.secret(orig, none)
				c.secret(resp, failure)
				c.secret(orig, password)
				c.secret(resp, 1)
			}, 1, &yes},
			{"banner, key accepted, key used", "zlib@openssh.com", func(c *talk) {
				c.secret(orig, none)
				c.secret(resp, 900)
				c.secret(resp, failure)
				c.secret(orig, 200)
				c.secret(resp, 120)
				c.secret(orig, 500)
				c.secret(resp, 1)
			}, 1, &yes},
			{"five wrong", "none", func(c *talk) {
				c.secret(orig, none)
				c.secret(resp, failure)
				for range 5 {
					c.secret(orig, password)
					c.secret(resp, failure)
				}
			}, 5, &no},
			{"one wrong without none", "none", func(c *talk) { c.secret(orig, password); c.secret(resp, failure) }, 1, &no},
			{"left at the prompt", "none", func(c *talk) { c.secret(orig, none); c.secret(resp, failure) }, 0, nil},
			{"compressed", "zlib", func(c *talk) { c.secret(orig, password); c.secret(resp, 1) }, 0, nil},
			{"only volume shows", "none", func(c *talk) {
				c.secret(orig, none)
				for range 20 {
					c.secret(resp, 1200)
				}
			}, 1, &yes},
		} {
			talk := opened(s.cipher, s.mac, c.comp)
			c.talk(talk)
			r := talk.run(t)
			if r.AuthAttempts != c.attempts || (r.AuthSuccess == nil) != (c.ok == nil) || c.ok != nil && *r.AuthSuccess != *c.ok {
				t.Errorf("%s, %s: %d attempts, success %v", s.cipher, c.name, r.AuthAttempts, r.AuthSuccess)
			}
		}
	}
}

// loggedIn is a conversation after log-in with a channel open.
func loggedIn(cipher, mac string) *talk {
	c := opened(cipher, mac, "none")
	c.secret(orig, 60)
	c.secret(resp, 1)
	c.secret(orig, 24)
	c.secret(resp, 17)
	c.secret(orig, 250)
	c.secret(resp, 5)
	return c
}

// typed strikes n keys on one side, each echoed, with output after eight.
func (c *talk) typed(dir protocol.Dir, n, output int) {
	for i := range n {
		c.wait(120 * time.Millisecond)
		c.secret(dir, 10)
		c.secret(dir.Reverse(), 10)
		if i%8 == 7 {
			c.secret(dir.Reverse(), output)
		}
	}
}

func TestTyping(t *testing.T) {
	for _, s := range suites {
		for _, c := range []struct {
			name           string
			talk           func(c *talk)
			shell, reverse bool
		}{
			{"typed", func(c *talk) { c.secret(resp, 400); c.typed(orig, 16, 600) }, true, false},
			{"typed for long", func(c *talk) { c.typed(orig, 500, 600) }, true, false},
			{"typed at the other end", func(c *talk) { c.typed(resp, 16, 600) }, true, true},
			{"three keys", func(c *talk) { c.typed(orig, 3, 600) }, false, false},
			{"keepalives, then typed at the other end", func(c *talk) {
				for range 200 {
					c.wait(30 * time.Second)
					c.secret(orig, 30)
					c.secret(resp, 5)
				}
			}, false, false},
			{"upload with acknowledgements", func(c *talk) {
				for range 40 {
					c.wait(50 * time.Millisecond)
					c.secret(orig, 9+30)
					c.secret(resp, 10)
					c.secret(orig, 9+80)
					c.secret(resp, 10)
				}
			}, false, false},
			{"download", func(c *talk) {
				for range 1000 {
					c.secret(resp, 1400)
				}
			}, false, false},
		} {
			talk := loggedIn(s.cipher, s.mac)
			c.talk(talk)
			r := talk.run(t)
			if r.AuthSuccess == nil || !*r.AuthSuccess || r.Shell != c.shell || r.Reverse != c.reverse {
				t.Errorf("%s, %s: success %v, shell %v, reverse %v", s.cipher, c.name, r.AuthSuccess, r.Shell, r.Reverse)
			}
		}
	}
}

func TestBanners(t *testing.T) {
	say := func(dir protocol.Dir, s string) protocoltest.Step {
		return protocoltest.Step{Dir: dir, Data: []byte(s)}
	}
	for _, c := range []struct {
		name           string
		steps          []protocoltest.Step
		records        int
		version        int
		client, server string
	}{
		{"version 1", []protocoltest.Step{say(resp, "SSH-1.5-old\n"), say(orig, "SSH-1.5-x\n"), say(resp, "\x00\x00\x01\x00")}, 1, 1, "SSH-1.5-x", "SSH-1.5-old"},
		{"1.99 and 2", []protocoltest.Step{say(resp, "SSH-1.99-a\n"), say(orig, "SSH-2.0-b\r\n")}, 1, 2, "SSH-2.0-b", "SSH-1.99-a"},
		{"1.99 and 1", []protocoltest.Step{say(resp, "SSH-1.99-a\n"), say(orig, "SSH-1.5-b\r\n")}, 1, 1, "SSH-1.5-b", "SSH-1.99-a"},
		{"no version in common", []protocoltest.Step{say(resp, "SSH-2.0-a\n"), say(orig, "SSH-1.5-b\r\n")}, 1, 0, "SSH-1.5-b", "SSH-2.0-a"},
		{"a client of another protocol", []protocoltest.Step{say(resp, "SSH-2.0-a\n"), say(orig, "GET / HTTP/1.1\r\n\r\n")}, 1, 2, "", "SSH-2.0-a"},
		{"odd bytes", []protocoltest.Step{say(resp, "SSH-2.0-a\x1b[2J\\\n")}, 1, 2, "", `SSH-2.0-a\x1b[2J\x5c`},
		{"never ends", []protocoltest.Step{say(resp, "SSH-2.0-"+strings.Repeat("a", 4000))}, 0, 0, "", ""},
		{"only other lines", []protocoltest.Step{say(resp, strings.Repeat("hello\n", 1000))}, 0, 0, "", ""},
		{"lost", []protocoltest.Step{say(resp, "SSH-2.0-a\n"), {Dir: resp, Gap: 10}, say(resp, "xyz")}, 1, 2, "", "SSH-2.0-a"},
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, c.steps...)
		if len(h.Records) != c.records {
			t.Errorf("%s: %d records", c.name, len(h.Records))
			continue
		}
		if c.records == 1 {
			if r := h.Records[0].(*testudo.SSH); r.Version != c.version || r.Client != c.client || r.Server != c.server {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		o, r string
		want protocol.Verdict
	}{
		{"", "", protocol.Maybe},
		{"SSH", "", protocol.Maybe},
		{"", "SSH-2.0-x\n", protocol.Yes},
		{"SSH-1.99-x\n", "", protocol.Yes},
		{"GET / HTTP/1.1\r\n", "SSH-2.0-x\n", protocol.Yes},
		{"GET", "", protocol.No},
		{"", "220 hello\r\n", protocol.No},
		{"SSH-x.0", "", protocol.No},
		{"GET", "SS", protocol.Maybe},
	} {
		if got := probe(protocoltest.ID, []byte(c.o), []byte(c.r)); got != c.want {
			t.Errorf("%q %q: got %v, want %v", c.o, c.r, got, c.want)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, b := range []string{
		"\xff\xff\xff\xff\x04xx", "\x00\x00\x00\x01\x00xx", "\x00\x00\x00\x08\x07\x14xxxxxx",
		"\x00\x00\x00\x0c\x04\x14xxxxxxxxxx",
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, protocoltest.Step{Dir: resp, Data: []byte("SSH-2.0-a\n" + b)})
		if len(h.Records) != 2 || h.Records[0].Log() != "weird" {
			t.Errorf("%q: %d records", b, len(h.Records))
		}
	}
}

func FuzzConversation(f *testing.F) {
	for _, s := range suites {
		c := loggedIn(s.cipher, s.mac)
		c.typed(orig, 4, 100)
		var o, r []byte
		for _, step := range c.steps {
			if step.Dir == orig {
				o = append(o, step.Data...)
			} else {
				r = append(r, step.Data...)
			}
		}
		f.Add(o, r, uint8(7))
	}
	f.Fuzz(func(t *testing.T, o, r []byte, cut uint8) {
		probe(protocoltest.ID, o, r)
		n := int(cut) + 1
		var steps []protocoltest.Step
		for len(o)+len(r) > 0 && len(steps) < 400 {
			k := min(n, len(o))
			steps = append(steps, protocoltest.Step{Data: o[:k]})
			o = o[k:]
			k = min(n, len(r))
			steps = append(steps, protocoltest.Step{Dir: resp, Data: r[:k]})
			r = r[k:]
		}
		ssh := 0
		for _, rec := range protocoltest.Run(Protocol(), protocoltest.ID, steps...).Records {
			if s, ok := rec.(*testudo.SSH); ok {
				ssh++
				for _, c := range []byte(s.Client + s.Server + s.CipherAlg + s.KexAlg) {
					if c < ' ' || c > '~' {
						t.Fatalf("unprintable in %+v", s)
					}
				}
			}
		}
		if ssh > 1 {
			t.Fatalf("%d records", ssh)
		}
	})
}
