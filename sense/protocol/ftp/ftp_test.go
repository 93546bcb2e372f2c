package ftp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/protocoltest"
)

// talk makes steps of lines that begin with "C: " or "S: ".
func talk(script string) (steps []protocoltest.Step) {
	for l := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		d := protocol.Orig
		if strings.HasPrefix(l, "S:") {
			d = protocol.Resp
		}
		steps = append(steps, protocoltest.Step{Dir: d, Data: []byte(strings.TrimPrefix(l[2:], " ") + "\r\n")})
	}
	return steps
}

func show(r testudo.Record) string {
	f := r.(*testudo.FTP)
	s := fmt.Sprintf("%s/%s %s %q %d %q", f.User, f.Password, f.Command, f.Arg, f.ReplyCode, f.ReplyMsg)
	if f.FileSize > 0 {
		s += fmt.Sprintf(" size=%d", f.FileSize)
	}
	if f.DataPort > 0 {
		s += fmt.Sprintf(" passive=%t %s>%s:%d", f.Passive, f.DataOrig, f.DataResp, f.DataPort)
	}
	return s
}

func TestSessions(t *testing.T) {
	for _, c := range []struct {
		name, script   string
		want, expected []string
		handed         string
	}{
		{
			"passive upload", "S: 220-hello\nS: 220-USER first\nS: 220 FTP ready\nC: USER anna\nS: 331 pass\nC: PASS secret\nS: 230 in\nC: TYPE I\nS: 200 ok\nC: PASV\nS: 227 Entering (10,0,0,9,195,80).\n" +
				"C: STOR a b.txt\nS: 150 go\nS: 226 got 123 bytes\nC: QUIT\nS: 221 bye",
			[]string{`anna/<hidden> PASS "" 230 "in"`, `anna/<hidden> PASV "" 227 "Entering (10,0,0,9,195,80)." passive=true 192.0.2.10>10.0.0.9:50000`, `anna/<hidden> STOR "a b.txt" 226 "got 123 bytes" size=123`},
			[]string{"192.0.2.10:0>198.51.100.20:50000"},
			"",
		},
		{
			"refused", "S: 220 FTP\nC: USER root\nS: 331 pass\nC: PASS secret\nS: 530 no\nC: USER x\nS: 530 never",
			[]string{`root/<hidden> PASS "" 530 "no"`, `x/ USER "x" 530 "never"`},
			nil, "",
		},
		{
			"anonymous and extended", "S: 220 FTP\nC: USER anonymous\nS: 331 pass\nC: PASS me@x\nS: 230 in\nC: EPSV\nS: 229 Extended (|||50001|)\nC: RETR /f\nS: 150 Opening data connection (77 bytes)\nS: 226 done",
			[]string{`anonymous/me@x PASS "" 230 "in"`, `anonymous/me@x EPSV "" 229 "Extended (|||50001|)" passive=true 192.0.2.10>198.51.100.20:50001`, `anonymous/me@x RETR "/f" 226 "done" size=77`},
			[]string{"192.0.2.10:0>198.51.100.20:50001"},
			"",
		},
		{
			"active", "S: 220 FTP\nC: PORT 192,0,2,10,4,1\nS: 200 ok\nC: EPRT |1|192.0.2.10|1026|\nS: 200 ok\nC: LIST\nS: 425 no",
			[]string{`/ PORT "192,0,2,10,4,1" 200 "ok" passive=false 198.51.100.20>192.0.2.10:1025`, `/ EPRT "|1|192.0.2.10|1026|" 200 "ok" passive=false 198.51.100.20>192.0.2.10:1026`, `/ LIST "" 425 "no"`},
			[]string{"198.51.100.20:0>192.0.2.10:1025", "198.51.100.20:0>192.0.2.10:1026"},
			"",
		},
		{"no reply", "S: 220 FTP\nC: USER a\nS: 331 pass\nC: PASS secret", []string{`a/<hidden> PASS "" 0 ""`}, nil, ""},
		{"tls", "S: 220 FTP\nC: AUTH TLS\nS: 234 go\nC: \x16\x03", nil, nil, "ssl"},
		{"reply of several lines", "S: 220 FTP\nC: FEAT\nS: 211-Features\nS: 226 EPRT\nS:  EPSV\nS: 211 End\nC: DELE x\nS: 250 gone", []string{`/ DELE "x" 250 "gone"`}, nil, ""},
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, talk(c.script)...)
		var got, expected []string
		for _, r := range h.Records {
			got = append(got, show(r))
		}
		for _, id := range h.Expected {
			expected = append(expected, id.Orig.String()+">"+id.Resp.String())
		}
		if !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(expected, c.expected) || h.Handed != c.handed {
			t.Errorf("%s: handed %q, expected %q, got\n%s\nwant\n%s", c.name, h.Handed, expected, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if strings.Contains(strings.Join(got, ""), "secret") {
			t.Errorf("%s: a password is in a record", c.name)
		}
	}
}

func TestGapAndLongLine(t *testing.T) {
	steps := append(talk("S: 220 FTP\nC: RETR a"), protocoltest.Step{Dir: protocol.Resp, Gap: 40})
	steps = append(steps, talk("S: st of line\nC: "+strings.Repeat("x", maxLine+10)+"\nC: DELE b\nS: 250 ok")...)
	h := protocoltest.Run(Protocol(), protocoltest.ID, steps...)
	if len(h.Records) != 2 || show(h.Records[0]) != `/ RETR "a" 0 ""` || show(h.Records[1]) != `/ DELE "b" 250 "ok"` {
		for _, r := range h.Records {
			t.Log(show(r))
		}
		t.Error("want the RETR given up and the DELE done")
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"1,2,3,4,1,0":            "1.2.3.4:256",
		"1, 2, 3, 4, 1, 0":       "1.2.3.4:256",
		"256,2,3,4,1,0":          "",
		"1,2,3,4,1":              "",
		"":                       "",
		"1,,2,3,4,5":             "",
		"ok 227 (9,8,7,6,0,21)":  "9.8.7.6:21",
		"at port 9,8,7,6,0,21.!": "9.8.7.6:21",
	} {
		got := ""
		if ap, ok := passive([]byte(in)); ok {
			got = ap.String()
		}
		if got != want {
			t.Errorf("passive(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		orig, resp string
		want       protocol.Verdict
	}{
		{"", "220 (vsFTPd)\r\n", protocol.Yes},
		{"", "220 ready\r\n", protocol.Maybe},
		{"USER a\r\n", "220 ready\r\n", protocol.Yes},
		{"USER a\r\n", "", protocol.Maybe},
		{"USER a\r\n", "+OK\r\n", protocol.No},
		{"EHLO a\r\n", "220 ready\r\n", protocol.No},
		{"", "220 mx SMTP and FTP\r\n", protocol.Maybe},
		{"GET /", "", protocol.No},
		{"PASV\r\n", "", protocol.Maybe},
		{"PASV\r\n", "227 Entering (1,2,3,4,5,6)\r\n", protocol.Yes},
		{"PASV\r\n", "200 no\r\n", protocol.No},
		{"", "", protocol.No},
	} {
		if got := probe(protocoltest.ID, []byte(c.orig), []byte(c.resp)); got != c.want {
			t.Errorf("probe(%q, %q) = %d, want %d", c.orig, c.resp, got, c.want)
		}
	}
}

func TestData(t *testing.T) {
	h := protocoltest.Run(DataProtocol(), protocoltest.ID, protocoltest.Step{Data: []byte("file")})
	if len(h.Records) != 0 || len(h.Rest[0]) != 0 {
		t.Error("a data channel is consumed without a record")
	}
}

func FuzzFTP(f *testing.F) {
	f.Add([]byte("USER a\r\nPASS b\r\nPASV\r\nEPRT |2|::1|9|\r\nRETR x\r\n"), []byte("220 FTP\r\n331 a\r\n230 a\r\n227 (1,2,3,4,5,6)\r\n200 a\r\n150 (9 bytes)\r\n226 a\r\n"), uint8(9), uint8(0))
	f.Add([]byte("EPSV\r\nAUTH TLS\r\n\x16"), []byte("229 (|||9|)\r\n234 a\r\n\x16"), uint8(1), uint8(7))
	f.Add([]byte("\xff\xf4ABOR\r\nPORT 1,2,3,4,5\r\n"), []byte("220-a\r\n220 a\r\n226 a\r\n"), uint8(90), uint8(2))
	f.Fuzz(func(t *testing.T, orig, resp []byte, step, hole uint8) {
		probe(protocoltest.ID, orig, resp)
		var steps []protocoltest.Step
		size := int(step) + 1
		for i := 0; len(orig) > 0 || len(resp) > 0; i++ {
			n, m := min(size, len(orig)), min(size, len(resp))
			steps = append(steps, protocoltest.Step{Dir: protocol.Orig, Data: orig[:n]}, protocoltest.Step{Dir: protocol.Resp, Data: resp[:m]})
			if i == int(hole>>1) {
				steps = append(steps, protocoltest.Step{Dir: protocol.Dir(hole & 1), Gap: int(hole) + 1})
			}
			orig, resp = orig[n:], resp[m:]
		}
		for _, rec := range protocoltest.Run(Protocol(), protocoltest.ID, steps...).Records {
			if r := rec.(*testudo.FTP); len(r.Arg) > maxString || len(r.ReplyMsg) > maxString || r.FileSize < 0 {
				t.Error("a limit was passed")
			}
		}
	})
}
