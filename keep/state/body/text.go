package body

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/testudo-shield/testudo"
)

// text is a string that may hold any bytes, as what comes from strangers
// does. JSON takes valid UTF-8 only, so other strings are written as
// {"base64":"…"}.
type text string

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(raw{base64.StdEncoding.EncodeToString([]byte(t))})
}

type raw struct {
	Base64 string `json:"base64"`
}

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return json.Unmarshal(b, (*string)(t))
	}
	var r raw
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(r.Base64)
	*t = text(data)
	return err
}

// number is a float that may be infinite or not a number, which are written
// as strings.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return strconv.AppendQuote(nil, strconv.FormatFloat(f, 'g', -1, 64)), nil
	}
	return json.Marshal(f)
}

func (n *number) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, (*float64)(n))
	}
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(s, 64)
	*n = number(f)
	return err
}

// uid is a conn's name as it is shown.
type uid testudo.UID

func (u uid) MarshalJSON() ([]byte, error) { return json.Marshal(testudo.UID(u).String()) }

func (u *uid) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if len(s) != 12 || s[0] != 'C' {
		return fmt.Errorf("uid %q: want a C and 11 letters or digits", s)
	}
	var n uint64
	for _, c := range []byte(s[1:]) {
		d, err := digit(c)
		if err != nil || n > (math.MaxUint64-d)/62 {
			return fmt.Errorf("uid %q: not one of ours", s)
		}
		n = n*62 + d
	}
	*u = uid(n)
	return nil
}

func digit(c byte) (uint64, error) {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0'), nil
	case c >= 'A' && c <= 'Z':
		return uint64(c-'A') + 10, nil
	case c >= 'a' && c <= 'z':
		return uint64(c-'a') + 36, nil
	}
	return 0, fmt.Errorf("%q is no digit", c)
}

// texts and plain turn lists over; nil stays nil and empty stays empty.
func texts(list []string) []text {
	return each(list, func(s string) text { return text(s) })
}

func plain(list []text) []string {
	return each(list, func(t text) string { return string(t) })
}

func each[A, B any](list []A, f func(A) B) []B {
	if list == nil {
		return nil
	}
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// Strings writes a list of strings that may hold any bytes.
func Strings(list []string) ([]byte, error) { return json.Marshal(texts(list)) }

// ReadStrings reads what Strings wrote.
func ReadStrings(data []byte) ([]string, error) {
	var list []text
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return plain(list), nil
}
