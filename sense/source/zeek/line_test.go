package zeek

import (
	"bytes"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// read parses every line of text, of a file of that name, and checks what
// holds of any input.
func read(t *testing.T, text []byte, name string) {
	f, w, known := Format().File(name), &logs.Words{}, &certs{}
	p := f.Parser()
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			f.Header(line)
			p = f.Parser()
			continue
		}
		e, err := p.Parse(line, w)
		if err != nil || e.Record == nil {
			continue
		}
		if c, ok := e.Record.(*testudo.Conn); ok && (c.OrigBytes < 0 || c.Delta.OrigBytes != c.OrigBytes || e.Written < c.Time) {
			t.Fatalf("a conn is broken: %+v", c)
		}
		known.Ahead(&e)
		known.Take(e, nil)
	}
}

func FuzzTSV(f *testing.F) {
	f.Add([]byte("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\thistory\n1.5\tCa\t10.0.0.5\t1\t192.0.2.1\t2\ttcp\t0.5\t7\tShADa\n#close\n"))
	f.Add([]byte("#separator \\x7c\n#path|dns\n#fields|ts|id.orig_h|id.resp_h|query|answers|TTLs|AA\n1|::1|::2|\\x00\\\\|a\\x2c,TXT 9 b,(empty),-|1.0,2e3|T\n"))
	f.Add([]byte("#fields\tts\tname\n1\t-\n\n#path\tx509\n#fields\tts\tcertificate.not_valid_after\tsan.dns\n1\t1e30\t(empty)\n"))
	f.Fuzz(func(t *testing.T, text []byte) { read(t, text, "weird.log") })
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"ts":1.5,"uid":"Ca","id.orig_h":"10.0.0.5","id.orig_p":1,"id.resp_h":"192.0.2.1","id.resp_p":2,"proto":"icmp","conn_state":"SF","duration":1e-3}`))
	f.Add([]byte(`{"_path":"dns","ts":"2024-01-02T03:04:05.1Z","id":{"orig_h":"::1","resp_h":"::2"},"answers":["a","\u00e9\ud83d\ude00",null,1,{"x":[]}],"TTLs":[1,2.5]}`))
	f.Add([]byte(`{"_path":"x509","ts":1,"id":"F1","san.dns":[],"basic_constraints.ca":true,"certificate.version":3.0} `))
	f.Add([]byte("{\"ts\":1,\"name\":\"a\\\\xff\",\"peer\":\"\"}\n{\"\":[[[[[[[[[]]]]]]]]]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read(t, text, "")
		Sniff(text)
	})
}
