package history

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestEveryKind holds that no kind of record of the root package is missing.
func TestEveryKind(t *testing.T) {
	files, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, l := range Layouts() {
		known[l.typ.Name()] = true
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), "../../"+f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Log" && fn.Recv != nil {
				if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok && !known[star.X.(*ast.Ident).Name] {
					t.Errorf("records of type %s would be forgotten: add them to layouts", star.X.(*ast.Ident).Name)
				}
			}
		}
	}
}

// TestColumns holds that every column can be read, and written unless it
// follows from others, and that no two share a name.
func TestColumns(t *testing.T) {
	for _, l := range Layouts() {
		seen := map[string]bool{}
		for _, c := range l.Columns {
			if c.get == nil || c.set == nil && c.Name != "proto" {
				t.Errorf("%s.%s has no form", l.Log, c.Name)
			}
			if seen[c.Name] {
				t.Errorf("%s.%s is there twice", l.Log, c.Name)
			}
			seen[c.Name] = true
		}
	}
}

func TestEscape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"}, {"", ""}, {"é", "é"}, {"\xff", `\xff`}, {`a\b`, `a\\b`}, {"tab\t", `tab\x09`}, {`\x41`, `\\x41`}, {"\x7f", `\x7f`},
	} {
		if got := Escape(c.in); got != c.want || Unescape(got) != c.in {
			t.Errorf("%q became %q and %q", c.in, got, Unescape(got))
		}
	}
	if got := Unescape(`\x4`); got != `\x4` {
		t.Errorf("half an escape became %q", got)
	}
}

// FuzzEscape holds that every text comes back.
func FuzzEscape(f *testing.F) {
	f.Add("a\\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Unescape(Escape(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
		_ = ParseUID(s)
	})
}

func TestParseUID(t *testing.T) {
	for _, u := range []testudo.UID{1, 61, 62, 1<<64 - 1} {
		if got := ParseUID(u.String()); got != u {
			t.Errorf("%s became %s", u, got)
		}
	}
	for _, s := range []string{"", "C", "Cxxxxxxxxxx!", "Dxxxxxxxxxxx"} {
		if got := ParseUID(s); got != 0 {
			t.Errorf("%q became %s", s, got)
		}
	}
}

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{"QuerySize": "query_size", "JA4Again": "ja4_again", "CookieLen": "cookie_len", "ECH": "ech", "HTML": "html", "AuthOK": "auth_ok"} {
		if got := snake(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*.example", "www.example", true},
		{"*.example", "example", false},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"a*c", "ab", false},
		{"a*b*c", "a-b-c", true},
		{"a*a", "a", false},
		{"*", "", true},
		{"x", "X.", true},
		{"*bc*", "abcd", true},
	} {
		if got := glob(c.pattern)(c.text); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.text, got)
		}
	}
}

func TestSearch(t *testing.T) {
	s := NewSearch(Subject{Words: []string{"10.0.0.1", "ann@corp.example", "pc1"}})
	for text, want := range map[string]bool{
		"10.0.0.1": true, "10.0.0.11": false, "110.0.0.1": false, "x 10.0.0.1:80": true, "10.0.0.1.": true, "1.10.0.0.1": false,
		"<Ann@corp.example>": true, "joann@corp.example": false, "pc1.corp": true, "pc10": false, "xpc1": false, "": false,
	} {
		if got := s.text(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
