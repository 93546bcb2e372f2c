package rules

import (
	"testing"

	"github.com/testudo-shield/testudo/judge/intel/formattest"
)

const file = `# rules
#alert dns any any -> any any (msg:"off"; dns.query; content:"off.example"; endswith; sid:1;)
alert dns $HOME_NET any -> any any (msg:"Heron; gate"; dns.query; content:".Spy.example"; nocase; endswith; classtype:trojan-activity; sid:2; metadata:created_at 2024_05_01, malware_family Heron, confidence High;)
alert tls $HOME_NET any -> $EXTERNAL_NET any (msg:"sni"; tls_sni; content:"bad.example"; isdataat:!1,relative; depth:11; sid:3;)
alert tls any any -> any any (msg:"sni"; tls.sni; content:"bad.example"; startswith; endswith; sid:4;)
alert dns any any -> any any (msg:"part"; dns.query; content:"spy"; sid:5;)
alert http any any -> any any (msg:"two"; http.host; content:"bad.example"; endswith; http.uri; content:"/x"; sid:6;)
alert http any any -> any any (msg:"agent"; content:"curl|20|bad"; http_user_agent; startswith; endswith; sid:7;)
alert udp any any -> any 53 (msg:"old"; content:"|01 00 00 01 00 00 00 00 00 00|"; depth:10; offset:2; content:"|03|spy|07|example|00|"; nocase; sid:8;)
alert ip [203.0.113.7,192.0.2.0/24] any -> $HOME_NET any (msg:"bad hosts"; sid:9;)
alert tcp any any -> any any (msg:"re"; pcre:"/x/"; sid:10;)
alert tcp any any -> any any (msg:"payload"; content:"MZ"; sid:11;)
alert tls any any -> any any (msg:"ja3"; ja3.hash; content:"00112233445566778899aabbccddeeff"; sid:12;)
pass ip 203.0.113.9 any -> any any (sid:13;)
alert tcp any any -> any any \
  (msg:"long"; tls.sni; content:"long.example"; \
  endswith; sid:14;)
alert ip any any -> any any (msg:"none"; sid:15;)
alert tls any any -> any any (msg:"word"; ja3.hash; content:"word"; sid:16;)
prose
alert http any any -> any any (msg:"not"; http.host; content:"a.example"; endswith; content:!"good.a.example"; sid:17;)
alert dns any any -> any any (msg:"ending"; dns.query; content:".example"; endswith; classtype:bad-unknown; sid:18;)
`

func TestParse(t *testing.T) {
	formattest.Golden(t, Format, file, `
2: a rule that is switched off
domain spy.example 85% first 2024-05-01T00:00:00 ["Heron"] (Heron; gate; trojan-activity)
host bad.example (sni)
host bad.example (sni)
6: a part of a name, not one that ends it
7: a rule that needs more than one value to match
user-agent curl bad (agent)
domain spy.example (old)
address 203.0.113.7 (bad hosts)
prefix 192.0.2.0/24 (bad hosts)
11: a rule that needs pcre to match
12: bytes of a payload, no value
ja3 00112233445566778899aabbccddeeff (ja3)
14: a rule that lets through
domain long.example (long)
18: a rule that names no value
19: not what its keyword says: no address, name, URL, email address or hash
20: a line that is no rule
domain a.example (not)
22: a rule that says bad-unknown, and blames nobody
`)
}

func TestSniff(t *testing.T) {
	formattest.Sniffs(t, Format, []string{file, "# licence\n#alert tcp any any -> any any (sid:1;)\n"}, []string{"", "spy.example\n", "alert the owner (soon)\n"})
}

func FuzzParse(f *testing.F) { formattest.Fuzz(f, Format, file) }
