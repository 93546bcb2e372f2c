package zeek

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const list = "# by hand\nspy.example\tIntel::DOMAIN\n" +
	"#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url\tmeta.confidence\tmeta.lastseen\n" +
	"Spy.example\tIntel::DOMAIN\tlab\tgate of X\thttps://lab.example/1\t80\t2024-05-01\n" +
	"203.0.113.7\tIntel::ADDR\tlab\t-\t-\n" +
	"192.0.2.0/24\tIntel::SUBNET\t-\t-\t-\n" +
	"spy.example/a\\x20b\tIntel::URL\t-\t-\t-\n" +
	"curl/1.0 (x)\tIntel::SOFTWARE\t-\t-\t-\n" +
	"setup.exe\tIntel::FILE_NAME\t-\t-\t-\n" +
	"spy.example\tIntel::ADDR\t-\t-\t-\n" +
	"word\tIntel::FILE_HASH\t-\t-\t-\n" +
	"AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD\tIntel::CERT_HASH\t-\n" +
	"a\tIntel::ADDR\t-\t-\t-\t-\t-\t-\n"

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
2: a line before the #fields line
domain spy.example 80% last 2024-05-01T00:00:00 (gate of X; lab; https://lab.example/1)
address 203.0.113.7 (lab)
prefix 192.0.2.0/24
url spy.example/a b
user-agent curl/1.0 (x)
9: Zeek's type Intel::FILE_NAME, which is not looked up
domain spy.example
11: not what its type Intel::FILE_HASH says
certificate aabbccddeeff00112233445566778899aabbccdd
13: more columns than the #fields line names
`)
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{"#separator \\x09\n#fields\tindicator\tindicator_type\n"}, []string{"", "a.example\n", "#fields\tts\tuid\n"})
}

func FuzzParse(f *testing.F) { formattest.Fuzz(f, Format, list) }
