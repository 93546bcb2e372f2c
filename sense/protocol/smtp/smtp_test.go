package smtp

import (
	"encoding/base64"
	"fmt"
	"os"
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

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// show writes the fields of a record that are set.
func show(r testudo.Record) string {
	var out []string
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Meta" && !v.Field(i).IsZero() {
			out = append(out, fmt.Sprintf("%s=%#v", name, v.Field(i)))
		}
	}
	return strings.Join(out, " ")
}

const greet = "S: 220 mx.example ESMTP\nC: EHLO pc\nS: 250-mx\nS: 250 PIPELINING\n"

func TestSessions(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string
		handed       string
	}{
		{"no message", greet + "C: QUIT\nS: 221 bye", []string{`Depth=1 Helo="pc" LastReply="221 bye"`}, ""},
		{
			"two messages", greet + "C: MAIL FROM:<a@x> SIZE=3\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: s\nC:\nC: ..hi\nC: .\nS: 250 queued\n" +
				"C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<c@z>\nS: 550 no such user\nC: RSET\nS: 250 ok",
			[]string{
				`Depth=1 Helo="pc" MailFrom="a@x" RcptTo=[]string{"b@y"} Subject="s" LastReply="250 queued" BodyLen=5 BodyHead=".hi"`,
				`Depth=2 Helo="pc" RcptTo=[]string{"c@z"} LastReply="550 no such user"`,
			},
			"",
		},
		{
			"login refused, then taken", greet + "C: AUTH LOGIN\nS: 334 VXNlcg==\nC: " + b64("anna@x") + "\nS: 334 UGFzcw==\nC: " + b64("secret") + "\nS: 535 no\n" +
				"C: AUTH PLAIN " + b64("\x00bert\x00secret") + "\nS: 235 welcome\nC: QUIT\nS: 221 bye",
			[]string{`Depth=1 Helo="pc" LastReply="221 bye" Auth="PLAIN" User="bert" AuthFailed=1 AuthOK=true`},
			"",
		},
		{
			"login with account at once", greet + "C: AUTH LOGIN " + b64("anna") + "\nS: 334 UGFzcw==\nC: " + b64("secret") + "\nS: 235 yes\n",
			[]string{`Depth=1 Helo="pc" LastReply="235 yes" Auth="LOGIN" User="anna" AuthOK=true`},
			"",
		},
		{"starttls", greet + "C: STARTTLS\nS: 220 go\nC: \x16\x03\x01", []string{`Depth=1 Helo="pc" LastReply="220 go" TLS=true`}, "ssl"},
		{
			"data refused", greet + "C: MAIL FROM:<a@x>\nS: 250 ok\nC: DATA\nS: 503 no recipients\nC: QUIT\nS: 221 bye",
			[]string{`Depth=1 Helo="pc" MailFrom="a@x" LastReply="221 bye"`},
			"",
		},
		{
			"chunks", greet + "C: MAIL FROM:<a@x>\nS: 250 ok\nC: BDAT 14\nC: Subject: s\nC:\nS: 250 ok\nC: BDAT 7 LAST\nC: hello\nS: 250 done\nC: NOOP",
			[]string{`Depth=1 Helo="pc" MailFrom="a@x" Subject="s" LastReply="250 done" BodyLen=7 BodyHead="hello"`},
			"",
		},
		{
			"early reply to a chunk", greet + "C: MAIL FROM:<a@x>\nS: 250 ok\nC: BDAT 70 LAST\nS: 250 done\nS: 250 more\nC: hello",
			[]string{`Depth=1 Helo="pc" MailFrom="a@x" LastReply="250 more"`},
			"",
		},
		{
			"cut short", greet + "C: MAIL FROM:<a@x>\nS: 250 ok\nC: DATA\nS: 354 go\nC: From: x\nC:\nC: text",
			[]string{`Depth=1 Helo="pc" MailFrom="a@x" From="x" LastReply="354 go" BodyLen=6 BodyHead="text"`},
			"",
		},
	} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, talk(c.script)...)
		if c.name == "chunks" { // a chunk that ends within a line
			h = protocoltest.Run(Protocol(), protocoltest.ID, append(talk(greet+"C: MAIL FROM:<a@x>\nS: 250 ok"), protocoltest.Step{Data: []byte("BDAT 12\r\nSubject: s\r\nBDAT 9 LAST\r\n\r\nhello\r\n")}, protocoltest.Step{Dir: protocol.Resp, Data: []byte("250 ok\r\n250 done\r\n")})...)
		}
		var got []string
		for _, r := range h.Records {
			got = append(got, show(r))
		}
		if !reflect.DeepEqual(got, c.want) || h.Handed != c.handed {
			t.Errorf("%s: handed %q, got\n%s\nwant\n%s", c.name, h.Handed, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		for _, r := range h.Records {
			if strings.Contains(show(r), "secret") {
				t.Errorf("%s: a password is in the record", c.name)
			}
		}
	}
}

// TestGolden holds a message of many parts to testdata, whole and bytewise.
func TestGolden(t *testing.T) {
	script := greet + "C: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\n" +
		"C: Date: Tue, 14 Nov 2023 22:13:20 +0000\nC: From: Anna <a@x>\nC: To: \"B, ert\" <b@y>,\nC:  c@z\nC: Reply-To: r@x\nC: Message-ID: <1@x>\nC: Subject: the\nC:  report\n" +
		"C: X-Mailer: unit\nC: X-Originating-IP: [192.0.2.1]\nC: MIME-Version: 1.0\nC: Content-Type: multipart/mixed; boundary=\"out\"\nC:\nC: preamble\n" +
		"C: --out\nC: Content-Type: multipart/alternative;\nC:  boundary=in\nC:\nC: --in\nC: Content-Type: text/plain; charset=utf-8\nC: Content-Transfer-Encoding: quoted-printable\nC:\nC: caf=C3=A9 and =\nC: more\nC: .. dot\n" +
		"C: --in\nC: Content-Type: text/html\nC:\nC: <p>hi</p>\nC: --in--\n" +
		"C: --out\nC: Content-Type: application/octet-stream; name=\"=?utf-8?B?" + b64("résumé.exe") + "?=\"\nC: Content-Transfer-Encoding: base64\nC: Content-Disposition: attachment\nC:\nC: " + b64("\x7fELF\x02\x01\x01\x00\x00") + "\n" +
		"C: --out\nC: Content-Disposition: attachment; filename=broken name.zip; x\nC: Content-Transfer-Encoding: base64\nC:\nC: " + b64("PK\x03\x04\x14\x00") + "\nC: --out--\nC: .\nS: 250 queued\nC: QUIT"
	var all []protocoltest.Step
	for _, s := range talk(script) {
		for i := range s.Data {
			all = append(all, protocoltest.Step{Dir: s.Dir, Data: s.Data[i : i+1]})
		}
	}
	for name, steps := range map[string][]protocoltest.Step{"lines": talk(script), "bytes": all} {
		h := protocoltest.Run(Protocol(), protocoltest.ID, steps...)
		got := strings.ReplaceAll(show(h.Records[0]), "\" ", "\"\n") + "\n"
		if os.Getenv("GOLDEN") != "" {
			if err := os.WriteFile("testdata/parts.golden", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/parts.golden")
		if err != nil || got != string(want) || len(h.Records) != 1 {
			t.Errorf("%s: testdata/parts.golden: %v, %d records, got\n%s", name, err, len(h.Records), got)
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		orig, resp string
		want       protocol.Verdict
	}{
		{"EHLO x\r\n", "", protocol.Yes},
		{"helo x\r\n", "220 hi\r\n", protocol.Yes},
		{"EH", "", protocol.Maybe},
		{"", "220 mx ESMTP Postfix\r\n", protocol.Yes},
		{"", "220 ready\r\n", protocol.Maybe},
		{"", "220", protocol.Maybe},
		{"USER a\r\n", "220 ready\r\n", protocol.No},
		{"", "200 news\r\n", protocol.No},
		{"HELOISE", "", protocol.No},
		{"", "", protocol.No},
	} {
		if got := probe(protocoltest.ID, []byte(c.orig), []byte(c.resp)); got != c.want {
			t.Errorf("probe(%q, %q) = %d, want %d", c.orig, c.resp, got, c.want)
		}
	}
}

func FuzzSMTP(f *testing.F) {
	f.Add([]byte("EHLO a\r\nAUTH LOGIN\r\nYQ==\r\nYQ==\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--x--\r\n.\r\n"),
		[]byte("220 a\r\n250 a\r\n334 a\r\n334 a\r\n235 a\r\n250 a\r\n250 a\r\n354 a\r\n250 a\r\n"), uint16(5), uint16(0))
	f.Add([]byte("BDAT 5\r\nabcdeBDAT 0 LAST\r\nBDAT 9 LAST\r\nab"), []byte("250 a\r\n250 a\r\n"), uint16(1), uint16(3))
	f.Add([]byte("MAIL FROM:a b\r\nDATA\r\nContent-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41=\r\n.\r\nRSET\r\n"), []byte("354\r\n"), uint16(60), uint16(8))
	f.Fuzz(func(t *testing.T, orig, resp []byte, step, hole uint16) {
		probe(protocoltest.ID, orig, resp)
		var steps []protocoltest.Step
		size := int(step%512) + 1
		for i := 0; len(orig) > 0 || len(resp) > 0; i++ {
			n, m := min(size, len(orig)), min(size, len(resp))
			steps = append(steps, protocoltest.Step{Dir: protocol.Orig, Data: orig[:n]}, protocoltest.Step{Dir: protocol.Resp, Data: resp[:m]})
			if i == int(hole>>1) {
				steps = append(steps, protocoltest.Step{Dir: protocol.Dir(hole & 1), Gap: int(hole) + 1})
			}
			orig, resp = orig[n:], resp[m:]
		}
		for _, rec := range protocoltest.Run(Protocol(), protocoltest.ID, steps...).Records {
			if m := rec.(*testudo.SMTP); len(m.BodyHead) > maxBody || len(m.Subject) > maxString || len(m.RcptTo) > maxList || len(m.Attachments) != len(m.AttachmentTypes) {
				t.Error("a limit was passed")
			}
		}
	})
}
