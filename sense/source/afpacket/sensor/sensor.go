// Package sensor hands open packet sockets from a small process that may
// read packets to one that may do nothing. Serve is the side with the right:
// it parses no packet, takes requests of one form from the users it was told
// of, and passes the sockets on. Client is the other side; its Sockets is
// what afpacket.Config asks for. afpacket/DESIGN.md says why.
//
// One connection is one request: a message with an afpacket.Spec as JSON,
// answered by one message with the sockets beside it (SCM_RIGHTS). It then
// stays open, without a word, for as long as the sockets are in use; that is
// how they are counted.
package sensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/testudo-shield/testudo/sense/source/afpacket"
)

// Config is what Serve needs. Zero values take the defaults.
type Config struct {
	Path string // of the Unix socket
	// UIDs and GIDs are who may ask: a user, or a primary group. The socket
	// is given to the first of the groups. Nobody else is answered, root
	// neither.
	UIDs, GIDs []int
	// Interfaces are those that may be asked for; all by default.
	Interfaces []string
	// MaxSockets is how many may be in use at a time; 64 by default.
	MaxSockets int
	// Ready is called once requests are answered; nil for nobody.
	Ready func()
	// Log is told who got or was refused what, in a sentence; it may be
	// called from many goroutines at once.
	Log func(string)
}

// Client asks the sensor that listens at Path.
type Client struct {
	Path string
	// UIDs is who may answer: root and the own user by default.
	UIDs []int
}

const (
	maxMessage     = 192 << 10 // a filter of 4,096 instructions fits
	maxSockets     = 64
	idlePeers      = 8 // connections that have no sockets yet
	requestTimeout = 2 * time.Second
	answerTimeout  = 5 * time.Second // large rings take a while
)

// answer is what comes back with the sockets.
type answer struct {
	Index int    `json:"index,omitempty"` // of the interface
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"` // which of the known errors it is
}

// kinds are the errors that keep their meaning on the way.
func kinds() map[string]error {
	return map[string]error{"permission": afpacket.ErrPermission, "no_interface": afpacket.ErrNoInterface, "down": afpacket.ErrDown}
}

func refusal(err error) answer {
	a := answer{Error: err.Error()}
	for kind, known := range kinds() {
		if errors.Is(err, known) {
			a.Kind = kind
		}
	}
	return a
}

// err is what the other side meant.
func (a answer) err() error {
	known := kinds()[a.Kind]
	switch {
	case a.Error == "":
		return nil
	case known == nil:
		return errors.New(a.Error)
	}
	return told{a.Error, known}
}

// told is a known error in the words of the process that met it.
type told struct {
	text  string
	known error
}

func (e told) Error() string { return e.text }
func (e told) Unwrap() error { return e.known }

// parseRequest reads the one form that is accepted. Bounds of the numbers are
// afpacket.OpenSockets's to hold.
func parseRequest(message []byte, allowed []string) (afpacket.Spec, error) {
	var spec afpacket.Spec
	if len(message) > maxMessage {
		return spec, fmt.Errorf("request of more than %d bytes", maxMessage)
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return spec, fmt.Errorf("malformed request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec, errors.New("malformed request: something follows it")
	}
	if spec.Rings < 1 || spec.Rings > maxSockets {
		return spec, fmt.Errorf("malformed request: %d rings", spec.Rings)
	}
	if len(allowed) > 0 && !slices.Contains(allowed, spec.Interface) {
		return spec, fmt.Errorf("interface %q is not among those this sensor may open", spec.Interface)
	}
	spec.Locked = true
	return spec, nil
}
