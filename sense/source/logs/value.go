package logs

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/testudo-shield/testudo"
)

// ErrValue is a value that is not of its column's type. The line is counted
// as malformed, so that the text is never shown.
var ErrValue = errors.New("a value is not of its field's type")

const (
	// MaxSeconds is about the widest span that fits in nanoseconds. Wider
	// ones, such as the end of a certificate "for ever", are cut to it.
	MaxSeconds = 9_200_000_000
	// MaxTraffic bounds ts, so that a duration can be added to it.
	MaxTraffic = 4_000_000_000
	// Whole numbers between these are milliseconds since the epoch (1985 to
	// 2286): in seconds they would lie beyond the year 9999.
	minMillis, maxMillis = 500_000_000_000, 10_000_000_000_000
)

// Seconds reads seconds with any number of decimals, rounded to the
// nanosecond, without going through a float where it is plain.
func Seconds(b []byte) (int64, error) {
	i, neg := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		i++
	}
	start, sec := i, int64(0)
	for ; i < len(b) && isDigit(b[i]); i++ {
		sec = min(sec*10+int64(b[i]-'0'), MaxSeconds)
	}
	digits, ns := i-start, int64(0)
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && isDigit(b[i]); i++ {
			if i < point+9 {
				ns = ns*10 + int64(b[i]-'0')
			} else if i == point+9 {
				ns += int64(b[i]-'0') / 5 // to the nearest
			}
		}
		digits += i - point
		for places := i - point; places < 9; places++ {
			ns *= 10
		}
	}
	if i < len(b) || digits == 0 {
		return floatSeconds(b)
	}
	if ns += sec * 1e9; neg {
		ns = -ns
	}
	return ns, nil
}

// floatSeconds reads what Seconds leaves: exponents.
func floatSeconds(b []byte) (int64, error) {
	f, err := ParseFloat(b)
	if err != nil {
		return 0, err
	}
	f = max(-MaxSeconds, min(f, MaxSeconds))
	return int64(math.Round(f * 1e9)), nil
}

// ParseTime reads a time as Zeek writes it: seconds since the epoch, or, in
// JSON, milliseconds or RFC 3339.
func ParseTime(b []byte) (testudo.Time, error) {
	if len(b) >= len("2006-01-02T15:04:05") && b[4] == '-' {
		t, err := time.Parse(time.RFC3339Nano, string(b))
		if err != nil {
			return 0, ErrValue
		}
		if s := t.Unix(); s > MaxSeconds || s < -MaxSeconds {
			return testudo.Time(max(-MaxSeconds, min(s, MaxSeconds)) * 1e9), nil
		}
		return testudo.TimeOf(t), nil
	}
	ns, err := Seconds(b)
	if ns >= MaxSeconds*1e9 {
		if n, err := ParseInt(b); err == nil && n > minMillis && n < maxMillis {
			return testudo.Time(n * 1e6), nil
		}
	}
	return testudo.Time(ns), err
}

// TrafficTime reads a time that a record is put in order by.
func TrafficTime(b []byte) (testudo.Time, error) {
	t, err := ParseTime(b)
	if err == nil && (t > MaxTraffic*1e9 || t < -MaxTraffic*1e9) {
		err = ErrValue
	}
	return t, err
}

// ParseInt reads a whole number, also one written as a float.
func ParseInt(b []byte) (int64, error) {
	if len(b) > 0 && len(b) <= 18 {
		n, i, neg := int64(0), 0, b[0] == '-'
		if neg {
			i++
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
			n = n*10 + int64(b[i]-'0')
		}
		if i == len(b) && (!neg || len(b) > 1) {
			if neg {
				n = -n
			}
			return n, nil
		}
	}
	f, err := ParseFloat(b)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, ErrValue
	}
	return int64(f), nil
}

// ParseFloat reads a finite number.
func ParseFloat(b []byte) (float64, error) {
	if len(b) == 0 || len(b) > 400 || !isDigit(b[0]) && b[0] != '-' && b[0] != '+' && b[0] != '.' {
		return 0, ErrValue
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, ErrValue
	}
	return f, nil
}

// ParsePort reads a port with or without "/tcp".
func ParsePort(b []byte) (uint16, error) {
	for i, c := range b {
		if c == '/' {
			b = b[:i]
			break
		}
	}
	n, err := ParseInt(b)
	if err != nil || n < 0 || n > math.MaxUint16 {
		return 0, ErrValue
	}
	return uint16(n), nil
}

// ParseBool reads Zeek's T and F and JSON's true and false.
func ParseBool(b []byte) (bool, error) {
	switch string(b) {
	case "T", "true", "1":
		return true, nil
	case "F", "false", "0":
		return false, nil
	}
	return false, ErrValue
}

// ParseAddr reads an address, also in brackets; zones are dropped.
func ParseAddr(b []byte) (netip.Addr, error) {
	if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	if len(b) > 64 {
		return netip.Addr{}, ErrValue
	}
	if a, ok := parseIPv4(b); ok {
		return a, nil
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}, ErrValue
	}
	return a.Unmap().WithZone(""), nil
}

// parseIPv4 reads a dotted quad without making a string of it.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var q [4]byte
	part, n, digits := 0, 0, 0
	for _, c := range b {
		switch {
		case isDigit(c) && digits < 3:
			n, digits = n*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && part < 3 && n < 256:
			q[part] = byte(n)
			part, n, digits = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 || n > 255 {
		return netip.Addr{}, false
	}
	q[3] = byte(n)
	return netip.AddrFrom4(q), true
}

// ParseProto reads Zeek's word for a transport; icmp becomes ICMPv6 later
// where the addresses say so.
func ParseProto(b []byte) (testudo.Proto, error) {
	switch string(b) {
	case "tcp":
		return testudo.TCP, nil
	case "udp":
		return testudo.UDP, nil
	case "icmp":
		return testudo.ICMP, nil
	case "icmp6", "ipv6-icmp":
		return testudo.ICMPv6, nil
	case "sctp":
		return testudo.SCTP, nil
	}
	return 0, nil
}

// ParseUID turns a uid of any program into ours. One that we wrote is read
// back; any other is hashed (FNV-1a, 64 bits, mixed once more).
func ParseUID(b []byte) testudo.UID {
	if len(b) == 0 {
		return 0
	}
	if u, ok := ownUID(b); ok {
		return u
	}
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return testudo.UID(max(h, 1))
}

// ownUID reads what testudo.UID prints: C and 11 digits to the base 62.
func ownUID(b []byte) (testudo.UID, bool) {
	if len(b) != 12 || b[0] != 'C' {
		return 0, false
	}
	var u uint64
	for _, c := range b[1:] {
		d := uint64(digits62[c])
		if d == 0 || u > (math.MaxUint64-d+1)/62 {
			return 0, false
		}
		u = u*62 + d - 1
	}
	return testudo.UID(u), u != 0
}

// digits62 is one more than a digit's value to the base 62, 0 for none: with
// a table the processor has no digit's kind to guess.
var digits62 = func() (t [256]uint8) {
	for i, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = uint8(i) + 1
	}
	return t
}()

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Unescape appends b with \xNN and \\ turned back into bytes.
func Unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			if b[i+1] == '\\' {
				dst = append(dst, '\\')
				i++
				continue
			}
			if c, ok := hexEscape(b[i:]); ok {
				dst = append(dst, c)
				i += 3
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}

// hexEscape reads \xNN at the start of b.
func hexEscape(b []byte) (byte, bool) {
	if len(b) < 4 || b[1] != 'x' {
		return 0, false
	}
	hi, lo := hexDigit(b[2]), hexDigit(b[3])
	return hi<<4 | lo, hi < 16 && lo < 16
}

// hexDigit returns a digit's value, 255 for none.
func hexDigit(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
