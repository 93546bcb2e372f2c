package feed

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
)

const (
	stateName   = "pack.json" // which pack was last unpacked here
	clockLeeway = 24 * time.Hour
)

// PackLimits say what a pack may be and whether an older one is taken.
type PackLimits struct {
	MaxBytes int64 // of all its files, unpacked; 0 is 4 GiB
	Force    bool  // take also what is older than what is here
}

// packState remembers the newest pack that was taken, so that an older one
// cannot bring back what was withdrawn.
type packState struct {
	Made time.Time `json:"made"`
	Key  string    `json:"key"`
}

// Unpack reads a pack that key's owner signed and makes its copies those in
// use. Nothing is touched before the signature is checked, nor a source's
// copy before all files of the pack have come whole. A source of which a
// newer copy is here keeps that, and its result says so. The results are in
// the pack's order.
func (s *Store) Unpack(r io.Reader, key PublicKey, now testudo.Time, limits PackLimits) ([]Result, error) {
	if limits.MaxBytes == 0 {
		limits.MaxBytes = 4 << 30
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	defer z.Close()
	u := unpacker{store: s, tar: tar.NewReader(&strict{r: z}), now: now, limits: limits}
	results, err := u.run(key)
	if err != nil {
		return nil, fmt.Errorf("pack: %w; nothing was changed", err)
	}
	return results, nil
}

// A strict reader marks what zstd says, which the tar reader passes on.
type strict struct{ r io.Reader }

func (s *strict) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		err = &fault{what: "the file is damaged or no pack: " + err.Error(), do: "copy it again", err: err}
	}
	return n, err
}

type unpacker struct {
	store  *Store
	tar    *tar.Reader
	now    testudo.Time
	limits PackLimits
	stages []*stage
	kept   []Kept
}

func (u *unpacker) run(key PublicKey) ([]Result, error) {
	m, err := u.manifest(key)
	if err != nil {
		return nil, err
	}
	if err := u.timely(m); err != nil {
		return nil, err
	}
	defer u.close()
	for i := range m.Feeds {
		if err := u.bring(&m.Feeds[i]); err != nil {
			return nil, err
		}
	}
	if _, err := u.tar.Next(); err != io.EOF {
		return nil, &fault{what: "there is more in it than its manifest names", do: "refused"}
	}
	return u.settle(m, key)
}

// manifest reads the first two members and checks who signed.
func (u *unpacker) manifest(key PublicKey) (*packManifest, error) {
	text, err := u.text(manifestName, maxPackText)
	if err != nil {
		return nil, err
	}
	sig, err := u.text(signatureName, maxSignature)
	if err != nil {
		return nil, &fault{what: "it is not signed: " + err.Error(), do: "refused", err: err}
	}
	if _, err := key.Verify(bytes.NewReader(text), sig); err != nil {
		return nil, &fault{what: "its signature: " + err.Error(), do: "refused: it is not from the one whose key you gave", err: err}
	}
	return parsePack(text, u.limits.MaxBytes)
}

// text reads a member that must have this name.
func (u *unpacker) text(name string, limit int64) ([]byte, error) {
	h, err := u.tar.Next()
	if err != nil {
		return nil, noPack(err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return nil, &fault{what: quoted(h.Name) + " is where " + name + " should be"}
	}
	if h.Size > limit {
		return nil, tooBig(limit)
	}
	b, err := io.ReadAll(u.tar)
	return b, noPack(err)
}

func noPack(err error) error {
	if err == nil || isFault(err) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &fault{what: "the file ends too early", do: "copy it again", err: err}
	}
	return &fault{what: "the file is damaged or no pack: " + err.Error(), do: "copy it again", err: err}
}

// parsePack reads a manifest and holds it against the limits.
func parsePack(text []byte, maxBytes int64) (*packManifest, error) {
	m := &packManifest{}
	if err := json.Unmarshal(text, m); err != nil || m.Format != packFormat {
		return nil, &fault{what: "it is no pack of indicators", do: "check which file it is"}
	}
	if m.Version != packVersion {
		return nil, &fault{what: fmt.Sprintf("it is of version %d, and we read %d", m.Version, packVersion), do: "use a newer release"}
	}
	if len(m.Feeds) == 0 || len(m.Feeds) > maxPackFeeds {
		return nil, &fault{what: fmt.Sprintf("it holds %d sources: want 1 to %d", len(m.Feeds), maxPackFeeds)}
	}
	files, left, last := 0, maxBytes, ""
	for i := range m.Feeds {
		f := &m.Feeds[i]
		if !nameForm.MatchString(f.Name) || f.Name <= last {
			return nil, &fault{what: "it holds a source " + quoted(f.Name) + ", which is no name or out of order", do: "refused"}
		}
		last = f.Name
		for _, file := range f.Files {
			if files++; files > maxPackFiles || file.Bytes < 0 || file.Bytes > left {
				return nil, tooBig(maxBytes)
			}
			left -= file.Bytes
			if !isSHA256(file.SHA256) || file.SHA256 != strings.ToLower(file.SHA256) || len(file.Name) > 4096 {
				return nil, &fault{what: "its manifest names a file without a SHA-256", do: "refused"}
			}
		}
		if len(f.Files) == 0 {
			return nil, &fault{what: "it holds no file of " + f.Name, do: "refused"}
		}
	}
	return m, nil
}

// timely refuses a pack that is too old, or is from a time to come: once
// taken, that would shut out all others.
func (u *unpacker) timely(m *packManifest) error {
	now := u.now.Std()
	if !now.Before(m.Expires) {
		return &fault{what: "it expired " + m.Expires.UTC().Format(time.DateTime) + " UTC", do: "ask for a newer one, and check this machine's clock"}
	}
	if m.Made.After(now.Add(clockLeeway)) {
		return &fault{what: "it was made " + m.Made.UTC().Format(time.DateTime) + " UTC, which is still to come", do: "check this machine's clock"}
	}
	had, err := u.store.lastPack()
	if err != nil {
		return err
	}
	if m.Made.Before(had.Made) && !u.limits.Force {
		return &fault{
			what: "it was made " + m.Made.UTC().Format(time.DateTime) + " UTC and the one in use " + had.Made.UTC().Format(time.DateTime) + " UTC",
			do:   "refused, since an older one may hold what was withdrawn; force it if you must",
		}
	}
	return nil
}

func (s *Store) lastPack() (had packState, err error) {
	text, err := readSmall(filepath.Join(s.dir, stateName), maxKey)
	if errors.Is(err, os.ErrNotExist) {
		return had, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &had)
	}
	if err != nil {
		return had, &fault{what: "which pack was taken last cannot be read: " + err.Error(), do: "remove " + stateName + " if you trust this one", err: err}
	}
	return had, nil
}

// bring writes the files of one source beside its old ones.
func (u *unpacker) bring(f *packFeed) error {
	g, err := u.store.stage(f.Name, u.limits.MaxBytes)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	u.stages = append(u.stages, g)
	old, err := u.store.Kept(f.Name)
	if err != nil {
		return err
	}
	g.sweep(&old)
	k := Kept{
		Source: f.Name, Origin: f.Origin, Kind: f.Kind, Licence: f.Licence, TLP: testudo.ParseTLP(f.TLP),
		Fetched: testudo.TimeOf(f.Fetched), Checked: testudo.TimeOf(f.Fetched), Tried: u.now,
	}
	for i, want := range f.Files {
		got, err := u.file(g, f.Name, i, &want)
		if err != nil {
			return err
		}
		got.Stamp = want.Stamp
		k.Files = append(k.Files, got)
	}
	u.kept = append(u.kept, k)
	return nil
}

func (u *unpacker) file(g *stage, source string, i int, want *packFile) (File, error) {
	h, err := u.tar.Next()
	if err != nil {
		return File{}, noPack(err)
	}
	if name := memberName(source, i, want.Name); h.Name != name || h.Typeflag != tar.TypeReg || h.Size != want.Bytes {
		return File{}, &fault{what: quoted(h.Name) + " is where its manifest has " + name, do: "refused"}
	}
	got, err := g.add(source, want.Name, u.tar)
	if err != nil {
		return File{}, noPack(err)
	}
	if got.SHA256 != want.SHA256 {
		return File{}, &fault{what: want.Name + " of " + source + " is not what was signed", do: "refused; copy it again"}
	}
	return got, nil
}

// settle makes the copies those in use, where ours are not newer.
func (u *unpacker) settle(m *packManifest, key PublicKey) (results []Result, err error) {
	state, err := json.Marshal(packState{Made: m.Made, Key: key.String()})
	if err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(u.store.dir, stateName), append(state, '\n')); err != nil {
		return nil, diskFault(err)
	}
	for i, g := range u.stages {
		results = append(results, u.take(g, &u.kept[i]))
	}
	return results, nil
}

func (u *unpacker) take(g *stage, k *Kept) Result {
	old, err := u.store.Kept(k.Source)
	if err == nil && old.Fetched > k.Fetched && !u.limits.Force {
		g.sweep(&old)
		return Result{
			Source: k.Source, Files: old.Files, Bytes: old.Bytes(), Fetched: old.Fetched,
			Why: "unchanged: the copy here is newer than the pack's of " + k.Fetched.Std().Format("2006-01-02 15:04 UTC"),
		}
	}
	changed := !sameFiles(old.Files, k.Files)
	if err == nil {
		err = g.commit(k)
	}
	if err != nil {
		err = fmt.Errorf("feed %s: from the pack: %w; %s", k.Source, err, old.inUse(u.now))
		return Result{Source: k.Source, Files: old.Files, Bytes: old.Bytes(), Fetched: old.Fetched, Err: err, Why: err.Error()}
	}
	r := Result{Source: k.Source, Changed: changed, Files: k.Files, Bytes: k.Bytes(), Fetched: k.Fetched, Why: "unchanged"}
	if changed {
		r.Why = fmt.Sprintf("new: %s, %s", plural(int64(len(k.Files)), "file"), size(k.Bytes()))
	}
	return r
}

// close gives the folders back, without what was not taken.
func (u *unpacker) close() {
	for _, g := range u.stages {
		if k, err := u.store.Kept(filepath.Base(g.dir)); err == nil {
			g.sweep(&k)
		}
		g.release()
	}
}

// A checked reader hashes what is read.
type checked struct {
	r io.Reader
	h hash.Hash
}

func newChecked(r io.Reader) *checked { return &checked{r: r, h: sha256.New()} }

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.h.Write(p[:n])
	return n, err
}

func (c *checked) sum() string { return hex.EncodeToString(c.h.Sum(nil)) }
