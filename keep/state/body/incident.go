package body

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// story is a testudo.Incident as it is stored. ID, kind, severity and times
// stand in columns, its sightings in their own table.
type story struct {
	Score       number   `json:"score"`
	Confidence  number   `json:"confidence"`
	Title       text     `json:"title"`
	Victims     []victim `json:"victims,omitzero"`
	Servers     []server `json:"servers,omitzero"`
	Techniques  []text   `json:"techniques,omitzero"`
	Explanation []reason `json:"explanation,omitzero"`
	Innocent    []text   `json:"innocent,omitzero"`
}

type victim struct {
	Address netip.Addr `json:"address"`
	Name    text       `json:"name,omitzero"`
}

// Incident writes all but ID, kind, severity, urgency, times and sightings.
func Incident(inc *testudo.Incident) ([]byte, error) {
	return json.Marshal(story{
		Score: number(inc.Score), Confidence: number(inc.Confidence), Title: text(inc.Title),
		Victims: each(inc.Victims, func(v testudo.Victim) victim { return victim{v.Address, text(v.Name)} }),
		Servers: each(inc.Servers, func(n testudo.NamedServer) server {
			s := serverOf(n.Server)
			s.Confidence = number(n.Confidence)
			return s
		}),
		Techniques: texts(inc.Techniques), Explanation: each(inc.Explanation, reasonOf), Innocent: texts(inc.Innocent),
	})
}

// ReadIncident fills in what Incident wrote in a format.
func ReadIncident(version int, data []byte, inc *testudo.Incident) error {
	var b story
	if err := decode(version, data, &b); err != nil {
		return fmt.Errorf("incident %s: %w", inc.ID, err)
	}
	inc.Score, inc.Confidence, inc.Title = float64(b.Score), float64(b.Confidence), string(b.Title)
	inc.Victims = each(b.Victims, func(v victim) testudo.Victim { return testudo.Victim{Address: v.Address, Name: string(v.Name)} })
	inc.Servers = each(b.Servers, func(s server) testudo.NamedServer {
		return testudo.NamedServer{Server: s.server(), Confidence: float64(s.Confidence)}
	})
	inc.Techniques, inc.Innocent = plain(b.Techniques), plain(b.Innocent)
	inc.Explanation = each(b.Explanation, reason.reason)
	return nil
}
