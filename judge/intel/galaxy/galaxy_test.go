package galaxy

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const clusters = `{"authors":["the lab"],"category":"actor","name":"Threat Actor",
"values":[
{"value":"Gray Heron","uuid":"u1","meta":{"synonyms":["gray heron","G9"],"refs":["https://lab.example/1"]}},
{"value":"Ash Wing - G0998","uuid":"u2","meta":{"external_id":"G0998"}},
{"uuid":"u3"}],
"type":"threat-actor"}`

func TestThreats(t *testing.T) {
	formattest.Golden(t, Format, clusters, `
group u1 "Gray Heron" ["G9"] ["https://lab.example/1"]
group G0998 "Ash Wing" [] []
5: a cluster without a name
`)
	formattest.Golden(t, Format, `{"authors":[],"type":"country","values":[{"value":"belgium"}]}`, "1: a cluster of kind country, which is no group, software or technique\n")
}

func TestKinds(t *testing.T) {
	for _, c := range [][3]string{{"mitre-malware", "tool", "software"}, {"rat", "tool", "software"}, {"mitre-attack-pattern", "attack-pattern", "technique"}, {"mitre-intrusion-set", "actor", "group"}, {"mitre-campaign", "", "campaign"}, {"sector", "sector", ""}, {"ransomware", "tool", "software"}} {
		if got := kindOf(c[0], c[1]); string(got) != c[2] {
			t.Errorf("%s: %q, want %q", c[0], got, c[2])
		}
	}
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{clusters}, []string{"", "{}", `{"type":"bundle","objects":[]}`})
}

func FuzzThreats(f *testing.F) { formattest.Fuzz(f, Format, clusters) }
