package tls

import (
	"time"
	"unicode/utf16"

	"github.com/testudo-shield/testudo"
)

// The ASN.1 tags that certificates use.
const (
	tagBool        = 0x01
	tagInteger     = 0x02
	tagBits        = 0x03
	tagOctets      = 0x04
	tagOID         = 0x06
	tagTeletex     = 0x14
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagUniversal   = 0x1c
	tagBMP         = 0x1e
	tagSequence    = 0x30
	tagSet         = 0x31
)

// der walks DER values. It is lenient (a length may be longer than needed),
// because servers of ill will send certificates that are not strict.
type der struct{ b []byte }

// next takes one value off the front: its tag, its content and the whole.
func (d *der) next() (tag byte, body, whole []byte, ok bool) {
	b := d.b
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	n, head := int(b[1]), 2
	if n >= 0x80 {
		digits := n & 0x7f
		if digits == 0 || digits > 4 || len(b) < 2+digits {
			return 0, nil, nil, false
		}
		n, head = 0, 2+digits
		for _, c := range b[2:head] {
			n = n<<8 | int(c)
		}
	}
	if n < 0 || n > len(b)-head {
		return 0, nil, nil, false
	}
	d.b = b[head+n:]
	return b[0], b[head : head+n], b[:head+n], true
}

// want takes the next value if it has this tag.
func (d *der) want(tag byte) (body []byte, ok bool) {
	rest := d.b
	got, body, _, ok := d.next()
	if !ok || got != tag {
		d.b = rest
		return nil, false
	}
	return body, true
}

// Names of the attributes in a distinguished name, by the bytes of the OID,
// as OpenSSL and so Zeek write them.
func attributeName(oid []byte) string {
	if len(oid) == 3 && oid[0] == 0x55 && oid[1] == 0x04 {
		switch oid[2] {
		case 3:
			return "CN"
		case 4:
			return "SN"
		case 5:
			return "serialNumber"
		case 6:
			return "C"
		case 7:
			return "L"
		case 8:
			return "ST"
		case 9:
			return "street"
		case 10:
			return "O"
		case 11:
			return "OU"
		case 12:
			return "title"
		case 13:
			return "description"
		case 15:
			return "businessCategory"
		case 17:
			return "postalCode"
		case 42:
			return "GN"
		case 97:
			return "organizationIdentifier"
		}
	}
	switch string(oid) {
	case "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01":
		return "emailAddress"
	case "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02":
		return "unstructuredName"
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19":
		return "DC"
	case "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01":
		return "UID"
	case "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03":
		return "jurisdictionC"
	case "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02":
		return "jurisdictionST"
	case "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01":
		return "jurisdictionL"
	}
	return oidString(oid)
}

// maxDN bounds how much of a distinguished name is kept, in bytes and in
// attributes.
const (
	maxDN    = 1024
	maxParts = 32
)

// distinguishedName writes the content of a Name in RFC 2253 form: the last
// part first, parted by commas, special characters escaped.
func distinguishedName(name []byte) string {
	var room, turned [512]byte
	var ends [maxParts]int
	text, n := room[:0], 0
	for rdns := (der{name}); n < maxParts; n++ {
		set, ok := rdns.want(tagSet)
		if !ok {
			break
		}
		text = appendPart(text, set)
		ends[n] = len(text)
	}
	out := turned[:0]
	for n--; n >= 0; n-- {
		if len(out) > 0 {
			out = append(out, ',')
		}
		begin := 0
		if n > 0 {
			begin = ends[n-1]
		}
		if out = append(out, text[begin:ends[n]]...); len(out) > maxDN {
			return string(out[:maxDN])
		}
	}
	return string(out)
}

// appendPart writes one part of a name: its attributes, mostly one,
// joined by plus signs.
func appendPart(b, set []byte) []byte {
	begin := len(b)
	for d := (der{set}); len(b)-begin <= maxDN; {
		pair, ok := d.want(tagSequence)
		if !ok {
			break
		}
		p := der{pair}
		oid, _ := p.want(tagOID)
		tag, value, _, ok := p.next()
		if !ok {
			break
		}
		if len(b) > begin {
			b = append(b, '+')
		}
		b = append(append(b, attributeName(oid)...), '=')
		b = appendEscaped(b, derText(tag, value))
	}
	return b
}

// derText turns a string value into UTF-8 where its tag says how. What is
// UTF-8 already it returns as it is.
func derText(tag byte, b []byte) []byte {
	b = b[:min(len(b), maxDN)]
	switch tag {
	case tagBMP:
		units := make([]uint16, 0, len(b)/2)
		for ; len(b) >= 2; b = b[2:] {
			units = append(units, uint16(b[0])<<8|uint16(b[1]))
		}
		return []byte(string(utf16.Decode(units)))
	case tagUniversal:
		runes := make([]rune, 0, len(b)/4)
		for ; len(b) >= 4; b = b[4:] {
			runes = append(runes, rune(b[0])<<24|rune(b[1])<<16|rune(b[2])<<8|rune(b[3]))
		}
		return []byte(string(runes))
	case tagTeletex:
		runes := make([]rune, 0, len(b))
		for _, c := range b {
			runes = append(runes, rune(c))
		}
		return []byte(string(runes))
	}
	return b
}

// appendEscaped escapes what RFC 2253 section 2.4 lists.
func appendEscaped(b, text []byte) []byte {
	for i, c := range text {
		switch c {
		case ',', '+', '"', '\\', '<', '>', ';':
			b = append(b, '\\')
		case '#':
			if i == 0 {
				b = append(b, '\\')
			}
		case ' ':
			if i == 0 || i == len(text)-1 {
				b = append(b, '\\')
			}
		}
		b = append(b, c)
	}
	return b
}

// oidString writes the content of an OID in dotted form.
func oidString(b []byte) string {
	if len(b) == 0 || len(b) > 64 {
		return "oid"
	}
	out := make([]byte, 0, 48)
	var v uint64
	first := true
	for _, c := range b {
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(v/40, 2)
			out = append(appendUint(out, top), '.')
			out = appendUint(out, v-40*top)
			first = false
		} else {
			out = appendUint(append(out, '.'), v)
		}
		v = 0
	}
	return string(out)
}

// derTime reads UTCTime or GeneralizedTime, seconds and zone optional, and
// returns 0 for what is neither. Years that nanoseconds cannot hold are
// clamped to the first or last moment they can.
func derTime(tag byte, b []byte) testudo.Time {
	s := string(b)
	layouts := [...]string{"20060102150405Z0700", "200601021504Z0700", "20060102150405", "20060102150405.999999999Z0700"}
	switch tag {
	case tagUTCTime:
		if len(s) < 2 {
			return 0
		}
		if s[0] >= '5' {
			s = "19" + s
		} else {
			s = "20" + s
		}
	case tagGeneralTime:
	default:
		return 0
	}
	for _, l := range layouts {
		t, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		switch {
		case t.Year() > 2261:
			return testudo.Time(1<<63 - 1)
		case t.Year() < 1678:
			return testudo.Time(-1 << 63)
		}
		return testudo.TimeOf(t)
	}
	return 0
}
