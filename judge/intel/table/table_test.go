package table

import (
	"strings"
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const sha1 = "00112233445566778899aabbccddeeff00112233"

const md5 = "00112233445566778899aabbccddeeff"

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a value with its type": {
			"\uFEFFvalue,type,notes\r\nspy.example,hostname,\"gate, of \"\"X\"\"\"\r\n\"" + md5 + "," + sha1 + "\",file,sample\r\nboss@spy.example,emailsender,\r\nevil.exe,filename,\r\nword,sha256,\r\n,hostname,\r\n203.0.113.7:443,url,C2\r\n", `
domain spy.example (gate, of "X")
hash 00112233445566778899aabbccddeeff (sample)
hash 00112233445566778899aabbccddeeff00112233 (sample)
email boss@spy.example
5: the type filename, which is not looked up
6: not what its column says: no address, name, URL, email address or hash
7: a row without a value
address 203.0.113.7 (C2)
`,
		},
		"a header in a comment": {
			"# list of the day\n#\n# ja3_md5,Firstseen,Lastseen,Listingreason\n" + md5 + ",2017-07-14 18:08:15,2019-07-27 20:42:54,Heron\n", `
ja3 00112233445566778899aabbccddeeff first 2017-07-14T18:08:15 last 2019-07-27T20:42:54 (Heron)
`,
		},
		"certificates": {
			"# SSL Certificate list\n# Listingdate,SHA1,Listingreason\n2024-01-02 03:04:05," + sha1 + ",Heron C&C\n", `
certificate 00112233445566778899aabbccddeeff00112233 first 2024-01-02T03:04:05 (Heron C&C)
`,
		},
		"columns of types, a URL before its host": {
			"url;host;ip;md5;malware;confidence;tlp;port;valid_until\nhxxp://spy.example/x;spy.example;203.0.113.7;" + md5 + ";Heron|Finch;high;TLP:AMBER;80;2025-01-01\n;bad.example;203.0.113.8;-;;0.4;;;\n", `
url spy.example/x tlp:amber 85% expires 2025-01-01T00:00:00 ["Heron" "Finch"] (port 80)
hash 00112233445566778899aabbccddeeff tlp:amber 85% expires 2025-01-01T00:00:00 ["Heron" "Finch"] (port 80)
domain bad.example 40%
address 203.0.113.8 40%
`,
		},
		"prose in the column of values": {
			"#ip,ioc\n203.0.113.7,Possible Heron C2 IP\n", `
address 203.0.113.7 (Possible Heron C2 IP)
`,
		},
		"tabs": {"campaign\ttype\tvalue\n2020\tdomain\tspy.example\n", `
domain spy.example ["2020"]
`},
		"two types in one": {"uuid,type,value,to_ids\n1,domain|ip,spy.example|203.0.113.7,1\n2,ip-dst|port,203.0.113.8|443,1\n3,filename|md5,a.exe|" + md5 + ",1\n4,domain,shy.example,0\n", `
domain spy.example
address 203.0.113.7
address 203.0.113.8
4: the type filename, which is not looked up
hash 00112233445566778899aabbccddeeff
5: not meant for detection by its source (to_ids is off)
`},
		"no header": {"\"Copyright\nof all\",\n" + md5 + ",\"AcmeMail\"\nspy.example,hostname,gate\n", `
1: control characters or broken UTF-8
hash 00112233445566778899aabbccddeeff (AcmeMail)
domain spy.example (hostname; gate)
`},
		"a quote that is never closed": {"ip,notes\n203.0.113.7,\"open\n203.0.113.8,x\n203.0.113.9,y\n", `
2: a row whose quote is not closed
address 203.0.113.8 (x)
address 203.0.113.9 (y)
`},
	} {
		t.Run(name, func(t *testing.T) { golden(t, c.text, c.want) })
	}
}

// golden keeps the tabs of text.
func golden(t *testing.T, text, want string) {
	t.Helper()
	if got := formattest.Read(t, Format, text); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("read as\n%swant%s", got, want)
	}
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format,
		[]string{"value,type\n", "# ip;date\n203.0.113.7;2024-01-01\n", "203.0.113.7,\"a\"\n203.0.113.8,\"b\"\n", "203.0.113.7,ipaddress,a\n203.0.113.8,ipaddress,b\n"},
		[]string{"", "spy.example\n", "name,description\nx,y\n", "# domain, see the notes\nspy.example\n", "{\"ip\":1,\n\"url\":2}", "// ip,url\n", "203.0.113.7,seen\n203.0.113.8,seen\n", "# src_ip;dst_ip\n"})
}

func FuzzParse(f *testing.F) {
	formattest.Fuzz(f, Format, "value,type,notes\nspy.example,hostname,\"a\"\"b\"\n", "# ip;date\n203.0.113.7;2024-01-01\n", "\"a\n\"\",b\n", "url,ip,port\na.example/x,1.2.3.4,1\n", "type,value\nip|port,1.2.3.4|5\n")
}
