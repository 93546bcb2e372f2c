package shield

import (
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// known is what lists say beside indicators: what is well known or shared,
// and what threats are called.
type known struct {
	warnings *intel.Warnings
	names    threatNames
}

func newKnown() known { return known{intel.NewWarnings(), threatNames{}} }

// warn takes a warning list. What of it cannot be compared is told to skip.
func (k *known) warn(l intel.WarningList, skip intel.Skip) {
	mark, kind := meaning(&l)
	for _, v := range l.Values {
		if err := k.warnings.Add(l.Name, mark, kind, v); err != nil {
			skip(0, "an entry of a warning list that cannot be compared")
		}
	}
}

// meaning is what stands on a warning list, by what the list says of itself,
// and how its values are compared. Space that is rented out is shared where a
// prefix is meant, while each address in it is somebody's. Names below one
// that anybody can register under are their own. That a name is much visited
// says nothing of those below it.
func meaning(l *intel.WarningList) (testudo.Marks, intel.WarningKind) {
	kind := intel.WarningKind(l.Type)
	about := strings.ToLower(l.Name + " " + l.Description)
	says := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(about, w) {
				return true
			}
		}
		return false
	}
	switch {
	case says("sinkhole"):
		return testudo.MarkKnown, kind
	case kind == intel.WarnCIDR && says("cdn", "relay", "proxy", "akamai", "fastly", "cloudflare", "smtp", "gateway"):
		return testudo.MarkShared, kind
	case kind == intel.WarnCIDR && says("cloud", "datacenter", "data center", "hosting", "cluster", "vpn", "amazon", "azure"):
		return testudo.MarkWide, kind
	case kind == intel.WarnCIDR:
		return testudo.MarkKnown, kind
	case says("dynamic", "shortener", "hosting", "trusted sites", "link in bio", "ipfs", "disposable", "cdn", "cloud", "free ", "parking"):
		return testudo.MarkShared, kind
	case kind == intel.WarnHostname && says("top ", "most-used", "most used", "most visited", "popular"):
		return testudo.MarkKnown, intel.WarnString
	}
	return testudo.MarkKnown, kind
}

// threatNames gives what sources call a threat the name that ATT&CK has for
// it, with its ID: "G0027 Threat Group-3390". A name that two threats go by is
// left as it is.
type threatNames map[string]string

func (n threatNames) learn(t testudo.Threat) {
	if !isATTACK(t.ID) || t.Kind == testudo.TechniqueThreat {
		return
	}
	full := t.ID + " " + t.Name
	for _, name := range append([]string{t.Name, t.ID}, t.Synonyms...) {
		key := folded(name)
		if had, ok := n[key]; ok && !strings.HasPrefix(had, t.ID+" ") {
			full := ""
			n[key] = full
			continue
		}
		if key != "" {
			n[key] = full
		}
	}
}

// isATTACK tells IDs such as G0027 and S1020.
func isATTACK(id string) bool {
	return len(id) == 5 && strings.Contains("GSC", id[:1]) && strings.Trim(id[1:], "0123456789") == ""
}

// folded is a name without case, blanks, dashes and underscores.
func folded(name string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(strings.ToLower(name))
}

// of returns names as ATT&CK has them, each once.
func (n threatNames) of(names []string) []string {
	if len(n) == 0 || len(names) == 0 {
		return names
	}
	out := make([]string, 0, len(names))
	for _, name := range names {
		if full := n[folded(name)]; full != "" {
			name = full
		}
		out = intel.AddThreats(out, name)
	}
	return out
}
