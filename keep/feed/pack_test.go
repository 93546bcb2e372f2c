package feed

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

// filled returns a store with two sources, and what is kept of them.
func filled(t *testing.T, text string) (*Store, []Kept) {
	t.Helper()
	s := newStore(t)
	mustFetch(t, s, Source{Name: "one", URL: "file://" + write(t, "one.txt", text), Licence: "CC0", TLP: testudo.TLPAmber, Kind: "plain"}, monday)
	mustFetch(t, s, Source{Name: "two", URL: "file://" + write(t, "two.zip", string(zipped("b.csv", "b", "a.csv", "a")))}, monday)
	kept, err := s.List()
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	return s, kept
}

func packed(t *testing.T, feeds []Kept, key ed25519.PrivateKey, made testudo.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(&b, feeds, key, made, made.Add(30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPack(t *testing.T) {
	_, kept := filled(t, list)
	key := testKey(1)
	pack := packed(t, kept, key, thursday)
	slices.Reverse(kept)
	if again := packed(t, kept, key, thursday); !bytes.Equal(pack, again) {
		t.Error("the same copies gave other bytes")
	}
	s := newStore(t)
	results, err := s.Unpack(bytes.NewReader(pack), public(key), thursday, PackLimits{})
	if err != nil || len(results) != 2 || !results[0].Changed || results[0].Fetched != monday {
		t.Fatalf("%+v %v", results, err)
	}
	got := append(contents(t, results[0].Files), contents(t, results[1].Files)...)
	if want := []string{"one.txt=" + list, "b.csv=b", "a.csv=a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	k, err := s.Kept("one")
	if err != nil || k.Licence != "CC0" || k.TLP != testudo.TLPAmber || k.Kind != "plain" || k.Fetched != monday {
		t.Errorf("%+v %v", k, err)
	}
	results, err = s.Unpack(bytes.NewReader(pack), public(key), thursday, PackLimits{})
	if err != nil || results[0].Changed || results[0].Why != "unchanged" {
		t.Errorf("unpacked twice: %+v %v", results, err)
	}
}

// TestPackOlder holds that an older pack is refused unless forced, and that
// a copy newer than the pack's stays.
func TestPackOlder(t *testing.T) {
	_, kept := filled(t, list)
	key := testKey(1)
	older, newer := packed(t, kept, key, monday), packed(t, kept, key, thursday)
	s := newStore(t)
	own := mustFetch(t, s, Source{Name: "one", URL: "file://" + write(t, "own.txt", "own")}, thursday)
	results, err := s.Unpack(bytes.NewReader(newer), public(key), thursday, PackLimits{})
	if err != nil || results[0].Changed || results[0].Files[0].Path != own.Files[0].Path || !strings.HasPrefix(results[0].Why, "unchanged: the copy here is newer") || !results[1].Changed {
		t.Fatalf("%+v %v", results, err)
	}
	_, err = s.Unpack(bytes.NewReader(older), public(key), thursday, PackLimits{})
	want := "pack: it was made 2026-11-02 12:00:00 UTC and the one in use 2026-11-05 12:00:00 UTC; refused, since an older one may hold what was withdrawn; force it if you must; nothing was changed"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	results, err = s.Unpack(bytes.NewReader(older), public(key), thursday, PackLimits{Force: true})
	if err != nil || !results[0].Changed || contents(t, results[0].Files)[0] != "one.txt="+list {
		t.Errorf("%+v %v", results, err)
	}
}

// part is a member of a pack made by hand.
type part struct {
	name, body string
	kind       byte
}

func byHand(parts ...part) []byte {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Typeflag: p.kind, Size: int64(len(p.body)), Mode: 0o644}
		if p.kind == 0 {
			h.Typeflag = tar.TypeReg
		} else {
			h.Size, h.Linkname = 0, p.body
		}
		_ = t.WriteHeader(h)
		if p.kind == 0 {
			_, _ = t.Write([]byte(p.body))
		}
	}
	t.Close()
	return zstded(b.String())
}

// signed is the head of a pack with this manifest.
func signed(manifest string) []part {
	return []part{{name: manifestName, body: manifest}, {name: signatureName, body: string(sign(testKey(1), []byte(manifest), "x"))}}
}

const manifestHead = `{"format":"testudo-intel-pack","version":1,"made":"2026-11-05T00:00:00Z","expires":"2026-12-01T00:00:00Z","feeds":[`

func TestPackRefused(t *testing.T) {
	_, kept := filled(t, list)
	good := packed(t, kept, testKey(1), thursday)
	file := func(name, body string) string {
		return `{"name":"` + name + `","sha256":"` + sumOf(body) + `","bytes":1}`
	}
	one := manifestHead + `{"name":"one","fetched":"2026-11-01T00:00:00Z","files":[` + file("../../x", "x") + `]}]}`
	tests := []struct {
		name   string
		pack   []byte
		now    testudo.Time
		limits PackLimits
		want   string
	}{
		{"other key", packed(t, kept, testKey(2), thursday), thursday, PackLimits{}, "its signature: made with the key " + public(testKey(2)).Name()},
		{"unsigned", byHand(part{name: manifestName, body: one}), thursday, PackLimits{}, "it is not signed: the file ends too early"},
		{"unsigned, with files", byHand(part{name: manifestName, body: one}, part{name: "files/one/000000-x", body: "x"}), thursday, PackLimits{}, `it is not signed: "files/one/000000-x" is where manifest.json.minisig should be`},
		{"manifest changed", byHand(part{name: manifestName, body: one + " "}, signed(one)[1]), thursday, PackLimits{}, "its signature: the signature does not fit the file; refused"},
		{"expired", good, thursday.Add(31 * 24 * time.Hour), PackLimits{}, "it expired 2026-12-05 12:00:00 UTC; ask for a newer one, and check this machine's clock"},
		{"to come", good, monday, PackLimits{Force: true}, "it was made 2026-11-05 12:00:00 UTC, which is still to come; check this machine's clock"},
		{"too big", good, thursday, PackLimits{MaxBytes: 13}, "more than the 13 bytes allowed"},
		{"half", good[:len(good)/2], thursday, PackLimits{}, "copy it again"},
		{"no pack", []byte(list), thursday, PackLimits{}, "the file is damaged or no pack: "},
		{"other tar", byHand(part{name: "x", body: "x"}), thursday, PackLimits{}, `"x" is where manifest.json should be`},
		{"link", byHand(append(signed(one), part{"files/one/000000-x", "/etc/passwd", tar.TypeSymlink})...), thursday, PackLimits{}, `"files/one/000000-x" is where its manifest has files/one/000000-x; refused`},
		{"escaping", byHand(append(signed(one), part{name: "files/one/../../x", body: "x"})...), thursday, PackLimits{}, `"files/one/../../x" is where its manifest has files/one/000000-x; refused`},
		{"other bytes", byHand(append(signed(one), part{name: "files/one/000000-x", body: "y"})...), thursday, PackLimits{}, "../../x of one is not what was signed; refused; copy it again"},
		{"longer", byHand(append(signed(one), part{name: "files/one/000000-x", body: "xx"})...), thursday, PackLimits{}, "is where its manifest has"},
		{"missing", byHand(signed(one)...), thursday, PackLimits{}, "the file ends too early; copy it again"},
		{"more", byHand(append(signed(one), part{name: "files/one/000000-x", body: "x"}, part{name: "y", body: "y"})...), thursday, PackLimits{}, "there is more in it than its manifest names; refused"},
		{"escaping source", byHand(signed(manifestHead + `{"name":"../x","files":[` + file("x", "x") + `]}]}`)...), thursday, PackLimits{}, `it holds a source "../x", which is no name or out of order`},
		{"twice", byHand(signed(manifestHead + `{"name":"x","files":[` + file("x", "x") + `]},{"name":"x","files":[]}]}`)...), thursday, PackLimits{}, `it holds a source "x", which is no name or out of order`},
		{"no hash", byHand(signed(manifestHead + `{"name":"x","files":[{"name":"x","bytes":1}]}]}`)...), thursday, PackLimits{}, "its manifest names a file without a SHA-256"},
		{"below nothing", byHand(signed(manifestHead + `{"name":"x","files":[{"name":"x","bytes":-1}]}]}`)...), thursday, PackLimits{}, "allowed"},
		{"no files", byHand(signed(manifestHead + `{"name":"x"}]}`)...), thursday, PackLimits{}, "it holds no file of x"},
		{"nothing", byHand(signed(manifestHead + `]}`)...), thursday, PackLimits{}, "it holds 0 sources: want 1 to 1000"},
		{"newer format", byHand(signed(`{"format":"testudo-intel-pack","version":2}`)...), thursday, PackLimits{}, "it is of version 2, and we read 1; use a newer release"},
		{"other format", byHand(signed(`{"format":"x"}`)...), thursday, PackLimits{}, "it is no pack of indicators"},
	}
	for _, tt := range tests {
		s := newStore(t)
		mine := mustFetch(t, s, Source{Name: "one", URL: "file://" + write(t, "mine.txt", "mine")}, monday)
		_, err := s.Unpack(bytes.NewReader(tt.pack), public(testKey(1)), tt.now, tt.limits)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "pack: ") || !strings.HasSuffix(err.Error(), "; nothing was changed") {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.want)
		}
		k, err := s.Kept("one")
		if err != nil || len(k.Files) != 1 || k.Files[0].Path != mine.Files[0].Path {
			t.Errorf("%s: the copy was not kept: %+v %v", tt.name, k, err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.dir, "one", "*")); len(left) != 3 { // the copy, kept.json and the lock
			t.Errorf("%s: left behind: %v", tt.name, left)
		}
	}
}

func TestPackUnfit(t *testing.T) {
	_, kept := filled(t, list)
	tests := []struct {
		feeds   []Kept
		expires testudo.Time
		want    string
	}{
		{kept, monday, "pack: it must expire after it is made"},
		{nil, thursday, "pack: 0 sources with 0 files: want 1 to 1000 with up to 250000"},
		{[]Kept{{Source: "none"}}, thursday, "pack: there is no copy of none; fetch it first, or leave it out"},
		{[]Kept{kept[0], kept[0]}, thursday, "pack: one is named twice"},
	}
	for _, tt := range tests {
		if err := Pack(&bytes.Buffer{}, tt.feeds, testKey(1), monday, tt.expires); err == nil || err.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	if err := os.WriteFile(kept[0].Files[0].Path, []byte("203.0.113.8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Pack(&bytes.Buffer{}, kept, testKey(1), monday, thursday); err == nil || !strings.HasSuffix(err.Error(), "is not what was fetched; fetch one again") {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	at := filepath.Join(t.TempDir(), "intel.key")
	pub, err := NewKey(at)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ReadPrivateKey(at)
	if err != nil || public(key).String() != pub.String() {
		t.Fatal(err)
	}
	read, err := ReadPublicKey(at + ".pub")
	if err != nil || read.String() != pub.String() || !strings.HasPrefix(pub.String(), "RW") || len(pub.String()) != 56 {
		t.Fatal(read, err)
	}
	if _, err := read.Verify(strings.NewReader("x"), sign(key, []byte("x"), "c")); err != nil {
		t.Error(err)
	}
	if _, err := NewKey(at); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(err)
	}
	if err := os.Chmod(at, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivateKey(at); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Error(err)
	}
	if _, err := ReadPublicKey(at); err == nil || !strings.Contains(err.Error(), "not a public key") {
		t.Error(err)
	}
	if _, err := ReadPrivateKey(write(t, "x", "x")); err == nil || !strings.Contains(err.Error(), "not a private key in PEM") {
		t.Error(err)
	}
}

// TestOldSignatures reads what minisign made before it hashed first.
func TestOldSignatures(t *testing.T) {
	key := testKey(1)
	text := bytes.Replace(sign(key, []byte("x"), "c"), []byte("\nRUQ"), []byte("\nRWQ"), 1)
	s, err := parseSignature(text)
	if err != nil || s.hashed {
		t.Fatalf("%+v %v", s, err)
	}
	if _, err := public(key).Verify(strings.NewReader("x"), text); err == nil {
		t.Error("a signature of the hash was taken for one of the file")
	}
}
