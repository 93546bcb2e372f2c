package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

func wish(name string) afpacket.Spec {
	return afpacket.Spec{
		Interface: name, Link: 1, Program: []bpf.RawInstruction{{Op: 6, K: 65535}},
		BlockBytes: 64 << 10, Blocks: 4, TimeoutMS: 5, Rings: 1, Promiscuous: true,
	}
}

func TestRequest(t *testing.T) {
	good, _ := json.Marshal(wish("eth1"))
	spec, err := parseRequest(good, []string{"eth0", "eth1"})
	if err != nil || spec.Interface != "eth1" || !spec.Locked || len(spec.Program) != 1 {
		t.Errorf("%+v, %v", spec, err)
	}
	long := wish("eth1")
	long.Program = make([]bpf.RawInstruction, 4096)
	for i := range long.Program {
		long.Program[i] = bpf.RawInstruction{Op: 65535, Jt: 255, Jf: 255, K: 1<<32 - 1}
	}
	if b, _ := json.Marshal(long); len(b) > maxMessage {
		t.Errorf("the longest filter takes %d bytes", len(b))
	}
	for _, c := range []struct{ message, reason string }{
		{"", "malformed"},
		{"x", "malformed"},
		{"{}", "0 rings"},
		{`{"rings":65}`, "65 rings"},
		{`{"rings":-1}`, "rings"},
		{`{"rings":1,"locked":false}`, "unknown field"},
		{`{"rings":1,"Locked":false}`, "unknown field"},
		{string(good) + "{}", "something follows"},
		{string(good) + "x", "something follows"},
		{`{"rings":1,"interface":"eth2"}`, "not among"},
		{strings.Repeat(" ", maxMessage+1), "more than"},
	} {
		if _, err := parseRequest([]byte(c.message), []string{"eth1"}); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%.60q: %v, want %s", c.message, err, c.reason)
		}
	}
}

// TestRefusal holds that an error keeps its meaning on the way.
func TestRefusal(t *testing.T) {
	for _, want := range kinds() {
		b, _ := json.Marshal(refusal(fmt.Errorf("afpacket eth1: %w", want)))
		var a answer
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatal(err)
		}
		if got := a.err(); !errors.Is(got, want) || !strings.HasPrefix(got.Error(), "afpacket eth1") {
			t.Errorf("%v became %v", want, got)
		}
	}
	if err := refusal(errors.New("other")).err(); err == nil || err.Error() != "other" {
		t.Error(err)
	}
}

// FuzzRequest holds that no message passes that is not locked and bounded.
func FuzzRequest(f *testing.F) {
	good, _ := json.Marshal(wish("eth1"))
	for _, s := range []string{string(good), "{}", "[]", `{"rings":1e9}`, `{"program":[{"Op":-1}]}`, "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		spec, err := parseRequest(message, []string{"eth1"})
		if err == nil && (!spec.Locked || spec.Rings < 1 || spec.Rings > maxSockets || spec.Interface != "eth1") {
			t.Errorf("%q gives %+v", message, spec)
		}
	})
}
