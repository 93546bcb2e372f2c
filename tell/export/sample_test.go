package export

import (
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
)

var noon = testudo.TimeOf(time.Date(2026, 9, 2, 12, 0, 0, 0, time.UTC))

func ago(d time.Duration) testudo.Time { return noon.Add(-d) }

const day = 24 * time.Hour

// sample holds every type of indicator, every mark, every label, and an
// incident with machines of ours on both sides.
func sample() Input {
	list := func(t testudo.IndicatorType, v string) testudo.Indicator {
		return testudo.Indicator{Type: t, Value: v, Source: "sector list", Licence: "CC0", TLP: testudo.TLPGreen, Confidence: 80, First: ago(9 * day), Last: ago(2 * day)}
	}
	marked := func(v string, m testudo.Marks) testudo.Indicator {
		i := list(testudo.DomainIndicator, v)
		i.Marks = m
		return i
	}
	strict := list(testudo.DomainIndicator, "secret.example")
	strict.TLP = testudo.TLPRed
	unset := list(testudo.HostIndicator, "unset.bad.example")
	unset.TLP, unset.Confidence, unset.First, unset.Last = testudo.TLPUnset, -1, 0, 0
	ended := list(testudo.AddressIndicator, "203.0.113.99")
	ended.Expires = ago(day)
	ends := list(testudo.AddressIndicator, "203.0.113.98")
	ends.Expires = noon.Add(day)
	named := list(testudo.DomainIndicator, "group.example")
	named.Threats, named.Note = []string{"APT0", "G0027", "T1071.001"}, `said "x"; drop | 'y'`
	tells := list(testudo.AddressIndicator, "198.51.100.9")
	tells.Note = "10.0.0.5:443 went there"
	return Input{
		Indicators: []testudo.Indicator{
			list(testudo.AddressIndicator, "203.0.113.66"), list(testudo.AddressIndicator, "2001:db8:1::66"),
			list(testudo.PrefixIndicator, "198.51.100.0/24"), list(testudo.PrefixIndicator, "198.51.100.128/25"), list(testudo.PrefixIndicator, "2001:db8:2::/48"),
			list(testudo.DomainIndicator, "bad.example"), list(testudo.DomainIndicator, "under_score.example"), list(testudo.HostIndicator, "one.worse.example"),
			list(testudo.URLIndicator, "files.example/update/a.bin?x='1'"), list(testudo.EmailIndicator, "spy@bad.example"),
			list(testudo.AgentIndicator, `Mozilla/4.0 (compatible;  "x\y" | :)`),
			list(testudo.JA3Indicator, "e7d705a3286e19ea42f587b344ee6865"), list(testudo.JA4Indicator, "t13d190900_9dc949149365_97f8aa674fd9"),
			list(testudo.CertIndicator, "2c322ae2b7fe91391345e070b63668978bb1c9da"), list(testudo.CertIndicator, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
			list(testudo.HashIndicator, "d41d8cd98f00b204e9800998ecf8427e"), list(testudo.HashIndicator, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
			list(testudo.HashIndicator, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
			marked("cdn.example", testudo.MarkShared), marked("known.example", testudo.MarkKnown), marked("old.example", testudo.MarkExpired),
			marked("suffix.example", testudo.MarkSuffix), list(testudo.DomainIndicator, "co.uk"), list(testudo.AddressIndicator, "192.168.77.1"),
			list(testudo.PrefixIndicator, "203.0.0.0/8"), strict, unset, ended, ends, named, tells,
			list(testudo.AddressIndicator, "10.0.0.9"), list(testudo.DomainIndicator, "bad\nname.example"),
		},
		Incidents: []testudo.Incident{{
			ID: "INC-7F3K9QW2MX8D", Kind: testudo.Espionage, Severity: testudo.High, Confidence: 0.97,
			Title: "fin-pc-14 reports to 203.0.113.7 every 60 s", First: ago(3 * day), Last: ago(time.Hour),
			Victims:    []testudo.Victim{{Address: netip.MustParseAddr("10.0.0.5"), Name: "fin-pc-14"}, {Address: netip.MustParseAddr("192.0.2.80")}},
			Techniques: []string{"T1071.001", "T1573"},
			Servers: []testudo.NamedServer{
				{Server: testudo.Server{Address: netip.MustParseAddr("203.0.113.7"), Names: []string{"cdn-upd.example"}, Ports: []string{"tcp/443"}, Role: testudo.C2}, Confidence: 0.96},
				{Server: testudo.Server{Names: []string{"shared.example"}, Role: testudo.ExfilSink, Shared: true}, Confidence: 0.8},
				{Server: testudo.Server{Address: netip.MustParseAddr("10.0.0.6"), Names: []string{"dc01.corp.example"}, Role: testudo.Lateral}, Confidence: 0.9},
				{Server: testudo.Server{Names: []string{"x.secret.example"}, Role: testudo.Staging}, Confidence: 0.9},
				{Server: testudo.Server{Address: netip.MustParseAddr("198.51.100.53"), Role: testudo.Reflector}, Confidence: 0.9},
			},
			Sightings: []testudo.Sighting{{Detector: "beacon", Summary: "fin-pc-14 (10.0.0.5) every 60 s", Victims: []netip.Addr{netip.MustParseAddr("10.0.0.5")}}},
		}},
	}
}

func options() Options {
	return Options{Now: noon, Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
}
