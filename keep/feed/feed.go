// Package feed fetches the lists of indicators that the configuration names
// and keeps the last good copy of each, so that a source that is slow, gone,
// wrong or hostile never takes away what was known before.
//
// It understands how lists travel (HTTPS, files, TAXII 2.1 collections, MISP
// feed folders, archives, signed packs), not what they say: it hands over
// files. A copy is replaced only by one that came whole, within its limits
// and with the hash or signature that was asked for; the replacement is one
// rename. DESIGN.md says how the store is laid out and what is not done.
package feed

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// The kinds of source that this room treats specially. Any other kind is a
// word for whoever reads the files.
const (
	KindTAXII = "taxii" // a TAXII 2.1 server, API root or collection
	KindMISP  = "misp"  // a folder with a manifest.json and an event a file
)

const (
	defaultMaxBytes = 256 << 20
	largestMaxBytes = 8 << 30
)

// A Source is a list that somebody publishes, as the configuration names it.
type Source struct {
	Name    string // in lower case, unique; also the name of its folder
	URL     string // https:, file:, taxii:, and http: where it is allowed
	Kind    string // KindTAXII, KindMISP, or the format of its files
	Licence string
	TLP     testudo.TLP
	Every   time.Duration // how often it is asked; 0 is once a day

	MaxBytes  int64     // of all its files, also once unpacked; 0 is 256 MiB
	SHA256    string    // what a file must be, in hex, before it is unpacked; "" for anything
	Signature Signature // who must have signed it
	Auth      Auth
	CAFile    string // certificates in PEM that are believed beside the system's
	AllowHTTP bool   // http: may be asked; what it answers is not protected on the way
}

// Signature says whose minisign signature a file must have.
type Signature struct {
	Key string // the public key, as in minisign's .pub file; "" for no signature
	URL string // where the signature is; "" for the file's address and ".minisig"
}

// Auth is how we say who we are. The secret is read from its file each time
// and is never shown.
type Auth struct {
	User       string // with it the secret is a password (RFC 7617), without a bearer token (RFC 6750)
	SecretFile string
	Header     string // the header that carries the secret alone, for servers with their own; "" for Authorization
}

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	headerForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)
)

// Check says what is wrong with a source before anything is asked of it.
func (s *Source) Check() error {
	if !nameForm.MatchString(s.Name) {
		return fmt.Errorf("%q: a source's name is 1 to 64 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit", s.Name)
	}
	if err := s.checkAddress(); err != nil {
		return err
	}
	if s.MaxBytes < 0 || s.MaxBytes > largestMaxBytes {
		return fmt.Errorf("max_bytes: %d: want 1 to %d, or 0 for %d", s.MaxBytes, int64(largestMaxBytes), int64(defaultMaxBytes))
	}
	if s.SHA256 != "" && !isSHA256(s.SHA256) {
		return fmt.Errorf("sha256: %q: want 64 hex digits", s.SHA256)
	}
	if k := s.kind(); (k == KindTAXII || k == KindMISP) && (s.SHA256 != "" || s.Signature.Key != "") {
		return fmt.Errorf("a %s source is many files that change: a hash or signature cannot be asked of it", s.kind())
	}
	if s.Signature.Key == "" {
		if s.Signature.URL != "" {
			return errors.New("a signature needs the public key it is checked with")
		}
		return nil
	}
	_, err := ParsePublicKey(s.Signature.Key)
	return err
}

func (s *Source) checkAddress() error {
	u, err := s.address()
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !s.AllowHTTP {
			return errors.New("http: is read and changed by anybody on the way; use an https: address, or allow http for this source")
		}
		if s.Auth.SecretFile != "" {
			return errors.New("a secret is not sent over http: but over https: only")
		}
	case "file":
		if s.Kind == KindTAXII || s.Kind == KindMISP {
			return fmt.Errorf("a %s source comes from a server: want an https: address", s.Kind)
		}
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
			return errors.New("a file is named by its whole path: file:///path/to/list")
		}
		return nil
	default:
		return fmt.Errorf("%q: want an address with https:, file: or taxii: before it", u.Scheme+":")
	}
	if u.Hostname() == "" {
		return errors.New("the address names no server")
	}
	return s.Auth.check()
}

func (a *Auth) check() error {
	if a.SecretFile == "" {
		if a.User != "" || a.Header != "" {
			return errors.New("a user or header needs the file that holds the secret")
		}
		return nil
	}
	if a.User != "" && a.Header != "" {
		return errors.New("want a user or a header for the secret, not both")
	}
	if a.Header != "" && !headerForm.MatchString(a.Header) {
		return fmt.Errorf("%q: not the name of a header", a.Header)
	}
	return nil
}

// address returns the parsed URL; taxii: is https: for a TAXII server. The
// error does not repeat what might be a secret.
func (s *Source) address() (*url.URL, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	if u.User != nil {
		return nil, errors.New("the address holds a user or password; name a file for the secret instead")
	}
	if u.Scheme == "taxii" {
		u.Scheme = "https"
	}
	return u, nil
}

// kind returns the kind, which the scheme taxii: may say as well.
func (s *Source) kind() string {
	if strings.HasPrefix(s.URL, "taxii:") {
		return KindTAXII
	}
	return s.Kind
}

func (s *Source) maxBytes() int64 {
	if s.MaxBytes == 0 {
		return defaultMaxBytes
	}
	return s.MaxBytes
}

// shown returns an address without its query, where keys are often put.
func shown(u *url.URL) string {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	if c.RawQuery != "" {
		c.RawQuery = "..."
	}
	return c.String()
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
