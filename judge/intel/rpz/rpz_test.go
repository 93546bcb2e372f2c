package rpz

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const list = `$TTL 300
$ORIGIN block.test.
@ IN SOA localhost. root.localhost. (
    1 3600 600
    86400 300 )
  IN NS localhost.
spy.example CNAME . ; gate of X
*.spy.example.block.test. 60 IN CNAME *.
good.example IN CNAME rpz-passthru.
walled.example IN CNAME garden.test.
local.example IN A 192.0.2.1
24.0.2.0.192.rpz-ip CNAME .
32.7.113.0.203.rpz-ip CNAME rpz-drop.
128.7.zz.db8.2001.rpz-ip CNAME .
48.zz.2.db8.2001.rpz-ip CNAME .
300.7.113.0.203.rpz-ip CNAME .
ns.bad.example.rpz-nsdname CNAME .
$INCLUDE other
prose
`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
host spy.example (gate of X)
domain spy.example
9: let through by the zone: no indicator
host walled.example (zone answers garden.test.)
host local.example (zone answers A)
prefix 192.0.2.0/24
address 203.0.113.7 (zone drops the question)
address 2001:db8::7
prefix 2001:db8:2::/48
16: an address that is not written as the zone format wants
17: a trigger rpz-nsdname, which is not matched
18: a line that stands for others, in another file or counted up
19: a line that is no DNS record
`)
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{list, "a.example IN CNAME .\n", "@ 60 IN SOA a. b. 1 2 3 4 5\n"}, []string{"", "a.example\n", "CNAME\n", "a.example in the news\n"})
}

func FuzzParse(f *testing.F) {
	formattest.Fuzz(f, Format, list, " CNAME .", "$ORIGIN .\na CNAME .", "zz.rpz-ip CNAME .")
}
