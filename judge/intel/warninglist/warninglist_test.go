package warninglist

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const list = `{"name":"Networks of a cloud","description":"d","type":"cidr","version":3,"matching_attributes":["ip-dst"],
"list":["192.0.2.0/24","203.0.113.7",
""]}`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, list, `
3: an empty value
warning Networks of a cloud cidr ["192.0.2.0/24" "203.0.113.7"]
`)
	formattest.Golden(t, Format, `{"type":"new","list":["a"]}`, "error: warning list test: its type new is none of cidr, hostname, string, substring, regex\n")
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{list}, []string{"", "{}", "[]", `{"objects":[],"list":[],"description":""}`})
}

func FuzzParse(f *testing.F) { formattest.Fuzz(f, Format, list) }
