package zeek_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/logs"
	"github.com/testudo-shield/testudo/sense/source/zeek"
)

// TestFollow reads a folder as Zeek leaves it: TSV whose columns change with
// a rotation, and a restart half way through a file.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weird.log")
	add := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	open := func(from []byte) *logs.Follower {
		t.Helper()
		f, err := logs.Follow(zeek.Format(), from, dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var got []string
	read := func(f *logs.Follower, n int) {
		t.Helper()
		for end := time.Now().Add(8 * time.Second); n > 0 && time.Now().Before(end); {
			r, err := f.Next()
			if err == nil {
				w := r.(*testudo.Weird)
				got = append(got, fmt.Sprint(w.Name, int64(w.Time)/second))
				n--
			} else if !errors.Is(err, source.ErrIdle) {
				t.Fatal(err)
			}
		}
	}
	add("#separator \\x09\n#path\tweird\n#fields\tts\tname\n1\ta\n2\tb\n")
	f := open(nil)
	read(f, 2)
	add("3\tc\n4\td\n")
	read(f, 1)
	position := f.Position()
	f.Close()
	f = open(position)
	read(f, 1)
	add("#close\t2024\n")
	if err := os.Rename(path, filepath.Join(dir, "weird-24-01-01_10.00.00.log")); err != nil {
		t.Fatal(err)
	}
	add("#separator \\x09\n#path\tweird\n#fields\tname\tts\ne\t5\n")
	began := time.Now()
	read(f, 1)
	if took := time.Since(began); took > time.Second {
		t.Errorf("a new line took %v", took)
	}
	f.Close()
	if strings.Join(got, " ") != "a1 b2 c3 d4 e5" || f.Malformed() != 0 {
		t.Errorf("got %v, malformed %d", got, f.Malformed())
	}
}
