package body

import (
	"math"
	"net/netip"
	"testing"

	"github.com/testudo-shield/testudo"
)

// FuzzDecode holds that whatever stands in a stored body, it is read or
// refused; and that what was read is written and read as the same again.
func FuzzDecode(f *testing.F) {
	s := testudo.Sighting{
		Victims: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, Title: "a \xff",
		Servers:  []testudo.Server{{Names: []string{"spy.example"}, Ports: []string{}}},
		Reasons:  []testudo.Reason{{Family: testudo.Base, Weight: math.Inf(-1)}},
		Evidence: []testudo.Fact{{Name: "n", Value: 1}, {Value: int64(2)}, {Value: 2.5}, {Value: []string{"x"}}, {Value: true}, {Value: "y"}},
		UIDs:     []testudo.UID{1, math.MaxUint64},
	}
	inc := testudo.Incident{Victims: []testudo.Victim{{Name: "pc"}}, Servers: []testudo.NamedServer{{Confidence: 1}}, Explanation: s.Reasons}
	body, _ := Sighting(&s)
	f.Add(1, body)
	body, _ = Incident(&inc)
	f.Add(1, body)
	f.Add(2, []byte("{}"))
	f.Add(1, []byte(`{"evidence":[{"name":"x","type":"float64","value":"NaN"},{"type":"strings"}],"uids":["Czzzzzzzzzzz"],"title":{"base64":"/w=="}}`))
	f.Fuzz(func(t *testing.T, version int, data []byte) {
		var got testudo.Sighting
		if ReadSighting(version, data, &got) == nil {
			again, err := Sighting(&got)
			if err != nil {
				t.Fatal(err)
			}
			var twice testudo.Sighting
			if err := ReadSighting(Format, again, &twice); err != nil {
				t.Fatalf("%v: %s", err, again)
			}
			if thrice, _ := Sighting(&twice); string(thrice) != string(again) {
				t.Fatalf("%s\n%s", again, thrice)
			}
		}
		var one, two testudo.Incident
		if ReadIncident(version, data, &one) == nil {
			again, err := Incident(&one)
			if err != nil {
				t.Fatal(err)
			}
			if err := ReadIncident(Format, again, &two); err != nil || len(one.Victims) != len(two.Victims) {
				t.Fatalf("%v: %s", err, again)
			}
		}
		if list, err := ReadStrings(data); err == nil {
			if _, err := Strings(list); err != nil {
				t.Fatal(err)
			}
		}
	})
}
