// Package smtp reads mail on its way (RFC 5321, RFC 3030, RFC 4954): one
// testudo.SMTP a message, or one a session in which no message went. Of
// log-ins it keeps the account and never the password; of bodies the first
// 512 bytes of text; of attachments the name and the kind by content.
//
// Strings are the foreign bytes as they came; whoever prints them escapes.
package smtp

import (
	"bytes"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// Limits on what a peer can make us hold or write down.
const (
	maxLine    = 4096 // bytes of a line that are waited for
	maxString  = 512
	maxList    = 64 // recipients and attachments kept
	maxPending = 64 // commands waiting for their reply
)

// Protocol describes SMTP to flow.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "smtp",
		Over:  protocol.OverTCP,
		Ports: []uint16{25, 587, 2525},
		Probe: probe,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shared{}
			return func() protocol.Analyzer { return &analyzer{shared: s} }
		},
	}
}

// shared is what the analyzers of one shard have in common.
type shared struct {
	records protocol.Slab[testudo.SMTP]
}

// probe trusts a client's greeting, or a server's that says what it is.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	v := protocol.No
	if len(orig) > 0 {
		for _, word := range []string{"EHLO", "HELO", "LHLO", "MAIL FROM:"} {
			n := min(len(orig), len(word))
			if !foldPrefix(orig, word[:n]) {
				continue
			}
			if n < len(word) {
				v = protocol.Maybe
			} else if n == len(orig) || orig[n] == ' ' || orig[n] == '\r' || orig[n] == '\n' || orig[n] == '<' {
				return protocol.Yes
			}
		}
		if v == protocol.No {
			return v
		}
	}
	const ready = "220"
	n := min(len(resp), len(ready))
	if string(resp[:n]) != ready[:n] || n == 0 && len(orig) == 0 {
		return protocol.No
	}
	if n < len(ready) || len(resp) == n {
		return protocol.Maybe
	}
	if resp[n] != ' ' && resp[n] != '-' {
		return protocol.No
	}
	if line, _, whole := bytes.Cut(resp, []byte("\n")); whole && bytes.Contains(bytes.ToUpper(line), []byte("SMTP")) {
		return protocol.Yes
	}
	return protocol.Maybe
}

// foldPrefix tells whether b begins with s; case does not count.
func foldPrefix(b []byte, s string) bool {
	return len(b) >= len(s) && bytes.EqualFold(b[:len(s)], []byte(s))
}

func cut(b []byte, n int) []byte { return b[:min(len(b), n)] }

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}
