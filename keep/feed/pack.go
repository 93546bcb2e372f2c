package feed

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
)

// A pack carries copies to a network without Internet: a tar in zstd of
// manifest.json, its signature, and the files in the manifest's order;
// docs/format/pack.md.
const (
	packFormat    = "testudo-intel-pack"
	packVersion   = 1
	manifestName  = "manifest.json"
	signatureName = "manifest.json.minisig"
	maxPackText   = 64 << 20 // bytes of a manifest
	maxPackFeeds  = 1000
	maxPackFiles  = 250_000
)

// packManifest says what is in a pack. The signature is over its bytes.
type packManifest struct {
	Format  string     `json:"format"`
	Version int        `json:"version"`
	Made    time.Time  `json:"made"`
	Expires time.Time  `json:"expires"`
	Feeds   []packFeed `json:"feeds"`
}

type packFeed struct {
	Name    string     `json:"name"`
	Origin  string     `json:"origin,omitempty"`
	Kind    string     `json:"kind,omitempty"`
	Licence string     `json:"licence,omitempty"`
	TLP     string     `json:"tlp,omitempty"`
	Fetched time.Time  `json:"fetched"`
	Files   []packFile `json:"files"`
}

type packFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Stamp  int64  `json:"stamp,omitempty"`
}

// Pack writes the copies in feeds to w as one signed file that expires. The
// same copies, times and key give the same bytes.
func Pack(w io.Writer, feeds []Kept, key ed25519.PrivateKey, made, expires testudo.Time) error {
	if expires <= made {
		return errors.New("pack: it must expire after it is made")
	}
	feeds = slices.Clone(feeds)
	slices.SortFunc(feeds, func(a, b Kept) int { return cmp.Compare(a.Source, b.Source) })
	text, err := manifestOf(feeds, made, expires)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	t := tar.NewWriter(z)
	sig := sign(key, text, "testudo intel pack made "+made.Std().Format(time.RFC3339))
	err = errors.Join(member(t, manifestName, int64(len(text)), bytes.NewReader(text)),
		member(t, signatureName, int64(len(sig)), bytes.NewReader(sig)))
	for i := 0; i < len(feeds) && err == nil; i++ {
		err = packFiles(t, &feeds[i])
	}
	if err := errors.Join(err, t.Close(), z.Close()); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return nil
}

func manifestOf(feeds []Kept, made, expires testudo.Time) ([]byte, error) {
	m := packManifest{Format: packFormat, Version: packVersion, Made: made.Std(), Expires: expires.Std()}
	files := 0
	for i := range feeds {
		k := &feeds[i]
		if len(k.Files) == 0 {
			return nil, fmt.Errorf("pack: there is no copy of %s; fetch it first, or leave it out", k.Source)
		}
		if i > 0 && feeds[i-1].Source == k.Source {
			return nil, fmt.Errorf("pack: %s is named twice", k.Source)
		}
		f := packFeed{Name: k.Source, Origin: k.Origin, Kind: k.Kind, Licence: k.Licence, TLP: k.TLP.String(), Fetched: k.Fetched.Std()}
		for _, file := range k.Files {
			f.Files = append(f.Files, packFile{Name: file.Name, SHA256: file.SHA256, Bytes: file.Bytes, Stamp: file.Stamp})
		}
		files += len(f.Files)
		m.Feeds = append(m.Feeds, f)
	}
	if len(feeds) == 0 || len(feeds) > maxPackFeeds || files > maxPackFiles {
		return nil, fmt.Errorf("pack: %d sources with %d files: want 1 to %d with up to %d", len(feeds), files, maxPackFeeds, maxPackFiles)
	}
	text, err := json.MarshalIndent(m, "", " ")
	return append(text, '\n'), err
}

// packFiles writes the files of one copy. One that is not what it was when
// it was fetched ends the pack: the reader holds it against the manifest.
func packFiles(t *tar.Writer, k *Kept) error {
	for i := range k.Files {
		f := &k.Files[i]
		r, err := os.Open(f.Path)
		if err != nil {
			return err
		}
		h := newChecked(r)
		err = member(t, memberName(k.Source, i, f.Name), f.Bytes, h)
		r.Close()
		if err == nil && h.sum() != f.SHA256 {
			err = fmt.Errorf("%s is not what was fetched; fetch %s again", f.Path, k.Source)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// memberName is the name of a file in the archive. The reader makes it anew
// from the manifest: nothing in the archive says where a file is put.
func memberName(source string, i int, name string) string {
	return fmt.Sprintf("files/%s/%06d-%s", source, i, plain(name))
}

func member(t *tar.Writer, name string, length int64, r io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: length, Mode: 0o644, Format: tar.FormatUSTAR}
	if length >= 8<<30 {
		return fmt.Errorf("%s: %s are more than a pack can hold in one file", name, size(length))
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.CopyN(t, r, length)
	return err
}
