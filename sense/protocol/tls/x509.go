package tls

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
)

// Limits on what one certificate may make us keep.
const (
	maxNames     = 100  // subject alternative names
	maxSerial    = 64   // bytes
	maxProofBits = 8192 // above, a self-signature is believed, not checked
)

// parseCertificate reads a certificate into c, as far as it can be read: a
// damaged one still has its fingerprint, and what came before the damage. It
// walks the DER itself, because servers of ill will send what crypto/x509
// refuses.
func parseCertificate(raw []byte, c *testudo.X509) {
	sum := sha256.Sum256(raw)
	c.Fingerprint = hexText(sum[:])
	outer := der{raw}
	cert, ok := outer.want(tagSequence)
	if !ok {
		return
	}
	outer = der{cert}
	tbs, ok := outer.want(tagSequence)
	if !ok {
		return
	}
	sigAlg, _ := outer.want(tagSequence)
	c.SigAlg = algorithmName(sigAlg)

	d := der{tbs}
	c.Version = 1
	if v, ok := d.want(0xa0); ok {
		inner := der{v}
		if n, ok := inner.want(tagInteger); ok && len(n) == 1 && n[0] < 100 {
			c.Version = int(n[0]) + 1
		}
	}
	serial, ok := d.want(tagInteger)
	if !ok {
		return
	}
	var upper [2 * maxSerial]byte
	c.Serial = string(bytes.ToUpper(hex.AppendEncode(upper[:0], trimZeros(serial[:min(len(serial), maxSerial)]))))
	d.want(tagSequence) // the signature algorithm again
	issuer, ok := d.want(tagSequence)
	if !ok {
		return
	}
	c.Issuer = distinguishedName(issuer)
	validity, ok := d.want(tagSequence)
	if !ok {
		return
	}
	v := der{validity}
	if tag, body, _, ok := v.next(); ok {
		c.NotBefore = derTime(tag, body)
	}
	if tag, body, _, ok := v.next(); ok {
		c.NotAfter = derTime(tag, body)
	}
	subject, ok := d.want(tagSequence)
	if !ok {
		return
	}
	c.Subject = distinguishedName(subject)
	tag, key, whole, ok := d.next()
	if !ok || tag != tagSequence {
		return
	}
	sum = sha256.Sum256(whole)
	c.KeyPrint = hexText(sum[:])
	publicKey(key, c)
	parseExtensions(&d, c)
	if bytes.Equal(issuer, subject) {
		c.SelfSigned = signedByItself(raw, c.KeyLength)
	}
}

// hexText is one allocation, where hex.EncodeToString makes two.
func hexText(sum []byte) string {
	var text [2 * sha256.Size]byte
	return string(hex.AppendEncode(text[:0], sum))
}

// signedByItself checks a certificate whose issuer is its subject with its
// own key. Where that cannot be checked (a retired hash, a key too long to be
// worth the work, a form the library refuses) the equal names decide.
func signedByItself(raw []byte, keyBits int) bool {
	if keyBits > maxProofBits {
		return true
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return true
	}
	switch cert.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.PureEd25519,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
	}
	return true
}

// publicKey reads a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
func publicKey(spki []byte, c *testudo.X509) {
	d := der{spki}
	alg, ok := d.want(tagSequence)
	if !ok {
		return
	}
	c.KeyAlg = algorithmName(alg)
	key, ok := d.want(tagBits)
	if !ok || len(key) < 1 {
		return
	}
	key = key[1:] // how many bits of the last byte do not count
	a := der{alg}
	a.want(tagOID)
	switch c.KeyAlg {
	case "rsaEncryption", "rsassaPss":
		c.KeyType = "rsa"
		k := der{key}
		if seq, ok := k.want(tagSequence); ok {
			k = der{seq}
			n, _ := k.want(tagInteger)
			c.KeyLength = bitLen(n)
		}
	case "dsaEncryption":
		c.KeyType = "dsa"
		if params, ok := a.want(tagSequence); ok {
			a = der{params}
			p, _ := a.want(tagInteger)
			c.KeyLength = bitLen(p)
		}
	case "id-ecPublicKey":
		c.KeyType = "ecdsa"
		curve, _ := a.want(tagOID)
		c.KeyLength = curveBits(curve, key)
	case "ED25519":
		c.KeyType, c.KeyLength = "ed25519", 256
	case "ED448":
		c.KeyType, c.KeyLength = "ed448", 456
	default:
		c.KeyType = "unknown"
	}
}

// curveBits is the size of a named curve, or what the point's length says.
func curveBits(oid, point []byte) int {
	switch string(oid) {
	case "\x2a\x86\x48\xce\x3d\x03\x01\x07":
		return 256
	case "\x2b\x81\x04\x00\x22":
		return 384
	case "\x2b\x81\x04\x00\x23":
		return 521
	}
	if len(point) > 1 && point[0] == 4 {
		return len(point) / 2 * 8
	}
	return max(0, len(point)-1) * 8
}

// parseExtensions reads what follows the key: unique ids, then extensions.
func parseExtensions(d *der, c *testudo.X509) {
	for {
		tag, body, _, ok := d.next()
		if !ok {
			return
		}
		if tag != 0xa3 {
			continue
		}
		inner := der{body}
		list, _ := inner.want(tagSequence)
		for exts := (der{list}); ; {
			ext, ok := exts.want(tagSequence)
			if !ok {
				return
			}
			c.Extensions++
			e := der{ext}
			oid, _ := e.want(tagOID)
			e.want(tagBool)
			value, _ := e.want(tagOctets)
			switch string(oid) {
			case "\x55\x1d\x11":
				c.Names = alternativeNames(value)
			case "\x55\x1d\x13":
				v := der{value}
				if seq, ok := v.want(tagSequence); ok {
					v = der{seq}
					b, _ := v.want(tagBool)
					c.CA = len(b) == 1 && b[0] != 0
				}
			}
		}
	}
}

// alternativeNames lists the DNS names in a SubjectAltName.
func alternativeNames(value []byte) []string {
	v := der{value}
	list, _ := v.want(tagSequence)
	n, size := 0, 0
	for d := (der{list}); n < maxNames; {
		tag, body, _, ok := d.next()
		if !ok {
			break
		}
		if tag == 0x82 {
			n, size = n+1, size+min(len(body), maxName)
		}
	}
	if n == 0 {
		return nil
	}
	// One text for all, which the names are parts of.
	var text strings.Builder
	text.Grow(size)
	names := make([]string, 0, n)
	for d := (der{list}); len(names) < n; {
		if tag, body, _, _ := d.next(); tag == 0x82 {
			at := text.Len()
			text.Write(body[:min(len(body), maxName)])
			names = append(names, text.String()[at:])
		}
	}
	return names
}

// algorithmName is OpenSSL's name of an AlgorithmIdentifier's algorithm.
func algorithmName(alg []byte) string {
	d := der{alg}
	oid, ok := d.want(tagOID)
	if !ok {
		return ""
	}
	const pkcs1, ansi, ecdsa2 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01", "\x2a\x86\x48\xce\x38\x04", "\x2a\x86\x48\xce\x3d\x04\x03"
	switch string(oid) {
	case pkcs1 + "\x01":
		return "rsaEncryption"
	case pkcs1 + "\x02":
		return "md2WithRSAEncryption"
	case pkcs1 + "\x04":
		return "md5WithRSAEncryption"
	case pkcs1 + "\x05", "\x2b\x0e\x03\x02\x1d":
		return "sha1WithRSAEncryption"
	case pkcs1 + "\x0a":
		return "rsassaPss"
	case pkcs1 + "\x0b":
		return "sha256WithRSAEncryption"
	case pkcs1 + "\x0c":
		return "sha384WithRSAEncryption"
	case pkcs1 + "\x0d":
		return "sha512WithRSAEncryption"
	case pkcs1 + "\x0e":
		return "sha224WithRSAEncryption"
	case ansi + "\x01":
		return "dsaEncryption"
	case ansi + "\x03":
		return "dsaWithSHA1"
	case "\x60\x86\x48\x01\x65\x03\x04\x03\x02":
		return "dsa_with_SHA256"
	case "\x2a\x86\x48\xce\x3d\x02\x01":
		return "id-ecPublicKey"
	case "\x2a\x86\x48\xce\x3d\x04\x01":
		return "ecdsa-with-SHA1"
	case ecdsa2 + "\x01":
		return "ecdsa-with-SHA224"
	case ecdsa2 + "\x02":
		return "ecdsa-with-SHA256"
	case ecdsa2 + "\x03":
		return "ecdsa-with-SHA384"
	case ecdsa2 + "\x04":
		return "ecdsa-with-SHA512"
	case "\x2b\x65\x70":
		return "ED25519"
	case "\x2b\x65\x71":
		return "ED448"
	}
	return oidString(oid)
}

func trimZeros(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

// bitLen is the length in bits of a positive big-endian integer.
func bitLen(b []byte) int {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0
	}
	return (len(b)-1)*8 + bits.Len8(b[0])
}

func appendUint(b []byte, v uint64) []byte { return strconv.AppendUint(b, v, 10) }
