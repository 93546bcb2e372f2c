package state

import (
	"testing"

	"github.com/testudo-shield/testudo"
)

// FuzzDecode holds that whatever stands in a stored body, it is read or
// refused; and that what was read is written and read as the same again.
func FuzzDecode(f *testing.F) {
	s := sighting("beacon", "key", 0)
	inc := incident("INC-000000000001", s)
	body, _ := encodeSighting(&s)
	f.Add(1, body)
	body, _ = encodeIncident(&inc)
	f.Add(1, body)
	f.Add(2, []byte("{}"))
	f.Add(1, []byte(`{"evidence":[{"name":"x","type":"float64","value":"NaN"},{"type":"strings"}],"uids":["Czzzzzzzzzzz"],"title":{"base64":"/w=="}}`))
	f.Fuzz(func(t *testing.T, version int, data []byte) {
		var got testudo.Sighting
		if decodeSighting(version, data, &got) == nil {
			again, err := encodeSighting(&got)
			if err != nil {
				t.Fatal(err)
			}
			var twice testudo.Sighting
			if err := decodeSighting(format, again, &twice); err != nil {
				t.Fatalf("%v: %s", err, again)
			}
			if thrice, _ := encodeSighting(&twice); string(thrice) != string(again) {
				t.Fatalf("%s\n%s", again, thrice)
			}
		}
		var one, two testudo.Incident
		if decodeIncident(version, data, &one) == nil {
			again, err := encodeIncident(&one)
			if err != nil {
				t.Fatal(err)
			}
			if err := decodeIncident(format, again, &two); err != nil || len(one.Victims) != len(two.Victims) {
				t.Fatalf("%v: %s", err, again)
			}
		}
		var ind testudo.Indicator
		decodeThreats(data, &ind)
		decodeLost(data)
	})
}
