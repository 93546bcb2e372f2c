package feed

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// The form of keys and signatures is minisign's: an algorithm of two letters,
// a key's id of eight bytes, and the key or signature, in base64 under a
// line of comment. "Ed" signs the file itself, "ED" its BLAKE2b-512.
const (
	maxSignature = 16 << 10
	maxLegacy    = 64 << 20 // bytes of a file that is signed itself: it is held in memory
	untrusted    = "untrusted comment: "
	trusted      = "trusted comment: "
)

// A PublicKey is whose signatures are believed.
type PublicKey struct {
	ID  [8]byte
	Key ed25519.PublicKey
}

// ParsePublicKey reads a minisign public key: the .pub file, or its second
// line alone.
func ParsePublicKey(text string) (PublicKey, error) {
	var k PublicKey
	line := strings.TrimSpace(text)
	if _, after, ok := strings.Cut(line, "\n"); ok && strings.HasPrefix(line, untrusted) {
		line = strings.TrimSpace(after)
	}
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil || len(b) != 2+8+ed25519.PublicKeySize || string(b[:2]) != "Ed" {
		return k, errors.New("not a public key in minisign's form: want 56 characters that begin with RW")
	}
	copy(k.ID[:], b[2:])
	k.Key = ed25519.PublicKey(b[10:])
	return k, nil
}

// String returns the key in the form ParsePublicKey reads, on one line.
func (k PublicKey) String() string {
	return base64.StdEncoding.EncodeToString(append(append([]byte("Ed"), k.ID[:]...), k.Key...))
}

// Name returns the key's id as minisign shows it.
func (k PublicKey) Name() string {
	id := k.ID
	for i, j := 0, len(id)-1; i < j; i, j = i+1, j-1 {
		id[i], id[j] = id[j], id[i]
	}
	return fmt.Sprintf("%X", id[:])
}

// signature is a parsed .minisig file.
type signature struct {
	hashed  bool
	id      [8]byte
	sig     []byte // of the file
	comment string // the trusted one
	global  []byte // of sig and comment
}

func parseSignature(text []byte) (s signature, err error) {
	bad := errors.New("not a signature in minisign's form")
	if len(text) > maxSignature {
		return s, bad
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], untrusted) {
		return s, bad
	}
	b, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil || len(b) != 2+8+ed25519.SignatureSize {
		return s, bad
	}
	switch string(b[:2]) {
	case "Ed":
	case "ED":
		s.hashed = true
	default:
		return s, bad
	}
	copy(s.id[:], b[2:])
	s.sig = b[10:]
	comment, ok := strings.CutPrefix(lines[2], trusted)
	s.comment = comment
	s.global, err = base64.StdEncoding.DecodeString(lines[3])
	if !ok || err != nil || len(s.global) != ed25519.SignatureSize {
		return s, bad
	}
	return s, nil
}

// Verify holds what r reads against a signature in minisign's form and
// returns its trusted comment.
func (k PublicKey) Verify(r io.Reader, text []byte) (comment string, err error) {
	s, err := parseSignature(text)
	if err != nil {
		return "", err
	}
	if s.id != k.ID {
		return "", fmt.Errorf("made with the key %s, not with the %s that was asked for", PublicKey{ID: s.id}.Name(), k.Name())
	}
	message, err := s.message(r)
	if err != nil {
		return "", err
	}
	if !ed25519.Verify(k.Key, message, s.sig) {
		return "", errors.New("the signature does not fit the file")
	}
	if !ed25519.Verify(k.Key, append(bytes.Clone(s.sig), s.comment...), s.global) {
		return "", errors.New("the signature's comment was changed")
	}
	return s.comment, nil
}

// message returns what was signed of r.
func (s *signature) message(r io.Reader) ([]byte, error) {
	if s.hashed {
		h, err := blake2b.New512(nil)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(h, r)
		return h.Sum(nil), err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxLegacy+1))
	if err == nil && len(b) > maxLegacy {
		err = fmt.Errorf("made in minisign's old way, which we read up to %s", size(maxLegacy))
	}
	return b, err
}

// sign returns the signature of message in minisign's form.
func sign(key ed25519.PrivateKey, message []byte, comment string) []byte {
	pub := public(key)
	sum := blake2b.Sum512(message)
	sig := ed25519.Sign(key, sum[:])
	global := ed25519.Sign(key, append(bytes.Clone(sig), comment...))
	head := append(append([]byte("ED"), pub.ID[:]...), sig...)
	return fmt.Appendf(nil, "%ssignature by testudo, key %s\n%s\n%s%s\n%s\n", untrusted, pub.Name(),
		base64.StdEncoding.EncodeToString(head), trusted, comment, base64.StdEncoding.EncodeToString(global))
}

// public returns the public half; its id is made from it, so that the
// private key's file need not hold one.
func public(key ed25519.PrivateKey) PublicKey {
	k := PublicKey{Key: bytes.Clone(key[ed25519.SeedSize:])}
	sum := sha256.Sum256(k.Key)
	copy(k.ID[:], sum[:])
	return k
}
