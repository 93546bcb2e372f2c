// Package ntp reads network time (RFC 5905) and its control and private
// messages (RFC 9327 and the reference implementation's mode 7), whose large
// answers are used to flood others.
package ntp

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

const (
	timeLen    = 48          // the fixed part of modes 1 to 5
	controlLen = 12          // of mode 6
	privateLen = 8           // of mode 7
	pause      = time.Minute // between records of time messages in one direction
	maxOdd     = 64          // records of control and private messages; then one a pause
)

// Modes (RFC 5905, figure 10).
const (
	modeClient    = 3
	modeServer    = 4
	modeBroadcast = 5
	modeControl   = 6
	modePrivate   = 7
)

// Protocol describes NTP. Analyzers of one shard share their slab.
func Protocol() protocol.Protocol {
	return protocol.Protocol{
		Name:  "ntp",
		Over:  protocol.OverUDP,
		Ports: []uint16{123},
		Probe: probe,
		Open: func(*protocol.Records) func() protocol.Analyzer {
			s := &shard{}
			return func() protocol.Analyzer { return &analyzer{shard: s} }
		},
	}
}

type shard struct {
	records protocol.Slab[testudo.NTP]
}

type analyzer struct {
	*shard
	last    [2]testudo.Time // record of a time message, each direction
	lastOdd [2]testudo.Time
	odd     int // control and private records
	weird   bool
}

// Data implements protocol.Analyzer.
func (a *analyzer) Data(f *protocol.Flow, dir protocol.Dir, b []byte) int {
	if !plausible(b) {
		if !a.weird {
			a.weird = true
			f.Weird("NTP", "ntp_malformed", "")
		}
		return len(b)
	}
	mode := mode(b)
	switch {
	case mode < modeControl:
		if !due(&a.last[dir], f.Now) {
			return len(b)
		}
	case a.odd < maxOdd:
		a.odd++
		a.lastOdd[dir] = f.Now
	default:
		if !due(&a.lastOdd[dir], f.Now) {
			return len(b)
		}
	}
	r := a.records.New()
	r.Version, r.Mode, r.Size = version(b), mode, len(b)
	if mode < modeControl {
		fill(f, r, b)
	}
	f.Emit(r)
	return len(b)
}

// due tells whether a record may be written again, and notes that it is.
func due(last *testudo.Time, now testudo.Time) bool {
	if *last != 0 && now.Sub(*last) < pause {
		return false
	}
	*last = now
	return true
}

func fill(f *protocol.Flow, r *testudo.NTP, b []byte) {
	r.Stratum = int(b[1])
	r.Poll = power(int8(b[2]))
	r.Precision = power(int8(b[3]))
	r.RootDelay = short(b[4:])
	r.RootDisp = short(b[8:])
	r.RefID = reference(f, r.Stratum, b[12:16])
	r.RefTime = timestamp(b[16:])
	r.OrgTime = timestamp(b[24:])
	r.RecTime = timestamp(b[32:])
	r.XmtTime = timestamp(b[40:])
	r.NumExts = extensions(b[timeLen:])
}

func version(b []byte) int { return int(b[0] >> 3 & 7) }
func mode(b []byte) int    { return int(b[0] & 7) }

// power returns two to the n seconds, which poll and precision are written
// as; what is out of reason gives the bound.
func power(n int8) time.Duration {
	return time.Duration(math.Ldexp(float64(time.Second), min(int(n), 30)))
}

// short reads a 16.16 fixed-point number of seconds.
func short(b []byte) time.Duration {
	return time.Duration(uint64(binary.BigEndian.Uint32(b)) * uint64(time.Second) >> 16)
}

const (
	era0 = -2208988800         // 1900-01-01 in seconds since the Unix epoch
	era1 = era0 + int64(1)<<32 // 2036-02-07
)

// timestamp reads a 32.32 fixed-point time. Seconds below 2^31 are taken for
// the era that begins in 2036; zero stays zero: not known.
func timestamp(b []byte) testudo.Time {
	v := binary.BigEndian.Uint64(b)
	if v == 0 {
		return 0
	}
	sec, frac := int64(v>>32), v&math.MaxUint32
	if sec < 1<<31 {
		sec += era1
	} else {
		sec += era0
	}
	return testudo.Time(sec*int64(time.Second) + int64(frac*uint64(time.Second)>>32))
}

// reference reads the reference identifier: four characters for a clock or a
// kiss code, else an IPv4 address (of an IPv6 one a hash that looks the same).
func reference(f *protocol.Flow, stratum int, b []byte) string {
	var t [16]byte
	if stratum >= 2 {
		return f.Intern(netip.AddrFrom4([4]byte(b)).AppendTo(t[:0]))
	}
	const hexDigits = "0123456789abcdef"
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	out := t[:0]
	for _, c := range b {
		if c < ' ' || c > '~' || c == '\\' {
			out = append(out, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			out = append(out, c)
		}
	}
	return f.Intern(out)
}

// extensions counts the extension fields (RFC 7822) before the code that
// authenticates, if any.
func extensions(b []byte) int {
	n := 0
	for len(b) > 24 || len(b) == 16 {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 16 || size%4 != 0 || size > len(b) {
			break
		}
		b = b[size:]
		n++
	}
	return n
}

// Gap implements protocol.Analyzer.
func (a *analyzer) Gap(*protocol.Flow, protocol.Dir, int) {}

// End implements protocol.Analyzer.
func (a *analyzer) End(*protocol.Flow) {}

// Reset implements protocol.Analyzer.
func (a *analyzer) Reset() { *a = analyzer{shard: a.shard} }
