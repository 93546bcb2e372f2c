// Package body writes sightings and incidents as the JSON that a state keeps
// of them, and reads it back with every type and byte as it was. The nouns'
// own JSON is for readers: it rounds times and forgets whether a number was
// an int.
package body

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/testudo-shield/testudo"
)

// What is wrong with what is written or read.
var (
	ErrType    = errors.New("cannot be stored")                        // a value of a type that facts have not
	ErrVersion = errors.New("its body was written by another version") // of a Format that is not ours
	ErrBroken  = errors.New("its body is broken")
)

// Format is the version of the JSON in the column body, which the column
// format states beside it. It grows when a field changes its meaning; a
// field that is added keeps it.
const Format = 1

// sighting is a testudo.Sighting as it is stored. Detector, Key and the times
// stand in columns. nil and empty lists are told apart.
type sighting struct {
	Kind       testudo.Kind    `json:"kind"`
	Outcome    testudo.Outcome `json:"outcome"`
	Victims    []netip.Addr    `json:"victims,omitzero"`
	Servers    []server        `json:"servers,omitzero"`
	Title      text            `json:"title"`
	Summary    text            `json:"summary"`
	Reasons    []reason        `json:"reasons,omitzero"`
	Innocent   text            `json:"innocent,omitzero"`
	Techniques []text          `json:"techniques,omitzero"`
	Evidence   []fact          `json:"evidence,omitzero"`
	UIDs       []uid           `json:"uids,omitzero"`
}

type server struct {
	Address    netip.Addr         `json:"address"`
	Names      []text             `json:"names,omitzero"`
	Ports      []text             `json:"ports,omitzero"`
	Role       testudo.ServerRole `json:"role"`
	Shared     bool               `json:"shared,omitzero"`
	Confidence number             `json:"confidence,omitzero"`
}

type reason struct {
	Family testudo.Family `json:"family"`
	Weight number         `json:"weight"`
	Text   text           `json:"text"`
}

func serverOf(s testudo.Server) server {
	return server{s.Address, texts(s.Names), texts(s.Ports), s.Role, s.Shared, 0}
}

func (s server) server() testudo.Server {
	return testudo.Server{Address: s.Address, Names: plain(s.Names), Ports: plain(s.Ports), Role: s.Role, Shared: s.Shared}
}

func reasonOf(r testudo.Reason) reason { return reason{r.Family, number(r.Weight), text(r.Text)} }

func (r reason) reason() testudo.Reason {
	return testudo.Reason{Family: r.Family, Weight: float64(r.Weight), Text: string(r.Text)}
}

// Sighting writes all but Detector, Key and the times.
func Sighting(s *testudo.Sighting) ([]byte, error) {
	b := sighting{
		Kind: s.Kind, Outcome: s.Outcome, Victims: s.Victims,
		Servers: each(s.Servers, serverOf), Title: text(s.Title), Summary: text(s.Summary),
		Reasons: each(s.Reasons, reasonOf), Innocent: text(s.Innocent), Techniques: texts(s.Techniques),
		UIDs: each(s.UIDs, func(u testudo.UID) uid { return uid(u) }),
	}
	if s.Evidence != nil {
		b.Evidence = make([]fact, len(s.Evidence))
	}
	for i, f := range s.Evidence {
		var err error
		if b.Evidence[i], err = factOf(f); err != nil {
			return nil, fmt.Errorf("sighting %s %q: %w", s.Detector, s.Key, err)
		}
	}
	return json.Marshal(b)
}

// ReadSighting fills in what Sighting wrote in a format.
func ReadSighting(version int, data []byte, s *testudo.Sighting) error {
	var b sighting
	if err := decode(version, data, &b); err != nil {
		return fmt.Errorf("sighting %s %q: %w", s.Detector, s.Key, err)
	}
	s.Kind, s.Outcome, s.Victims = b.Kind, b.Outcome, b.Victims
	s.Servers, s.Reasons = each(b.Servers, server.server), each(b.Reasons, reason.reason)
	s.Title, s.Summary, s.Innocent = string(b.Title), string(b.Summary), string(b.Innocent)
	s.Techniques = plain(b.Techniques)
	s.UIDs = each(b.UIDs, func(u uid) testudo.UID { return testudo.UID(u) })
	if b.Evidence != nil {
		s.Evidence = make([]testudo.Fact, len(b.Evidence))
	}
	for i, f := range b.Evidence {
		var err error
		if s.Evidence[i], err = f.fact(); err != nil {
			return fmt.Errorf("sighting %s %q: %w: %w", s.Detector, s.Key, ErrBroken, err)
		}
	}
	return nil
}

func decode(version int, data []byte, into any) error {
	if version != Format {
		return fmt.Errorf("%w: of format %d, this program reads %d", ErrVersion, version, Format)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}
