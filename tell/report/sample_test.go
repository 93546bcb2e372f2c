package report

import (
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

// cest stands for a zone that every machine has.
var cest = time.FixedZone("CEST", 2*3600)

func at(day, hour, minute int) testudo.Time {
	return testudo.TimeOf(time.Date(2026, 7, day, hour, minute, 0, 123456789, time.UTC))
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func espionage() testudo.Incident {
	reasons := []testudo.Reason{
		{Family: testudo.Base, Weight: -4.6, Text: "one pair in a hundred does such a thing for good cause"},
		{Family: testudo.Timing, Weight: 3.1, Text: "gaps of 290 to 312 s in 94 % of cases, day and night, also when the user is away"},
		{Family: testudo.Company, Weight: 3.2, Text: "1 of 61 hosts; first seen Thursday, four minutes after a program came from 203.0.113.9"},
		{Family: testudo.Crypto, Weight: 2.1, Text: "the certificate was made by its own hand 2 days before; the client is not this host’s browser"},
		{Family: testudo.Volume, Weight: 0.6, Text: "answers of one size; 31 long posts, all after 20:00"},
		{Family: testudo.Innocence, Weight: -0.7, Text: "could be a monitoring agent: none known here uses a name this young"},
	}
	return testudo.Incident{
		ID: "INC-7F3K9QW2MX8D", Kind: testudo.Espionage, Severity: testudo.High, Urgency: 88,
		Confidence: testudo.Probability(3.7), Score: 3.7,
		Title: "fin-pc-14 reports to cdn-upd.example (203.0.113.7) about every 5 minutes",
		First: at(9, 12, 2), Last: at(12, 7, 41),
		Victims: []testudo.Victim{{Address: ip("10.0.0.5"), Name: "fin-pc-14"}},
		Servers: []testudo.NamedServer{{Confidence: 0.961234, Server: testudo.Server{
			Address: ip("203.0.113.7"),
			Names:   []string{"cdn-upd.example"}, Ports: []string{"tcp/443"}, Role: testudo.C2,
		}}},
		Techniques:  []string{"T1071.001", "T1573"},
		Explanation: reasons,
		Innocent:    []string{"a monitoring agent would look alike; ask whether one was installed on Thursday"},
		Sightings: []testudo.Sighting{{
			Detector: "beacon", Key: "k", Kind: testudo.Espionage, First: at(9, 12, 2),
			Last: at(12, 7, 41), Summary: "812 calls, every 300 s ± 4 %, 3.1 MB out", Reasons: reasons,
			UIDs: []testudo.UID{7, 1 << 60},
			Evidence: []testudo.Fact{
				{Name: "interval_s", Value: 300.00000001},
				{Name: "jitter", Value: 0.041666666},
				{Name: "count", Value: 812},
				{Name: "bytes_out", Value: int64(3_101_222)},
				{Name: "sizes", Value: []string{"<a&b>", "410"}},
				{Name: "nothing", Value: math.NaN()},
				{Name: "count", Value: true},
			},
		}},
	}
}

// hostile is an incident in which all that traffic can choose was chosen to
// do harm.
func hostile() testudo.Incident {
	const evil = "=cmd\x1b]0;owned\x07\u202egnp.exe\u2066\u200b\xff\n\x7f\u009b31m"
	in := testudo.Incident{
		ID: "INC-2QH8AAAAAAAA", Kind: testudo.Intrusion, Severity: testudo.Critical, Urgency: 99, Confidence: 1, Score: 40,
		Title: evil, First: at(10, 1, 0), Last: at(10, 1, 0), Techniques: []string{"T1190"},
		Victims: []testudo.Victim{{Address: ip("::ffff:10.0.0.8"), Name: evil}, {Name: "+only-a-name"}},
		Servers: []testudo.NamedServer{{Confidence: 0.5, Server: testudo.Server{
			Names: []string{evil, "a.example", "b.example", "c.example"},
			Role:  testudo.Staging, Shared: true,
		}}, {Server: testudo.Server{Address: ip("10.9.9.9"), Role: testudo.Lateral}}},
		Explanation: []testudo.Reason{{Family: "\x1b[2J", Weight: math.Inf(1), Text: evil}, {Family: testudo.Content, Weight: 40, Text: evil}},
		Innocent:    []string{evil},
		Sightings: []testudo.Sighting{{
			Detector: evil, Summary: evil,
			Evidence: []testudo.Fact{{Name: evil, Value: evil}, {Name: "inf", Value: math.Inf(-1)}, {Name: "odd", Value: struct{ A int }{3}}},
		}},
	}
	return in
}

func lesser(kind testudo.Kind, severity testudo.Severity, id, title string, minute int) testudo.Incident {
	return testudo.Incident{
		ID: id, Kind: kind, Severity: severity, Confidence: 0.4, Score: -0.4, Title: title,
		First: at(9, 12, minute), Last: at(9, 13, minute),
	}
}

func week() []testudo.Incident {
	flood := testudo.Incident{
		ID: "INC-FFFFFFFFFFFF", Kind: testudo.Flood, Severity: testudo.Critical, Urgency: 95,
		Confidence: 0.999, Score: 6.9, Title: "portal (198.51.100.20:443) received 1.1 M SYN/s from about 45,000 addresses",
		First: at(13, 8, 12), Last: at(13, 8, 31), Victims: []testudo.Victim{{Address: ip("198.51.100.20"), Name: "portal"}},
		Techniques:  []string{"T1498.001"},
		Explanation: []testudo.Reason{{Family: testudo.Base, Weight: -2.3, Text: "rare"}, {Family: testudo.Volume, Weight: 9.2, Text: "4,000 times the habit"}},
	}
	return []testudo.Incident{
		lesser(testudo.Scan, testudo.Info, "INC-000000000001", "192.0.2.1 knocks at 4,096 ports; none answered", 1),
		lesser(testudo.Scan, testudo.Info, "INC-000000000002", "192.0.2.2 knocks at 22 ports; none answered", 2),
		lesser(testudo.Policy, testudo.Low, "INC-000000000003", "fin-pc-2 sends a password in the clear to ftp.example", 3),
		lesser(testudo.Scan, testudo.Info, "INC-000000000004", "192.0.2.4 knocks at 9 ports; none answered", 4),
		lesser(testudo.Scan, testudo.Info, "INC-000000000005", "192.0.2.5 knocks at 9 ports; none answered", 5),
		lesser(testudo.Scan, testudo.Info, "INC-000000000006", "192.0.2.6 knocks at 9 ports; none answered", 6),
		lesser(testudo.Scan, testudo.Info, "INC-000000000007", "192.0.2.7 knocks at 9 ports; none answered", 7),
		espionage(), flood,
	}
}

func weekSummary() *testudo.Summary {
	return &testudo.Summary{
		Inputs: []string{"week.pcap"}, Packets: 18_400_123, Bytes: 9_123_456_789, Conns: 402_113,
		Records: 901_233, First: at(7, 6, 0), Last: at(13, 10, 30), Hosts: 61, Malformed: 12, Weirds: 31, NewHosts: 3,
		Local:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.0/24")},
		Detectors: []testudo.Judgement{{Detector: "beacon", Full: true}, {Detector: "exfil", Lacked: "volume habits (needs days)"}, {Detector: "scan", Full: true}},
		Shed:      []testudo.Shed{{Cause: "beacon pairs", Count: 1204}},
		Wall:      41_234 * time.Millisecond, Workers: 2,
	}
}

func quietSummary() *testudo.Summary {
	return &testudo.Summary{
		Inputs: []string{"lunch.pcap"}, Packets: 1_204_331, Bytes: 700_000_000, Records: 40_000,
		First: at(9, 10, 0), Last: at(9, 10, 41), Hosts: 12, LocalGuessed: true,
		Local: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Detectors: []testudo.Judgement{
			{Detector: "beacon", Lacked: "slow beacons (needs hours)"},
			{Detector: "dga", Full: true},
			{Detector: "exfil", Lacked: "volume habits (needs days)"},
			{Detector: "scan", Full: true},
		},
		IntelLists: 4, Indicators: 51_234, IntelNewest: at(8, 0, 0),
	}
}

func brokenSummary() *testudo.Summary {
	s := quietSummary()
	s.Inputs = []string{"a.pcap", "b\x1b[2J.pcap", "c.pcap", "d.pcap", "e.pcap"}
	s.Skipped = []testudo.Skip{{Input: "b\x1b[2J.pcap", Reason: "frame 12 at byte 4,096: cut short \u202e"}}
	s.Dropped, s.Malformed = 2000, 1
	return s
}
