package drill

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"time"
)

// pki issues the certificates of the exercise. They are real: their chains
// and signatures verify, except that RSA leaf keys have no known factors.
type pki struct {
	r     *rand.Rand
	born  time.Time
	ca    []*issuer // public ones
	house *issuer   // the ministry's own
	maker *issuer   // of an appliance maker, unknown to browsers
}

type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
	mid  []byte // the certificate itself, sent along
}

// newPKI makes two public authorities with RSA keys, one with an elliptic
// key, the ministry's and a maker's.
func (w *world) newPKI() (*pki, error) {
	p := &pki{r: stream(w.cfg.Seed, "pki"), born: w.cfg.Start}
	for i := range 5 {
		name := spoken(p.r, 3)
		var key crypto.Signer
		var err error
		if i%2 == 0 {
			key, err = rsaKey(p.r)
		} else {
			key, err = ecKey(p.r)
		}
		if err != nil {
			return nil, err
		}
		is := &issuer{key: key}
		tpl := p.template(pkix.Name{Country: []string{"XX"}, Organization: []string{"Authority " + name}, CommonName: name + " R" + word(p.r, "123456789", 1)}, 2000)
		tpl.IsCA, tpl.BasicConstraintsValid, tpl.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		if is.mid, err = x509.CreateCertificate(nil, tpl, tpl, key.Public(), key); err != nil {
			return nil, err
		}
		if is.cert, err = x509.ParseCertificate(is.mid); err != nil {
			return nil, err
		}
		switch i {
		case 3:
			p.house = is
		case 4:
			p.maker = is
		default:
			p.ca = append(p.ca, is)
		}
	}
	return p, nil
}

func (p *pki) template(subject pkix.Name, days int) *x509.Certificate {
	from := p.born.Add(-time.Duration(between(p.r, 1, int64(days)*2/3)*24*3600+between(p.r, 0, 80000)) * time.Second)
	serial := make([]byte, 16)
	fill(p.r, serial)
	serial[0] &= 0x7f
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: subject,
		NotBefore: from.Truncate(time.Second), NotAfter: from.Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Second),
	}
}

// issue returns the chain of a certificate for the names by the authority.
func (p *pki) issue(by *issuer, elliptic bool, days int, names ...string) ([][]byte, error) {
	tpl := p.template(pkix.Name{CommonName: names[0]}, days)
	tpl.DNSNames = names
	tpl.KeyUsage = x509.KeyUsageDigitalSignature
	tpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	tpl.OCSPServer = []string{"http://ocsp." + by.cert.Subject.CommonName[:4] + ".example"}
	var pub any
	if elliptic {
		key, err := ecKey(p.r)
		if err != nil {
			return nil, err
		}
		pub = key.Public()
	} else {
		n := make([]byte, 256)
		fill(p.r, n)
		n[0] |= 0x80
		n[255] |= 1
		pub = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	}
	der, err := x509.CreateCertificate(nil, tpl, by.cert, pub, by.key)
	if err != nil {
		return nil, err
	}
	return [][]byte{der, by.mid}, nil
}

// selfMade returns a certificate signed by its own key.
func (p *pki) selfMade(key crypto.Signer, days int, subject pkix.Name, names ...string) ([][]byte, error) {
	tpl := p.template(subject, days)
	tpl.DNSNames = names
	if chance(p.r, 50) {
		tpl.IsCA, tpl.BasicConstraintsValid = true, true
	}
	der, err := x509.CreateCertificate(nil, tpl, tpl, key.Public(), key)
	return [][]byte{der}, err
}

func ecKey(r *rand.Rand) (*ecdsa.PrivateKey, error) {
	b := make([]byte, 32)
	fill(r, b)
	b[0] &= 0x7f // below the order of the curve
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
}

// rsaKey makes a key of 2048 bits from r. It protects nothing: the exercise
// only shows its public half and its signatures.
func rsaKey(r *rand.Rand) (*rsa.PrivateKey, error) {
	one, e := big.NewInt(1), big.NewInt(65537)
	for range 100 {
		p, q := prime(r), prime(r)
		if p.Cmp(q) == 0 {
			continue
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil {
			continue
		}
		k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		k.Precompute()
		return k, k.Validate()
	}
	return nil, errors.New("no RSA key in a hundred tries")
}

func prime(r *rand.Rand) *big.Int {
	b := make([]byte, 128)
	fill(r, b)
	b[0] |= 0xc0
	b[127] |= 1
	n, two := new(big.Int).SetBytes(b), big.NewInt(2)
	for !n.ProbablyPrime(1) {
		n.Add(n, two)
	}
	return n
}

// keyPrint is the SHA-256 of the public key of a certificate.
func keyPrint(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	h := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(h[:])
}
