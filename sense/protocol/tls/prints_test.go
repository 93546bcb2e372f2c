package tls_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/testudo-shield/testudo/sense/protocol/tls"
)

func parse(t testing.TB, s helloSpec) *tls.Hello {
	t.Helper()
	h, err := tls.ParseClientHello(s.body())
	if err != nil {
		t.Fatal(err)
	}
	return &h
}

func TestPrintsFromTheirText(t *testing.T) {
	h := parse(t, helloSpec{
		version: 0x0303, ciphers: []uint16{0x1a1a, 0x1302, 0x1301, 0x00ff},
		extensions: []extension{
			{0x2a2a, nil},
			serverName("a.example"),
			{11, []byte{2, 0, 1}},
			{10, list16(0x3a3a, 29, 23)},
			alpn("h2", "http/1.1"),
			{13, list16(0x0804, 0x0403)},
			{43, append([]byte{6}, 0x4a, 0x4a, 3, 4, 3, 3)},
			{0x5a5a, []byte{0}},
		},
	})
	sum := md5.Sum([]byte("771,4866-4865-255,0-11-10-16-13-43,29-23,0-1"))
	if got, want := tls.JA3(h), hex.EncodeToString(sum[:]); got != want {
		t.Errorf("JA3 %s, want %s", got, want)
	}
	short := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:6])
	}
	want := "t13d0306h2_" + short("00ff,1301,1302") + "_" + short("000a,000b,000d,002b_0804,0403")
	if got := tls.JA4('t', h); got != want {
		t.Errorf("JA4 %s, want %s", got, want)
	}
}

func TestJA4First(t *testing.T) {
	cases := []struct {
		name      string
		transport byte
		spec      helloSpec
		want      string
	}{
		{"nothing", 't', helloSpec{version: 0x0301}, "t10i000000"},
		{"SSL 3", 't', helloSpec{version: 0x0300, ciphers: []uint16{4}}, "ts3i010000"},
		{"unknown version", 'q', helloSpec{version: 0x0305}, "q00i000000"},
		{"newest of several", 't', helloSpec{version: 0x0303, extensions: []extension{{43, []byte{4, 3, 2, 3, 1}}}}, "t11i000100"},
		{"DTLS counts down", 'd', helloSpec{version: 0xfefd, cookie: true, extensions: []extension{{43, []byte{4, 0xfe, 0xfd, 0xfe, 0xfc}}}}, "dd3i000100"},
		{"DTLS 1.0", 'd', helloSpec{version: 0xfeff, cookie: true}, "dd1i000000"},
		{"one letter", 't', helloSpec{version: 0x0303, extensions: []extension{alpn("x")}}, "t12i0001xx"},
		{"not ASCII", 't', helloSpec{version: 0x0303, extensions: []extension{alpn("\xba\xad")}}, "t12i000199"},
		{"sign first", 't', helloSpec{version: 0x0303, extensions: []extension{alpn("-2")}}, "t12i000122"},
		{"sign last", 't', helloSpec{version: 0x0303, extensions: []extension{alpn("h\xab")}}, "t12i00016b"},
		{"empty list", 't', helloSpec{version: 0x0303, extensions: []extension{alpn()}}, "t12i000100"},
		{"many", 't', helloSpec{version: 0x0303, ciphers: slices.Repeat([]uint16{1}, 120)}, "t12i990000"},
	}
	for _, c := range cases {
		if got := tls.JA4(c.transport, parse(t, c.spec)); got[:10] != c.want {
			t.Errorf("%s: %s, want %s", c.name, got[:10], c.want)
		}
	}
	if got := tls.JA4('t', parse(t, helloSpec{version: 0x0301})); got != "t10i000000_000000000000_000000000000" {
		t.Error(got)
	}
}

func TestNames(t *testing.T) {
	for code, want := range map[uint16]string{
		0x0000: "TLS_NULL_WITH_NULL_NULL", 0x1301: "TLS_AES_128_GCM_SHA256", 0xc02f: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		0xcca9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xffff: "unknown-65535",
	} {
		if got := tls.CipherName(code); got != want {
			t.Errorf("%04x: %s, want %s", code, got, want)
		}
	}
	for v, want := range map[uint16]string{2: "SSLv2", 0x0300: "SSLv3", 0x7f12: "TLSv13-draft18", 0xfefd: "DTLSv12", 0x1234: "unknown-4660"} {
		if got := tls.VersionName(v); got != want {
			t.Errorf("%04x: %s, want %s", v, got, want)
		}
	}
}

// TestCutHello cuts a hello everywhere: it is read whole or not at all.
func TestCutHello(t *testing.T) {
	body := helloSpec{version: 0x0303, ciphers: []uint16{1, 2}, extensions: []extension{serverName("cut.example"), alpn("h2")}}.body()
	for n := range body {
		h, err := tls.ParseClientHello(body[:n])
		if err == nil && len(h.Extensions) > 0 {
			t.Errorf("%d of %d bytes: read with extensions %v", n, len(body), h.Extensions)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add(helloSpec{version: 0x0303, ciphers: []uint16{1, 2}, extensions: []extension{serverName("cut.example"), alpn("h2")}}.body())
	f.Add(helloSpec{version: 0xfefd, cookie: true, extensions: []extension{{43, []byte{2, 3, 4}}}}.body())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := tls.ParseClientHello(b); err == nil {
			if len(tls.JA3(&h)) != 32 || len(tls.JA4('t', &h)) != 36 {
				t.Errorf("JA3 %q JA4 %q", tls.JA3(&h), tls.JA4('t', &h))
			}
		}
		if h, err := tls.ParseServerHello(b); err == nil && len(tls.JA3S(&h)) != 32 {
			t.Error(tls.JA3S(&h))
		}
	})
}

func BenchmarkJA4(b *testing.B) {
	body := helloSpec{
		version: 0x0303, ciphers: []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030},
		extensions: []extension{serverName("a.example"), alpn("h2"), {13, list16(0x0403, 0x0804, 0x0401)}, {23, nil}, {35, nil}, {43, []byte{2, 3, 4}}},
	}.body()
	var h tls.Hello
	b.ReportAllocs()
	for b.Loop() {
		if h.Parse(body) != nil || len(tls.JA4('t', &h)) != 36 {
			b.Fatal("not read")
		}
	}
}
