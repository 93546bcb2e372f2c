// Package testudo holds the nouns that every stage of the shield shares:
// traffic time, the identity of a conversation, the records that sense
// writes, the sightings that detectors claim and the incidents that need a
// decision. It depends on the standard library only and does nothing by
// itself; read engine to see how the nouns travel.
package testudo

import (
	"math"
	"net/netip"
	"strconv"
	"time"
)

// Time is a moment of traffic time in nanoseconds since the Unix epoch. It
// comes in with the packets; the wall clock is never mixed with it.
type Time int64

// TimeOf converts t, dropping its zone.
func TimeOf(t time.Time) Time { return Time(t.UnixNano()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// Add returns t+d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the duration t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Seconds returns t as seconds since the epoch, for logs in Zeek's form.
func (t Time) Seconds() float64 { return float64(t) / 1e9 }

// String returns RFC 3339 in UTC with microseconds, the form of all data.
func (t Time) String() string { return t.Std().Format("2006-01-02T15:04:05.000000Z") }

// MarshalText writes the form of String.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UID names one conn. It is derived from the conversation and its start, so
// the same capture gives the same uid on every run; zero means none.
type UID uint64

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// String returns the uid in Zeek's look: a C and 11 characters.
func (u UID) String() string {
	var b [12]byte
	b[0] = 'C'
	for i := 11; i > 0; i-- {
		b[i] = base62[u%62]
		u /= 62
	}
	return string(b[:])
}

// MarshalText writes the form of String.
func (u UID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Proto is an IP protocol number.
type Proto uint8

// The transports that have conns of their own; any other number may occur.
const (
	ICMP   Proto = 1
	TCP    Proto = 6
	UDP    Proto = 17
	ICMPv6 Proto = 58
	SCTP   Proto = 132
)

// String returns Zeek's word for the transport, or the number.
func (p Proto) String() string {
	switch p {
	case ICMP, ICMPv6:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return "ip-" + strconv.Itoa(int(p))
}

// ConnID is a conversation's two ends. Orig began it. For ICMP the ports
// hold type and code, as in Zeek.
type ConnID struct {
	Orig, Resp netip.AddrPort
	Proto      Proto
}

// Entropy returns the Shannon entropy of b in bits a byte, 0 for nothing.
func Entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var n [256]int
	for _, c := range b {
		n[c]++
	}
	sum := 0.0
	for _, c := range n {
		if c < len(nlogn) {
			sum += nlogn[c]
		} else {
			sum += float64(c) * math.Log2(float64(c))
		}
	}
	return math.Log2(float64(len(b))) - sum/float64(len(b))
}

// nlogn is n times its binary logarithm.
var nlogn = func() (t [128]float64) {
	for n := 2; n < len(t); n++ {
		t[n] = float64(n) * math.Log2(float64(n))
	}
	return t
}()

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(b []byte) error {
	std, err := time.Parse(time.RFC3339Nano, string(b))
	if err == nil {
		*t = TimeOf(std)
	}
	return err
}
