// Package hosts reads block lists in the form of a hosts file: names given
// the address of nowhere.
package hosts

import (
	"io"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads.
var Format = intel.Format{Name: "hosts", Sniff: Sniff, Parse: Parse}

// Sniff tells a hosts file by lines that each begin with an address that
// leads nowhere, and a name behind it.
func Sniff(head []byte, _ string) bool {
	nowhere, lines := 0, 0
	for _, line := range intel.HeadLines(head) {
		if line[0] == '#' {
			continue
		}
		lines++
		fields := strings.Fields(line)
		if a, err := netip.ParseAddr(fields[0]); err == nil && len(fields) > 1 && leadsNowhere(a) {
			nowhere++
		}
	}
	return nowhere > 0 && nowhere*10 >= lines*8
}

func leadsNowhere(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }

// Parse gives every blocked name as one that is bad itself, not with what
// lies below it: a hosts file says no more.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	return intel.Lines(r, func(n int, line string) {
		text, note, _ := strings.Cut(line, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			return
		}
		a, err := netip.ParseAddr(fields[0])
		switch {
		case err != nil:
			skip(n, "a line that does not begin with an address")
			return
		case len(fields) == 1:
			skip(n, "an address without a name")
			return
		}
		for _, name := range fields[1:] {
			if why := refused(a, name); why != "" {
				skip(n, why)
				continue
			}
			in, ok := intel.Typed(source, testudo.HostIndicator, name)
			if !ok {
				skip(n, intel.Unusable(name))
				continue
			}
			in.Note = intel.Note(note)
			give(in)
		}
	}, skip)
}

// refused says why a name is not blocked, "" if it is.
func refused(a netip.Addr, name string) string {
	switch {
	case !leadsNowhere(a):
		return "a name given its address, not blocked"
	case !strings.Contains(name, "."), strings.EqualFold(name, "localhost.localdomain"), name == "0.0.0.0":
		return "a name of the machine itself"
	}
	return ""
}
