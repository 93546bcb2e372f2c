package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// selfMade makes a certificate signed by its own key.
func selfMade(t testing.TB, key crypto.Signer, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0badcafe),
		Subject: pkix.Name{
			CommonName: "#1 of <many>", Organization: []string{"A, B"}, OrganizationalUnit: []string{"x", "y"},
			Locality: []string{"Rome"}, Province: []string{"Latium"}, Country: []string{"IT"}, SerialNumber: "7",
		},
		NotBefore: time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: until,
		DNSNames: []string{"a.example", "*.b.example"}, EmailAddresses: []string{"x@a.example"},
		BasicConstraintsValid: true, IsCA: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestAgainstLibrary compares what is read with the standard library's reading.
func TestAgainstLibrary(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		key            crypto.Signer
		alg, kind, sig string
		bits           int
	}{
		{rsaKey, "rsaEncryption", "rsa", "sha256WithRSAEncryption", 2048},
		{ec, "id-ecPublicKey", "ecdsa", "ecdsa-with-SHA384", 384},
		{ed, "ED25519", "ed25519", "ED25519", 256},
	}
	for _, c := range cases {
		raw := selfMade(t, c.key, time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC))
		want, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		sum, keySum := sha256.Sum256(raw), sha256.Sum256(want.RawSubjectPublicKeyInfo)
		const name = `serialNumber=7,CN=\#1 of \<many\>,OU=x+OU=y,O=A\, B,L=Rome,ST=Latium,C=IT`
		expected := testudo.X509{
			Fingerprint: hex.EncodeToString(sum[:]), KeyPrint: hex.EncodeToString(keySum[:]),
			Version: 3, Serial: "0BADCAFE", Subject: name, Issuer: name,
			NotBefore: testudo.TimeOf(want.NotBefore), NotAfter: testudo.TimeOf(want.NotAfter),
			KeyAlg: c.alg, KeyType: c.kind, SigAlg: c.sig, KeyLength: c.bits,
			Names: want.DNSNames, CA: true, SelfSigned: true, Extensions: len(want.Extensions),
		}
		var got testudo.X509
		parseCertificate(raw, &got)
		if !reflect.DeepEqual(got, expected) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.kind, got, expected)
		}
		// A signature that is not the key's own is no self-signature.
		raw[len(raw)-1] ^= 1
		got = testudo.X509{}
		parseCertificate(raw, &got)
		if got.SelfSigned {
			t.Errorf("%s: a broken signature counts as its own", c.kind)
		}
	}
}

func TestDamagedCertificates(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := selfMade(t, ed, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	var c testudo.X509
	parseCertificate(raw, &c)
	if c.NotAfter != testudo.Time(1<<63-1) {
		t.Errorf("not after %d, want the last moment there is", c.NotAfter)
	}
	for n := range raw {
		var c testudo.X509
		parseCertificate(raw[:n], &c)
		if len(c.Fingerprint) != 64 {
			t.Fatalf("%d bytes: fingerprint %q", n, c.Fingerprint)
		}
		flipped := append([]byte(nil), raw...)
		flipped[n] ^= 0xff
		parseCertificate(flipped, &c)
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		tag  byte
		text string
		want string
	}{
		{tagUTCTime, "491231235959Z", "2049-12-31T23:59:59.000000Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00.000000Z"},
		{tagUTCTime, "2401010000Z", "2024-01-01T00:00:00.000000Z"},
		{tagUTCTime, "240101000000+0100", "2023-12-31T23:00:00.000000Z"},
		{tagGeneralTime, "20240101000000Z", "2024-01-01T00:00:00.000000Z"},
		{tagGeneralTime, "next year", "1970-01-01T00:00:00.000000Z"},
		{tagInteger, "20240101000000Z", "1970-01-01T00:00:00.000000Z"},
	} {
		if got := derTime(c.tag, []byte(c.text)).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	for i := range 3 * maxCerts {
		a := m.certificate([]byte{byte(i), byte(i >> 8)})
		if b := m.certificate([]byte{byte(i), byte(i >> 8)}); a != b {
			t.Fatal("read twice")
		}
	}
	if len(m.certs) != maxCerts {
		t.Errorf("%d certificates remembered, want %d", len(m.certs), maxCerts)
	}
}

func TestOID(t *testing.T) {
	for text, want := range map[string]string{"\x55\x04\x03": "2.5.4.3", "\x2a\x86\x48\x86\xf7\x0d": "1.2.840.113549", "\x88\x37": "2.999", "": "oid"} {
		if got := oidString([]byte(text)); got != want {
			t.Errorf("%x: %s, want %s", text, got, want)
		}
	}
}

func FuzzCertificate(f *testing.F) {
	_, ed, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("seed", 64)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(selfMade(f, ed, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
	f.Add([]byte{0x30, 0x03, 0x30, 0x80, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c testudo.X509
		parseCertificate(b, &c)
		if len(c.Names) > maxNames || len(c.Subject) > maxDN || len(c.Serial) > 2*maxSerial {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}

func BenchmarkCertificate(b *testing.B) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	raw := selfMade(b, ed, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, m := range []struct {
		name string
		mem  func() *Memory
	}{{"new", func() *Memory { return NewMemory(new(protocol.Records)) }}, {"known", func() func() *Memory { m := NewMemory(new(protocol.Records)); return func() *Memory { return m } }()}} {
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.mem().certificate(raw)
			}
		})
	}
}
