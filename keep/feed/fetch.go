package feed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/testudo-shield/testudo"
)

// A Result is what came of fetching one source. Files are the copy in use
// afterwards, also where Err tells that a newer one could not be had.
type Result struct {
	Source  string
	Changed bool   // Files differ from before
	Files   []File // in the order of the source; those that are New came now
	Bytes   int64  // of Files
	ETag    string
	SHA256  string       // of what was fetched, before it was unpacked; "" where that is many files
	Fetched testudo.Time // when the copy in use came, 0 for none
	Why     string       // what happened, in a line
	Err     error        // what was tried, on what, what is in use instead; nil if all went well
}

// Fetch brings the copy of src up to date and returns what is in use then.
// It asks whatever Due says. The error is also in the result.
func (s *Store) Fetch(ctx context.Context, src Source, now testudo.Time) (Result, error) {
	return s.fetch(ctx, src, now, nil)
}

func (s *Store) fetch(ctx context.Context, src Source, now testudo.Time, report func(int64)) (Result, error) {
	if err := src.Check(); err != nil {
		err = fmt.Errorf("feed %s: %w", quoted(src.Name), err)
		return Result{Source: src.Name, Err: err, Why: err.Error()}, err
	}
	g, err := s.stage(src.Name, src.maxBytes())
	if err != nil {
		err = fmt.Errorf("feed %s: %w", src.Name, err)
		return Result{Source: src.Name, Err: err, Why: err.Error()}, err
	}
	defer g.release()
	kept, err := s.Kept(src.Name)
	if err != nil {
		return Result{Source: src.Name, Err: err, Why: err.Error()}, err
	}
	g.sweep(&kept)
	a := attempt{store: s, stage: g, src: &src, now: now, report: report, old: kept}
	return a.run(ctx)
}

// An attempt is one fetch of one source.
type attempt struct {
	store  *Store
	stage  *stage
	src    *Source
	now    testudo.Time
	report func(int64)
	old    Kept
}

// news is what an attempt found: what to keep from now on and whether its
// files are others than before. Some of it may be good beside an error.
type news struct {
	kept    Kept
	changed bool
	why     string
}

func (a *attempt) run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, a.store.limits.whole)
	defer cancel()
	n, err := a.ask(ctx)
	if err == nil || n.changed {
		a.describe(&n.kept)
		if n.changed {
			n.kept.Fetched = a.now
		}
	} else {
		n.kept = a.old
	}
	n.kept.Tried = a.now
	if err == nil {
		n.kept.Checked, n.kept.Failure = a.now, ""
	} else {
		n.kept.Failure = err.Error()
	}
	if failed := a.stage.commit(&n.kept); failed != nil {
		a.stage.sweep(&a.old)
		n.kept, n.changed, err = a.old, false, cmp.Or(err, failed)
	}
	return a.result(&n, err)
}

func (a *attempt) result(n *news, err error) (Result, error) {
	k := &n.kept
	r := Result{
		Source: a.src.Name, Changed: n.changed, Files: k.Files, Bytes: k.Bytes(),
		ETag: k.ETag, SHA256: k.SHA256, Fetched: k.Fetched, Why: n.why,
	}
	if err != nil {
		r.Err = fmt.Errorf("feed %s: %s: %w; %s", a.src.Name, a.origin(), err, k.inUse(a.now))
		r.Why = r.Err.Error()
	}
	return r, r.Err
}

// ask does what the kind of source wants.
func (a *attempt) ask(ctx context.Context) (news, error) {
	u, err := a.src.address()
	if err != nil {
		return news{}, err
	}
	if u.Scheme == "file" {
		return a.askFile(ctx, u.Path)
	}
	if a.pinned() {
		return news{kept: a.old, why: "unchanged: the copy has the SHA-256 that was asked for"}, nil
	}
	q, err := a.store.session(a.src, a.report)
	if err != nil {
		return news{}, err
	}
	defer q.close()
	switch a.src.kind() {
	case KindTAXII:
		return a.askTAXII(ctx, q)
	case KindMISP:
		return a.askMISP(ctx, q)
	}
	return a.askList(ctx, q)
}

// pinned reports whether nothing but what we have could be accepted.
func (a *attempt) pinned() bool {
	return a.src.SHA256 != "" && a.same() && strings.EqualFold(a.old.SHA256, a.src.SHA256)
}

// same reports whether the copy is of what this source asks for: a condition
// may only rest on such a one.
func (a *attempt) same() bool {
	return len(a.old.Files) > 0 && a.old.Address == a.address()
}

// address stands for the source's address and kind in kept.json, and for the
// hash and signer asked of it; no key in it is written down.
func (a *attempt) address() string {
	sum := sha256.Sum256([]byte(a.src.URL + "\n" + a.src.kind() + "\n" + strings.ToLower(a.src.SHA256) + "\n" + a.src.Signature.Key))
	return hex.EncodeToString(sum[:])
}

func (a *attempt) origin() string {
	u, err := a.src.address()
	if err != nil {
		return "its address"
	}
	return shown(u)
}

// describe writes what the configuration says of the source beside its copy.
func (a *attempt) describe(k *Kept) {
	k.Source, k.Origin, k.Address = a.src.Name, a.origin(), a.address()
	k.Kind, k.Licence, k.TLP = a.src.kind(), a.src.Licence, a.src.TLP
}

// askList fetches one file or archive.
func (a *attempt) askList(ctx context.Context, q *session) (news, error) {
	header := http.Header{"Accept": {"*/*"}}
	if a.same() {
		a.conditions(header)
	}
	got, err := q.get(ctx, q.base, header)
	if err != nil {
		return news{}, err
	}
	defer got.close()
	switch {
	case got.status == http.StatusNotModified && a.conditional(header):
		return news{kept: a.old, why: "unchanged"}, nil
	case got.status == http.StatusNotModified:
		return news{}, &fault{what: "the server answers that nothing changed, but there is no copy of it here", do: "tell who runs it"}
	case got.status != http.StatusOK:
		return news{}, got.fault()
	}
	return a.take(ctx, q, got)
}

func (a *attempt) conditions(h http.Header) {
	if a.old.ETag != "" {
		h.Set("If-None-Match", a.old.ETag)
	}
	if a.old.Modified != "" {
		h.Set("If-Modified-Since", a.old.Modified)
	}
}

func (a *attempt) conditional(h http.Header) bool {
	return h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != ""
}

// take reads an answer's body, holds it against what was asked for and
// unpacks it.
func (a *attempt) take(ctx context.Context, q *session, got *answer) (news, error) {
	raw, sum, err := a.download(got)
	if err != nil {
		return news{}, err
	}
	defer discard(raw)
	if err := a.verify(ctx, q, raw, sum); err != nil {
		return news{}, err
	}
	k := Kept{ETag: short(got.header.Get("ETag")), Modified: short(got.header.Get("Last-Modified"))}
	return a.unpacked(k, raw, sum)
}

// short leaves out a validator that is too long to send back.
func short(s string) string {
	if len(s) > 1024 {
		return ""
	}
	return s
}

// unpacked adds what is in raw to the stage, unless it is what we have.
func (a *attempt) unpacked(k Kept, raw *os.File, sum string) (news, error) {
	k.SHA256 = sum
	if a.same() && sum == a.old.SHA256 {
		k.Files, k.Fetched = a.old.Files, a.old.Fetched
		return news{kept: k, why: "unchanged"}, nil
	}
	files, err := a.stage.expand(a.src.Name, a.fileName(), raw)
	if err != nil {
		return news{}, err
	}
	k.Files = files
	return news{kept: k, changed: true, why: fmt.Sprintf("new: %s, %s", plural(int64(len(files)), "file"), size(k.Bytes()))}, nil
}

// fileName is what the source calls its file.
func (a *attempt) fileName() string {
	u, err := a.src.address()
	if err != nil {
		return a.src.Name
	}
	if base := path.Base(u.Path); base != "." && base != "/" {
		return base
	}
	return a.src.Name
}

// download writes a body to a file that discard removes, and returns it with
// its SHA-256.
func (a *attempt) download(got *answer) (*os.File, string, error) {
	raw, err := a.stage.temp()
	if err != nil {
		return nil, "", err
	}
	w := &sink{file: raw, left: a.src.maxBytes(), max: a.src.maxBytes(), hash: sha256.New()}
	if _, err := io.Copy(w, got.body); err != nil {
		discard(raw)
		if got.length >= 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, "", &fault{what: fmt.Sprintf("cut off: %s came of %s", size(w.n), size(got.length)), do: "try again", err: err}
		}
		return nil, "", err
	}
	return raw, hex.EncodeToString(w.hash.Sum(nil)), nil
}

func discard(f *os.File) {
	f.Close()
	_ = os.Remove(f.Name()) // what stays is swept next time
}

// verify holds a file against the hash and signature that were asked for.
func (a *attempt) verify(ctx context.Context, q *session, raw *os.File, sum string) error {
	if want := a.src.SHA256; want != "" && !strings.EqualFold(want, sum) {
		return &fault{
			what: "its SHA-256 is " + sum + ", not the " + strings.ToLower(want) + " that was asked for",
			do:   "if its publisher says it changed, change sha256; else somebody tampers with it",
		}
	}
	if a.src.Signature.Key == "" {
		return nil
	}
	text, from, err := a.signature(ctx, q)
	if err != nil {
		return &fault{what: "its signature " + from + " cannot be had: " + err.Error(), err: err}
	}
	key, err := ParsePublicKey(a.src.Signature.Key)
	if err != nil {
		return err
	}
	if _, err := raw.Seek(0, io.SeekStart); err != nil {
		return diskFault(err)
	}
	if _, err := key.Verify(raw, text); err != nil {
		return &fault{what: "its signature " + from + ": " + err.Error(), do: "if its publisher has a new key, change it here; else somebody tampers with it", err: err}
	}
	return nil
}

// signature reads the signature's text from beside the file, or from where
// the configuration says.
func (a *attempt) signature(ctx context.Context, q *session) (text []byte, from string, err error) {
	u := *q.base
	u.Path, u.RawPath = u.Path+".minisig", ""
	if a.src.Signature.URL != "" {
		given, err := url.Parse(a.src.Signature.URL)
		if err != nil {
			return nil, "", errors.New("its address cannot be read")
		}
		u = *given
	}
	if u.Scheme == "file" {
		text, err = readSmall(u.Path, maxSignature)
		return text, shown(&u), err
	}
	text, err = q.small(ctx, &u, maxSignature)
	return text, shown(&u), err
}

// small gets a short file whole.
func (q *session) small(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	got, err := q.get(ctx, u, nil)
	if err != nil {
		return nil, err
	}
	defer got.close()
	if got.status != http.StatusOK {
		return nil, got.fault()
	}
	return got.read(limit)
}

// read returns a body of at most limit bytes.
func (a *answer) read(limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(a.body, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, tooBig(limit)
	}
	return b, err
}
