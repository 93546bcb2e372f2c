package maltrail

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const trail = `# Copyright (c) Maltrail developers
# Aliases: gray heron, G9

# Reference: https://lab.example/heron
spy.example
http://203.0.113.7
203.0.113.8:8443 # second stage
/gate.php
host.example/a/b.php
bad.example# Copyright (c) Maltrail developers
host.example/x#y

# Referecne: https://lab.example/more
# Aliases: Gray Heron, ash wing
regex[0-9]+
192.0.2.0/24
`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, trail, `
domain spy.example ["gray heron" "G9"] (https://lab.example/heron)
address 203.0.113.7 ["gray heron" "G9"] (https://lab.example/heron)
address 203.0.113.8 ["gray heron" "G9"] (second stage; port 8443; https://lab.example/heron)
8: a path without a host, which any server may have
url host.example/a/b.php ["gray heron" "G9"] (https://lab.example/heron)
domain bad.example ["gray heron" "G9"] (Copyright (c) Maltrail developers; https://lab.example/heron)
url host.example/x ["gray heron" "G9"] (https://lab.example/heron)
15: no address, name, URL, email address or hash
prefix 192.0.2.0/24 ["gray heron" "G9" "ash wing"] (https://lab.example/more)
`)
}

func TestKnown(t *testing.T) {
	formattest.Golden(t, KnownFormat, "# Maltrail developers\nlocalhost\n127.0.0.1\ncdn.example\n192.0.2.0/24,cloud\n", `
2: neither an address nor a name
warning test cidr ["127.0.0.1" "192.0.2.0/24"]
warning test hostname ["cdn.example"]
`)
	if head := []byte(trail); Sniff(head, "whitelist.txt") || !SniffKnown(head, "whitelist.txt") || SniffKnown(head, "heron.txt") {
		t.Error("a list of what is well known is taken for a trail, or the other way round")
	}
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{trail, "# Reference: x\na.example\n"}, []string{"", "a.example\n", "# list\na.example\n"})
}

func FuzzParse(f *testing.F) {
	formattest.Fuzz(f, Format, trail, "#Aliases:a,b\na.example #", "1.2.3.4:5#")
}
func FuzzKnown(f *testing.F) { formattest.Fuzz(f, KnownFormat, trail) }
