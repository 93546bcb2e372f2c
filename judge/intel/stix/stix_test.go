package stix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const example = `{"type":"bundle","id":"bundle--1","objects":[
{"type":"indicator","id":"indicator--1","created":"2024-05-01T00:00:00.000Z","modified":"2024-05-02T00:00:00Z","name":"gate","pattern":"[domain-name:value = 'Spy.example']","pattern_type":"stix","valid_from":"2024-04-01T00:00:00Z","valid_until":"2024-06-01T00:00:00Z","confidence":60,"indicator_types":["malicious-activity"],"kill_chain_phases":[{"kill_chain_name":"k","phase_name":"command-and-control"}],"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421","marking-definition--m"]},
{"type":"indicator","id":"indicator--2","pattern":"[ipv4-addr:value = '203.0.113.7' AND network-traffic:dst_port = 443] FOLLOWEDBY [url:value IN ('http://a.example/x','http://b.example/y')] WITHIN 60 SECONDS","confidence":"high","object_marking_refs":["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]},
{"type":"indicator","id":"indicator--3","pattern":"[file:hashes.'SHA-256' = 'x']","revoked":true},
{"type":"indicator","id":"indicator--4","pattern":"rule x {}","pattern_type":"yara"},
{"type":"indicator","id":"indicator--5","pattern":"[domain-name:value = 'good.example']","labels":["benign"]},
{"type":"indicator","id":"indicator--6","pattern":"[domain-name:value"},
{"type":"intrusion-set","id":"intrusion-set--1","name":"Gray Heron","aliases":["G9","gray heron"],"external_references":[{"source_name":"mitre-attack","external_id":"G0999","url":"https://attack.example/G0999"}]},
{"type":"campaign","id":"campaign--1","name":"Night Flight"},
{"type":"malware","id":"malware--1","name":"Finch","revoked":true},
{"type":"attack-pattern","id":"attack-pattern--1","name":"Beaconing","x_mitre_deprecated":true},
{"type":"relationship","relationship_type":"indicates","source_ref":"indicator--1","target_ref":"campaign--1"},
{"type":"relationship","relationship_type":"attributed-to","source_ref":"campaign--1","target_ref":"intrusion-set--1"},
{"type":"relationship","relationship_type":"communicates-with","source_ref":"intrusion-set--1","target_ref":"ipv4-addr--1"},
{"type":"ipv4-addr","id":"ipv4-addr--1","value":"203.0.113.9"},
{"type":"ipv4-addr","id":"ipv4-addr--2","value":"203.0.113.10"},
{"type":"file","id":"file--1","name":"a","hashes":{"MD5":"00112233445566778899aabbccddeeff","SSDEEP":"3:a:b"},"labels":["malicious-activity"]},
{"type":"observed-data","id":"observed-data--1","objects":{"0":{"type":"ipv4-addr","value":"203.0.113.11"}}},
{"type":"marking-definition","id":"marking-definition--m","definition_type":"statement","definition":{"statement":"Copyright the lab"}},
{"type":"report","id":"report--1"},{}
]}`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, example, `
3: a port or protocol, which says nothing alone
4: revoked by its source
5: a pattern in yara, not in STIX
6: said to be benign by its source
7: a pattern that cannot be read
17: a digest ssdeep, which is not looked up
18: observed, not said to be bad
20: an object report, which holds no indicator
20: an object without a type
domain spy.example tlp:amber 60% first 2024-04-01T00:00:00 last 2024-05-02T00:00:00 expires 2024-06-01T00:00:00 licence Copyright the lab ["Night Flight" "Gray Heron"] (gate; command-and-control; malicious-activity)
address 203.0.113.7 tlp:amber+strict (with other values of its pattern)
url a.example/x tlp:amber+strict (with other values of its pattern)
url b.example/y tlp:amber+strict (with other values of its pattern)
address 203.0.113.9 ["Gray Heron"]
16: observed, not said to be bad
hash 00112233445566778899aabbccddeeff (a; malicious-activity)
group G0999 "Gray Heron" ["G9"] ["https://attack.example/G0999"]
campaign campaign--1 "Night Flight" [] []
10: revoked by its source
11: revoked by its source
`)
}

// TestPattern holds what comparisons come to.
func TestPattern(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`[ipv6-addr:value='2001:DB8::7']`, "address 2001:db8::7"},
		{`[ ipv4-addr:value ISSUBSET '192.0.2.0/24' ]`, "prefix 192.0.2.0/24"},
		{`[email-addr:value = 'Boss@spy.example'] OR [email-message:from_ref.value = 'aide@spy.example']`, "email boss@spy.example, email aide@spy.example"},
		{`[x509-certificate:hashes.'SHA-1' = '00112233445566778899AABBCCDDEEFF00112233']`, "certificate 00112233445566778899aabbccddeeff00112233"},
		{`[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '203.0.113.7']`, "a network-traffic by type, which is not looked up, address 203.0.113.7 (with other values of its pattern)"},
		{`[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'curl \'x\' \\ 1']`, `user-agent curl 'x' \ 1`},
		{`[domain-name:value LIKE '%.spy.example']`, "domain spy.example"},
		{`[domain-name:value LIKE 'spy%']`, "LIKE a pattern that is more than one value"},
		{`[domain-name:value MATCHES '^spy\\.example$']`, "domain spy.example"},
		{`[domain-name:value MATCHES 'spy.*']`, "MATCHES an expression that is more than one value"},
		{`[domain-name:value NOT = 'a.example']`, "a comparison that says what is not meant"},
		{`[domain-name:value != 'a.example']`, "a comparison that says what is not meant"},
		{`[domain-name:value > 'a.example']`, "a comparison by >, which names no one value"},
		{`[EXISTS file:name]`, "a file by name, which is not looked up"},
		{`[file:hashes.MD5 = 'word']`, "not what its path says: no address, name, URL, email address or hash"},
		{`[file:hashes."SHA-256" = '0011']`, "not what its path says: no address, name, URL, email address or hash"},
		{`([url:value = 'http://spy.example/x?a=[1]'] AND [file:name = 'x']) START t'2024-01-01T00:00:00Z' STOP t'2025-01-01T00:00:00Z'`, "url spy.example/x?a=[1] (with other values of its pattern), a file by name, which is not looked up"},
		{`[url:value = 'tcp://203.0.113.7:443/']`, "address 203.0.113.7"},
		{`[email-message:to_refs[0].value = 'victim@home.example']`, "a email-message by value, which is not looked up"},
		{`[url:value = 'open]`, "a pattern that cannot be read"},
		{`[a.example]`, "a pattern that cannot be read"},
		{``, "a pattern that cannot be read"},
	} {
		text := fmt.Sprintf(`{"objects":[{"type":"indicator","pattern":%q}]}`, c.pattern)
		got := strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(formattest.Read(t, Format, text), "1: ", "")), "\n", ", ")
		parts, want := sortedParts(got), sortedParts(c.want)
		if parts != want {
			t.Errorf("%s\n got %s\nwant %s", c.pattern, got, c.want)
		}
	}
}

// sortedParts ignores that skips are told before the bundle's end.
func sortedParts(s string) string {
	set := map[string]string{}
	for _, p := range strings.Split(s, ", ") {
		set[p] = p
	}
	return strings.Join(sorted(set), ", ")
}

// TestBounds holds that a pattern of many values is cut and said to be.
func TestBounds(t *testing.T) {
	text := `{"objects":[{"type":"indicator","pattern":"[ipv4-addr:value IN (` + strings.Repeat("'203.0.113.7',", 1500) + `'203.0.113.8')]"}]}`
	got := formattest.Read(t, Format, text)
	if strings.Count(got, "address") != maxComparisons || !strings.Contains(got, errLong.Error()) {
		t.Errorf("%d addresses of 1501, %.200s", strings.Count(got, "address"), got)
	}
	if got := formattest.Read(t, Format, `{"objects":[{"type":"indicator","pattern":"`+strings.Repeat("x", 9<<20)+`"}]}`); !strings.Contains(got, "larger than 8 MiB") {
		t.Errorf("an object of 9 MB: %.200s", got)
	}
	if got := formattest.Read(t, Format, `{"x":`+strings.Repeat("[", 1000)); !strings.Contains(got, "nested deeper") {
		t.Errorf("1000 lists in each other: %.200s", got)
	}
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{example, `{"more":false,"objects":[{"type":"indicator","id":"indicator--1"}]}`}, []string{"", "[]", `{"Event":{"objects":[]}}`, "spy.example\n"})
}

func FuzzParse(f *testing.F) {
	formattest.Fuzz(f, Format, example, `{"objects":[{"type":"indicator","pattern":"[a:b IN ('x','y') AND file:hashes.'MD5' = '0']"}]}`)
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"[ipv4-addr:value = '203.0.113.7']", "[a:b.'c'[*] NOT IN ('x')]", "[EXISTS a:b] AND (", "[url:value LIKE '%\\'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		all, _, err := comparisons(pattern)
		if len(all) > maxComparisons || err == nil && len(all) == 0 {
			t.Errorf("%d comparisons, %v", len(all), err)
		}
		for _, c := range all {
			if in, why := c.indicator("test"); why == "" {
				formattest.Check(t, in)
			}
		}
	})
}
