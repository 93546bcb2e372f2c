package opaque

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

func o(s string) protocoltest.Step { return protocoltest.Step{Dir: protocol.Orig, Data: []byte(s)} }
func r(s string) protocoltest.Step { return protocoltest.Step{Dir: protocol.Resp, Data: []byte(s)} }

// le4 and be2 frame s by its length, tot4 by the whole with a magic before.
func le4(s string) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s }
func be2(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
func tot4(s string) string {
	return "Zq" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)+6))) + s
}

func pe() string {
	b := make([]byte, 0x100)
	copy(b, "MZ\x90\x00")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00")
	return string(b)
}

func TestShapes(t *testing.T) {
	noise := "\x81\xfe\x07\x99\xa0\xc3\x00\x12"
	for _, c := range []struct {
		name  string
		steps []protocoltest.Step
		want  string
	}{
		{"noise", []protocoltest.Step{o(noise), r(noise)}, "8/8 first=1"},
		{"windows banner", []protocoltest.Step{o("Microsoft Windows [Version 10.0]\r\n(c)\r\n\r\nC:\\Users\\anna>")}, "55/0 first=1 windows shell by 1"},
		{"windows prompt later", []protocoltest.Step{r("dir\n"), o("dir\r\n x\r\n\r\nD:\\work>")}, "19/4 first=-1 windows shell by 1"},
		{"powershell", []protocoltest.Step{o("PS C:\\Windows\\system32> ")}, "24/0 first=1 windows shell by 1"},
		{"unix prompts", []protocoltest.Step{r("\x1b]0;anna@pc: ~\x07\x1b[01;32manna@pc\x1b[00m:\x1b[01;34m~\x1b[00m$ ")}, "0/52 first=-1 unix shell by -1"},
		{"versioned shell", []protocoltest.Step{o("sh-5.1# ")}, "8/0 first=1 unix shell by 1"},
		{"bracketed", []protocoltest.Step{o("Last login\n[root@web-1 ~]# ")}, "27/0 first=1 unix shell by 1"},
		{"bare", []protocoltest.Step{o("$ ")}, "2/0 first=1 unix shell by 1"},
		{"identity", []protocoltest.Step{r("id\n"), o("uid=33(www) gid=33(www) groups=33(www)\n")}, "39/3 first=-1 unix shell by 1"},
		{"orders without a prompt", []protocoltest.Step{
			r("uname -a\n"), o("Linux\n"), r("ls -l /\n"), o("total 8\ndrwx bin\ndrwx etc\n"), r("cat /etc/hosts\n"), o("a\nb\n and then more to read here\n"),
		}, "64/32 first=-1 unix shell by 1"},
		{"chat", []protocoltest.Step{r("hello\n"), o("hi\n"), r("how are you\n"), o("well\n"), r("good\n"), o("yes\n")}, "12/23 first=-1"},
		{"mail talks first", []protocoltest.Step{r("220 mx\r\n"), o("ls\nls\nls\n$ ")}, "11/8 first=-1"},
		{"telnet", []protocoltest.Step{r("\xff\xfd\x18"), r("anna@pc:~$ ")}, "0/14 first=-1"},
		{"bulk string of redis", []protocoltest.Step{r("$5\r\nhello\r\n# ")}, "0/13 first=-1"},
		{"program", []protocoltest.Step{r(pe())}, "0/256 first=-1 pe by -1"},
		{"program behind its length", []protocoltest.Step{r("\x00\x01\x00\x00" + pe())}, "0/260 first=-1 pe by -1"},
		{"program after a greeting", []protocoltest.Step{o("hello"), r("\x7fELF\x02\x01\x01\x00\x00")}, "5/9 first=1 elf by -1"},
		{"script", []protocoltest.Step{r("#!/bin/sh\nexit\n")}, "0/15 first=-1 script by -1"},
		{"little endian frames", []protocoltest.Step{o(le4(noise)), r(le4("ab")), o(le4("xyz")), r(le4("q"))}, "19/11 first=1 framed"},
		{"frames over segments", []protocoltest.Step{o(le4(noise)[:5]), o(le4(noise)[5:]), o(le4("xyz") + le4("x")), o(le4("\x01"))}, "29/0 first=1 framed"},
		{"big endian frames", []protocoltest.Step{o(be2(noise)), o(be2("xy")), o(be2("z"))}, "17/0 first=1 framed"},
		{"magic and total", []protocoltest.Step{o(tot4(noise)), r(tot4("xy")), o(tot4("z")), r(tot4("a"))}, "21/15 first=1 framed"},
		{"decimal frames", []protocoltest.Step{o("8\x00" + noise), o("12|" + noise + "abcd"), o("1\x00x")}, "28/0 first=1 framed"},
		{"one frame is chance", []protocoltest.Step{o(le4(noise)), r(le4("ab"))}, "12/6 first=1"},
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, c.steps...)
		if len(h.Records) != 1 {
			t.Errorf("%s: %d records", c.name, len(h.Records))
			continue
		}
		if got := show(h.Records[0].(*testudo.Opaque)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func show(r *testudo.Opaque) string {
	s := fmt.Sprintf("%d/%d first=%d", r.OrigLen, r.RespLen, r.First)
	if r.Prompt != "" {
		s += fmt.Sprintf(" %s by %d", r.Prompt, r.PromptBy)
	}
	if r.Program != "" {
		s += fmt.Sprintf(" %s by %d", r.Program, r.ProgramBy)
	}
	if r.LengthPrefix {
		s += " framed"
	}
	return s
}

func TestLimits(t *testing.T) {
	big := strings.Repeat("\x90", most+100)
	for name, c := range map[string]struct {
		steps []protocoltest.Step
		want  string
	}{
		"nothing":      {nil, ""},
		"both full":    {[]protocoltest.Step{o(big), r(big)}, "4096/4096 first=1"},
		"behind holes": {[]protocoltest.Step{o("ab"), {Dir: protocol.Orig, Gap: 9}, o("cd")}, "2/0 first=1"},
		"patience":     {[]protocoltest.Step{o("ab"), {Dir: protocol.Resp, At: 1_700_000_090_000_000_000, Data: []byte("c")}, o("never read")}, "2/1 first=1"},
	} {
		got := ""
		for _, r := range protocoltest.Run(Protocol(), protocoltest.ID, c.steps...).Records {
			got += show(r.(*testudo.Opaque))
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	many := make([]protocoltest.Step, maxMessage+5)
	for i := range many {
		many[i] = o("\x01\x02")
	}
	if h := protocoltest.Run(Protocol(), protocoltest.ID, many...); len(h.Records) != 1 || show(h.Records[0].(*testudo.Opaque)) != "60/0 first=1" {
		t.Error("one record after the last message that counts")
	}
}

// TestBudget opens more conversations than a shard has buffers for.
func TestBudget(t *testing.T) {
	open := Protocol().Open(new(protocol.Records))
	var f protocol.Flow
	h := &protocoltest.Host{}
	f.Bind(h)
	var all []protocol.Analyzer
	for range maxLent + 1 {
		a := open()
		a.Data(&f, protocol.Orig, make([]byte, 2*least))
		all = append(all, a)
	}
	for _, a := range all {
		a.End(&f)
		a.Reset()
	}
	if first, last := h.Records[0].(*testudo.Opaque), h.Records[maxLent].(*testudo.Opaque); first.OrigLen != 2*least || last.OrigLen != least {
		t.Errorf("looked at %d and %d bytes", first.OrigLen, last.OrigLen)
	}
	if s := all[0].(*analyzer).shared; s.lent != 0 || len(s.free) != maxLent {
		t.Errorf("%d lent, %d free at the end", s.lent, len(s.free))
	}
}

func FuzzOpaque(f *testing.F) {
	f.Add([]byte(le4("abc")+le4("d")), []byte("C:\\>"), uint8(3))
	f.Add([]byte("uid=0(root) gid="), []byte("\x1b[0m$ "), uint8(90))
	f.Add([]byte(pe()), []byte("12|x"), uint8(200))
	f.Add([]byte("a\nb\nc\n"), []byte("ls -l\n"), uint8(5))
	f.Fuzz(func(t *testing.T, orig, resp []byte, step uint8) {
		var steps []protocoltest.Step
		size := int(step) + 1
		for len(orig) > 0 || len(resp) > 0 {
			n, m := min(size, len(orig)), min(size, len(resp))
			steps = append(steps, protocoltest.Step{Dir: protocol.Resp, Data: resp[:m]}, protocoltest.Step{Dir: protocol.Orig, Data: orig[:n]})
			orig, resp = orig[n:], resp[m:]
		}
		if h := protocoltest.Run(Protocol(), protocoltest.ID, steps...); len(h.Records) > 1 || len(steps) > 0 && len(h.Records) == 0 {
			t.Errorf("%d records", len(h.Records))
		}
	})
}

func BenchmarkConversation(b *testing.B) {
	a := Protocol().Open(new(protocol.Records))()
	var f protocol.Flow
	f.Bind(&protocoltest.Host{})
	segment := make([]byte, 1460)
	for i := range segment {
		segment[i] = byte(i * 7)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.Data(&f, protocol.Orig, segment)
		a.Data(&f, protocol.Resp, segment)
		a.Reset()
	}
}
