package eve

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// tls reads a handshake. Its certificate is what the event says of it, and
// more where the event holds it whole.
func (p *parser) tls() testudo.Record {
	t := &testudo.TLS{Meta: p.meta}
	leaf := &testudo.X509{Meta: p.meta, HostCert: true}
	var whole []byte
	shown := false
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "tls.sni":
			t.ServerName = p.text(f)
		case "tls.version":
			t.Version = version(f.Raw)
		case "tls.session_resumed":
			t.Resumed = p.truth(f)
		case "tls.ja3.hash":
			t.JA3 = p.text(f)
		case "tls.ja3s.hash":
			t.JA3S = p.text(f)
		case "tls.ja4":
			t.JA4 = p.text(f)
		case "tls.client_alpns":
			t.ClientALPN = p.texts(f)
		case "tls.server_alpns":
			if alpn := p.texts(f); len(alpn) > 0 {
				t.ALPN = alpn[0]
			}
		case "tls.subject":
			t.Subject = name(p.text(f))
			shown = true
		case "tls.issuerdn":
			t.Issuer = name(p.text(f))
			shown = true
		case "tls.serial":
			leaf.Serial = strings.ReplaceAll(p.text(f), ":", "")
		case "tls.fingerprint":
			leaf.Fingerprint = strings.ReplaceAll(p.text(f), ":", "")
			shown = true
		case "tls.notbefore":
			leaf.NotBefore = p.moment(f)
		case "tls.notafter":
			leaf.NotAfter = p.moment(f)
		case "tls.subjectaltname":
			leaf.Names = p.texts(f)
		case "tls.certificate":
			whole = p.object.Text(f.Raw, f.Sort)
		case "tls.chain":
			if c := p.object.List(f); len(c) > 0 && whole == nil {
				whole = c[0]
			}
		}
	}
	t.ServerHello = t.Version != "" || t.JA3S != "" || shown
	t.ClientHello = t.ServerHello || t.ServerName != "" || t.JA3 != "" || t.JA4 != ""
	t.Established = t.ServerHello
	if strings.HasPrefix(t.Version, "DTLS") {
		t.ID.Proto = testudo.UDP
	}
	leaf.Subject, leaf.Issuer = t.Subject, t.Issuer
	leaf.SelfSigned = leaf.Subject != "" && leaf.Subject == leaf.Issuer
	if certificate(leaf, whole) || shown {
		t.Leaf = leaf
	}
	if whole != nil && len(leaf.Fingerprint) == 2*sha256.Size {
		t.Chain = []string{leaf.Fingerprint}
	}
	return t
}

// moment reads a time that orders nothing; what is none counts as unknown.
func (p *parser) moment(f logs.Pair) testudo.Time {
	t, _ := stamp(f.Raw)
	return t
}

// certificate reads into leaf what only the certificate itself tells, from
// its DER bytes in base 64.
func certificate(leaf *testudo.X509, text []byte) bool {
	if len(text) == 0 {
		return false
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return false
	}
	raw = raw[:n]
	sum := sha256.Sum256(raw)
	leaf.Fingerprint = hex.EncodeToString(sum[:])
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return true // what the library refuses can still be recognised
	}
	sum = sha256.Sum256(c.RawSubjectPublicKeyInfo)
	leaf.KeyPrint = hex.EncodeToString(sum[:])
	leaf.Version, leaf.Extensions, leaf.CA = c.Version, len(c.Extensions), c.IsCA
	leaf.NotBefore, leaf.NotAfter = testudo.TimeOf(c.NotBefore), testudo.TimeOf(c.NotAfter)
	leaf.Names = c.DNSNames
	return true
}

// version turns Suricata's word for a version of TLS into Zeek's.
func version(b []byte) string {
	switch s := string(b); s {
	case "UNDETERMINED", "":
		return ""
	case "TLSv1", "TLS 1.0":
		return "TLSv10"
	case "TLS 1.1":
		return "TLSv11"
	case "TLS 1.2":
		return "TLSv12"
	case "SSLv2", "SSLv3":
		return s
	default:
		if strings.HasPrefix(s, "TLS 1.3") {
			return "TLSv13"
		}
		return s
	}
}

// quic reads the start of a QUIC conversation as the handshake in it.
func (p *parser) quic() testudo.Record {
	t := &testudo.TLS{Meta: p.meta, QUIC: true, ClientHello: true, Version: "TLSv13"}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "quic.sni":
			t.ServerName = p.text(f)
		case "quic.ja3.hash":
			t.JA3 = p.text(f)
		case "quic.ja3s.hash":
			t.JA3S = p.text(f)
			t.ServerHello = true
		case "quic.ja4":
			t.JA4 = p.text(f)
		}
	}
	return t
}
