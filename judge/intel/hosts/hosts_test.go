package hosts

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const list = `# blocked
127.0.0.1 localhost
::1 localhost ip6-localhost
0.0.0.0 Spy.example bad.example. # since spring
0.0.0.0 0.0.0.0
192.0.2.7 intranet.example
0.0.0.0
spy.example
0.0.0.0 no..name.example
`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
2: a name of the machine itself
3: a name of the machine itself
3: a name of the machine itself
host spy.example (since spring)
host bad.example (since spring)
5: a name of the machine itself
6: a name given its address, not blocked
7: an address without a name
8: a line that does not begin with an address
9: no address, name, URL, email address or hash
`)
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{"# x\n0.0.0.0 a.example\n", "127.0.0.1\ta.example\n"}, []string{"", "203.0.113.7 a.example\n", "0.0.0.0\n", "a.example\n"})
}

func FuzzParse(f *testing.F) { formattest.Fuzz(f, Format, list) }
