package feed

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

const maxKey = 16 << 10

// NewKey makes a key pair for packs and writes it: the private key to path,
// in PEM (PKCS #8) and for its owner alone, the public one to path.pub, in
// minisign's form. Neither file may be there yet.
func NewKey(path string) (PublicKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	pub := public(key)
	if err := create(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return PublicKey{}, err
	}
	text := fmt.Appendf(nil, "%stestudo public key %s\n%s\n", untrusted, pub.Name(), pub)
	if err := create(path+".pub", text, 0o644); err != nil {
		return PublicKey{}, errors.Join(err, os.Remove(path))
	}
	return pub, nil
}

func create(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("key: %s is there already; a key is never written over: name another file", path)
	}
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("key: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// ReadPrivateKey reads a private key that NewKey wrote. One that others may
// read is refused.
func ReadPrivateKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key: others may read %s; take that right away: chmod 600 %s, and think about making a new one", path, path)
	}
	text, err := readSmall(path, maxKey)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("key: %s: not a private key in PEM; testudo intel key makes one", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("key: %s: not an Ed25519 key; testudo intel key makes one", path)
	}
	return key, nil
}

// ReadPublicKey reads a public key's file.
func ReadPublicKey(path string) (PublicKey, error) {
	text, err := readSmall(path, maxKey)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key: %w", err)
	}
	k, err := ParsePublicKey(string(text))
	if err != nil {
		return k, fmt.Errorf("key: %s: %w", path, err)
	}
	return k, nil
}
