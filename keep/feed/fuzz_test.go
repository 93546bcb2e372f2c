package feed

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"` + eventA + `":{"timestamp":"1"},"` + eventB + `":{"timestamp":2}}`))
	f.Add([]byte(`{"../x":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		events, err := parseManifest(text)
		for i, e := range events {
			if err != nil || !uuidForm.MatchString(e.uuid) || i > 0 && events[i-1].uuid >= e.uuid {
				t.Fatalf("%v %v", events, err)
			}
		}
	})
}

func FuzzTAXII(f *testing.F) {
	f.Add([]byte(`{"more":true,"next":"a","objects":[{"type":"indicator"}]}`))
	f.Add([]byte(`{"api_roots":["/a/"],"collections":[{"id":"x","can_read":true}],"versions":["x"],"id":"y"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseEnvelope(text)
		if err == nil {
			for _, o := range e.Objects {
				if o[0] != '{' {
					t.Fatalf("%s", o)
				}
			}
		}
		_, _ = parseResource(text)
	})
}

// FuzzArchive holds that unpacking stays within its limits and its folder,
// whatever came.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(list))
	f.Add(gzipped(list))
	f.Add(zstded(list))
	f.Add(zipped("a", list, "../b", "b"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, body []byte) {
		raw, err := os.Create(filepath.Join(dir, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if _, err := raw.Write(body); err != nil {
			t.Fatal(err)
		}
		g := stage{dir: filepath.Join(dir, "out"), left: 1 << 16, max: 1 << 16}
		if err := os.MkdirAll(g.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(g.dir)
		files, err := g.expand("test", "list", raw)
		var all int64
		for _, got := range files {
			if filepath.Dir(got.Path) != g.dir {
				t.Fatalf("%s lies outside", got.Path)
			}
			all += got.Bytes
		}
		if all > g.max || err != nil && !isFault(err) {
			t.Fatalf("%d bytes, %v", all, err)
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add(sign(testKey(1), []byte("x"), "c"))
	f.Add([]byte("untrusted comment: \n\n\n"))
	key := public(testKey(1))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := key.Verify(bytes.NewReader([]byte("y")), text); err == nil {
			t.Fatal("a signature of something else fits")
		}
		_, _ = ParsePublicKey(string(text))
	})
}

// FuzzPack changes packs, signed ones among them: what is taken is what was
// signed.
func FuzzPack(f *testing.F) {
	one := manifestHead + `{"name":"one","fetched":"2026-11-01T00:00:00Z","files":[{"name":"x","sha256":"` + sumOf("x") + `","bytes":1}]}]}`
	good := byHand(append(signed(one), part{name: "files/one/000000-x", body: "x"})...)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(byHand(signed(one)...))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, pack []byte) {
		s := Store{dir: dir}
		results, err := s.Unpack(bytes.NewReader(pack), public(testKey(1)), thursday, PackLimits{MaxBytes: 1 << 16})
		if err == nil && (len(results) != 1 || len(results[0].Files) != 1 || results[0].Files[0].SHA256 != sumOf("x")) {
			t.Fatalf("%+v", results)
		}
	})
}

func FuzzPackManifest(f *testing.F) {
	f.Add([]byte(manifestHead + `{"name":"one","files":[{"name":"x","sha256":"` + sumOf("x") + `","bytes":1}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parsePack(text, 1<<16)
		if err != nil {
			return
		}
		var all int64
		for _, feed := range m.Feeds {
			for i, file := range feed.Files {
				all += file.Bytes
				if file.Bytes < 0 || all > 1<<16 || !nameForm.MatchString(feed.Name) || plain(memberName(feed.Name, i, file.Name)) == "" {
					t.Fatalf("%+v", m)
				}
			}
		}
	})
}
