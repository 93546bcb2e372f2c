package misp

import (
	"strings"
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const response = `{"response":[{"Event":{
"info":"Heron at work","date":"2024-05-01","timestamp":"1714694400",
"Attribute":[
{"type":"domain","category":"Network activity","to_ids":true,"timestamp":"1714608000","comment":"gate","value":"Spy.example","Tag":[{"name":"tlp:red"},{"name":"misp:confidence-level=\"usually-confident\""}]},
{"type":"hostname","to_ids":true,"value":"c2.spy.example","first_seen":"2024-04-01T00:00:00Z","last_seen":"2024-04-02T00:00:00Z"},
{"type":"domain|ip","to_ids":true,"value":"bad.example|203.0.113.7"},
{"type":"ip-dst|port","to_ids":1,"value":"203.0.113.8|443"},
{"type":"filename|sha1","to_ids":"1","value":"a|b.exe|00112233445566778899aabbccddeeff00112233"},
{"type":"ip-src","to_ids":false,"value":"203.0.113.9"},
{"type":"regkey","to_ids":true,"value":"HKLM\\x"},
{"type":"uri","to_ids":true,"value":"/gate.php"},
{"type":"md5","to_ids":true,"value":"word"},
{"type":"url","to_ids":true,"deleted":true,"value":"http://spy.example/x"},
{"type":7,"to_ids":true,"value":"x"},
{"type":"x509-fingerprint-sha1","to_ids":true,"value":"00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33"}],
"Object":[{"name":"url","deleted":false,"comment":"from the mail","Attribute":[{"type":"url","to_ids":true,"value":"http://spy.example/y"}]},
{"name":"file","deleted":true,"Attribute":[{"type":"md5","to_ids":true,"value":"00112233445566778899aabbccddeeff"}]}],
"Galaxy":[{"type":"mitre-attack-pattern","GalaxyCluster":[{"value":"Web Protocols - T1071.001"}]},{"type":"country","GalaxyCluster":[{"value":"belgium"}]}],
"Tag":[{"name":"tlp:amber"},{"name":"misp-galaxy:threat-actor=\"Gray Heron\""},{"name":"misp-galaxy:sector=\"Water\""}]
}}]}`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, response, `
9: not meant for detection by its source (to_ids is off)
10: the type regkey, which is not looked up
11: a path without a host, which any server may have
12: not what its type md5 says: no address, name, URL, email address or hash
13: deleted at its source
14: the type (none), which is not looked up
17: deleted at its source
domain spy.example tlp:red 75% first 2024-05-01T00:00:00 last 2024-05-02T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work; gate; Network activity)
host c2.spy.example tlp:amber first 2024-04-01T00:00:00 last 2024-04-02T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
domain bad.example tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
address 203.0.113.7 tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
address 203.0.113.8 tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
hash 00112233445566778899aabbccddeeff00112233 tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
certificate 00112233445566778899aabbccddeeff00112233 tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work)
url spy.example/y tlp:amber first 2024-05-01T00:00:00 last 2024-05-03T00:00:00 ["Web Protocols - T1071.001" "Gray Heron"] (Heron at work; from the mail)
`)
}

// TestWrappers holds the forms in which MISP hands out events and attributes.
func TestWrappers(t *testing.T) {
	const a = `{"type":"domain","to_ids":true,"value":"spy.example"}`
	for _, text := range []string{
		`{"Event":{"Attribute":[` + a + `]}}`,
		`[{"Event":{"Attribute":[` + a + `]}}]`,
		`{"response":{"Attribute":[` + a + `]}}`,
		`{"response":[{"Event":{"Attribute":null,"Object":[{"Attribute":[` + a + `]}]}}]}`,
	} {
		if got := formattest.Read(t, Format, text); got != "domain spy.example\n" {
			t.Errorf("%s is read as %s", text, got)
		}
	}
	if got := formattest.Read(t, Format, strings.Repeat("[", 100)); !strings.Contains(got, "nested deeper") {
		t.Errorf("100 lists in each other: %s", got)
	}
}

const manifest = `{"00112233-4455-6677-8899-aabbccddeeff":{"Orgc":{"name":"The lab"},"Tag":[{"name":"tlp:green"}],"info":"Heron at work","date":"2024-05-01","timestamp":1714694400},"x":{}}`

func TestFeed(t *testing.T) {
	var got []Entry
	skipped := 0
	err := Manifest(strings.NewReader(manifest), func(e Entry) { got = append(got, e) }, func(int, string) { skipped++ })
	if err != nil || len(got) != 1 || skipped != 1 || got[0].Info != "Heron at work" || got[0].Publisher != "The lab" || got[0].TLP.String() != "green" || got[0].Timestamp.Std().Year() != 2024 {
		t.Errorf("%+v, %d skipped, %v", got, skipped, err)
	}
	formattest.Golden(t, HashesFormat, "00112233445566778899aabbccddeeff,00112233-4455-6677-8899-aabbccddeeff\n", "1: the digest of a value that is in an event; import the feed's folder\n")
	n := 0
	err = Hashes(strings.NewReader("00112233445566778899AABBCCDDEEFF,00112233-4455-6677-8899-aabbccddeeff\nword\n"), func(md5, uuid string) { n++ }, func(int, string) { n += 10 })
	if err != nil || n != 11 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{response, `[{"Event":{}}]`}, []string{"", manifest, `{"type":"bundle"}`})
	formattest.Sniffs(t, ManifestFormat, []string{manifest}, []string{"", "{}", response})
	formattest.Sniffs(t, HashesFormat, []string{"00112233445566778899aabbccddeeff,00112233-4455-6677-8899-aabbccddeeff\n"}, []string{"", "00112233445566778899aabbccddeeff\n"})
}

func FuzzParse(f *testing.F) {
	formattest.Fuzz(f, Format, response, `[[{"Event":{"Object":[{"Attribute":{}}]}}]]`)
}
func FuzzManifest(f *testing.F) { formattest.Fuzz(f, ManifestFormat, manifest) }
