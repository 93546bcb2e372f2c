// Package ftp reads the control channel of FTP (RFC 959, RFC 2428, RFC 4217)
// and announces the data channels it negotiates. One testudo.FTP is written
// for each command worth keeping, at its reply: log-ins, transfers, listings
// and the commands that open data channels. Passwords are not kept, except
// what stands in for one in an anonymous log-in.
//
// Strings are the foreign bytes as they came; whoever prints them escapes.
package ftp

import (
	"bytes"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// Limits on what a peer can make us hold or write down.
const (
	maxLine    = 4096
	maxString  = 512
	maxPending = 32 // commands waiting for their reply
)

// Protocol describes FTP's control channel to flow.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "ftp",
		Over:  protocol.OverTCP,
		Ports: []uint16{21, 2121},
		Probe: probe,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shared{}
			return func() protocol.Analyzer { return &analyzer{shared: s} }
		},
	}
}

// DataProtocol describes FTP's data channels to flow: reached by Expect only,
// they write no record of their own, for the conn tells their bytes and the
// control channel what they were.
func DataProtocol() protocol.Protocol {
	return protocol.Protocol{
		Name: "ftp-data",
		Over: protocol.OverTCP,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			return func() protocol.Analyzer { return carrier{} }
		},
	}
}

// carrier reads nothing of a data channel.
type carrier struct{}

func (carrier) Data(f *protocol.Flow, _ protocol.Dir, data []byte) int {
	f.Done()
	return len(data)
}
func (carrier) Gap(*protocol.Flow, protocol.Dir, int) {}
func (carrier) End(*protocol.Flow)                    {}
func (carrier) Reset()                                {}

// shared is what the analyzers of one shard have in common.
type shared struct {
	records protocol.Slab[testudo.FTP]
}

// probe wants a server that says FTP, or one that says 220 to a client that
// then speaks it: SMTP, too, greets with 220. Where the start was not
// captured, a server's answer to PASV tells.
func probe(_ testudo.ConnID, orig, resp []byte) protocol.Verdict {
	if len(orig) >= 4 && bytes.EqualFold(orig[:4], []byte("PASV")) {
		if _, ok := passive(cut(resp[min(4, len(resp)):], 120)); ok && string(resp[:4]) == "227 " {
			return protocol.Yes
		}
		if len(resp) < 4 {
			return protocol.Maybe
		}
	}
	const ready = "220"
	n := min(len(resp), len(ready))
	if string(resp[:n]) != ready[:n] || n == 0 && len(orig) == 0 {
		return protocol.No
	}
	if len(resp) > n && resp[n] != ' ' && resp[n] != '-' {
		return protocol.No
	}
	line, _, whole := bytes.Cut(resp, []byte("\n"))
	upper := bytes.ToUpper(line)
	if whole && bytes.Contains(upper, []byte("FTP")) && !bytes.Contains(upper, []byte("SMTP")) {
		return protocol.Yes
	}
	if len(orig) == 0 {
		return protocol.Maybe
	}
	for _, verb := range []string{"USER ", "AUTH TLS", "AUTH SSL", "FEAT", "SYST", "OPTS ", "PASS ", "HOST "} {
		if k := min(len(orig), len(verb)); bytes.EqualFold(orig[:k], []byte(verb[:k])) {
			if k == len(verb) && n == len(ready) {
				return protocol.Yes
			}
			return protocol.Maybe
		}
	}
	return protocol.No
}

// numbers reads the six decimal numbers of PORT and of the reply to PASV
// (RFC 959): four of the address, two of the port.
func numbers(b []byte) (netip.AddrPort, bool) {
	var n [6]int
	at, digits := 0, 0
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] >= '0' && b[i] <= '9' {
			if n[at] = n[at]*10 + int(b[i]-'0'); n[at] > 255 {
				return netip.AddrPort{}, false
			}
			digits++
			continue
		}
		if digits == 0 {
			return netip.AddrPort{}, false
		}
		if at++; at == 6 {
			ip := netip.AddrFrom4([4]byte{byte(n[0]), byte(n[1]), byte(n[2]), byte(n[3])})
			return netip.AddrPortFrom(ip, uint16(n[4]<<8|n[5])), true
		}
		if i == len(b) || b[i] != ',' {
			return netip.AddrPort{}, false
		}
		for digits = 0; i+1 < len(b) && b[i+1] == ' '; i++ {
		}
	}
	return netip.AddrPort{}, false
}

// passive finds the six numbers in the text of a reply to PASV; not every
// server puts them in parentheses.
func passive(text []byte) (netip.AddrPort, bool) {
	for i := range text {
		if text[i] >= '0' && text[i] <= '9' && (i == 0 || text[i-1] < '0' || text[i-1] > '9') {
			if ap, ok := numbers(text[i:]); ok {
				return ap, true
			}
		}
	}
	return netip.AddrPort{}, false
}

// extended reads "|1|192.0.2.1|1234|" of EPRT, and "|||1234|" of the reply
// to EPSV (RFC 2428), in which the address is the server's own.
func extended(b []byte, server netip.Addr) (netip.AddrPort, bool) {
	if i := bytes.IndexByte(b, '('); i >= 0 {
		b = b[i+1:]
	}
	if len(b) < 5 {
		return netip.AddrPort{}, false
	}
	parts := bytes.SplitN(b[1:min(len(b), 80)], b[:1], 4)
	if len(parts) < 3 {
		return netip.AddrPort{}, false
	}
	ip := server
	if len(parts[1]) > 0 {
		var err error
		if ip, err = netip.ParseAddr(string(parts[1])); err != nil {
			return netip.AddrPort{}, false
		}
		ip = ip.Unmap().WithZone("")
	}
	port := 0
	for _, c := range parts[2] {
		if c < '0' || c > '9' || port > 65535 {
			return netip.AddrPort{}, false
		}
		port = port*10 + int(c-'0')
	}
	if port == 0 || port > 65535 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip, uint16(port)), true
}
