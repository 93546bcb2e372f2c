package quic

// maxCrypto is how much of one side's handshake is put together, in bytes.
const maxCrypto = 16 << 10

// maxSpans bounds how many separate pieces may wait for what is missing.
const maxSpans = 64

type span struct{ from, to int }

// A stream puts CRYPTO frames together, which come in any order and may
// overlap; bytes that came first stay.
type stream struct {
	data  []byte
	spans []span // sorted, apart from each other
	read  int    // bytes already handed on
}

func (s *stream) reset() {
	s.data, s.spans, s.read = s.data[:0], s.spans[:0], 0
}

// add takes bytes at an offset. It returns false where they would go beyond
// the bounds.
func (s *stream) add(at uint64, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if at > maxCrypto || len(b) > maxCrypto-int(at) {
		return false
	}
	from, to := int(at), int(at)+len(b)
	if len(s.data) < to {
		s.data = append(s.data, make([]byte, to-len(s.data))...)
	}
	// Fill the holes between what is there.
	i := 0
	for i < len(s.spans) && s.spans[i].to < from {
		i++
	}
	first, merged, hole := i, span{from, to}, from
	for ; i < len(s.spans) && s.spans[i].from <= to; i++ {
		if hole < s.spans[i].from {
			copy(s.data[hole:s.spans[i].from], b[hole-from:])
		}
		hole = max(hole, s.spans[i].to)
		merged.from = min(merged.from, s.spans[i].from)
		merged.to = max(merged.to, s.spans[i].to)
	}
	if hole < to {
		copy(s.data[hole:to], b[hole-from:])
	}
	if first == i {
		if len(s.spans) >= maxSpans {
			return false
		}
		s.spans = append(s.spans, span{})
		copy(s.spans[first+1:], s.spans[first:])
		s.spans[first] = merged
		return true
	}
	s.spans[first] = merged
	s.spans = append(s.spans[:first+1], s.spans[i:]...)
	return true
}

// message returns the next whole handshake message, if it is there.
func (s *stream) message() (typ byte, body []byte, ok bool) {
	if len(s.spans) == 0 || s.spans[0].from > 0 {
		return 0, nil, false
	}
	b := s.data[s.read:s.spans[0].to]
	if len(b) < 4 {
		return 0, nil, false
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if n > len(b)-4 {
		return 0, nil, false
	}
	s.read += 4 + n
	return b[0], b[4 : 4+n], true
}

// eachCrypto calls add for every CRYPTO frame in the frames of an Initial
// packet, and tells whether the packet closes the connection. Frames that may
// not be in an Initial (RFC 9000 section 12.4) end the walk.
func eachCrypto(b []byte, add func(at uint64, data []byte) bool) (closed bool) {
	for at := 0; at < len(b); {
		kind := b[at]
		at++
		var ok bool
		switch kind {
		case 0x00, 0x01: // PADDING, PING
		case 0x02, 0x03: // ACK
			if at, ok = skipACK(b, at, kind == 0x03); !ok {
				return false
			}
		case 0x06: // CRYPTO
			offset, next, ok1 := varint(b, at)
			n, next, ok2 := varint(b, next)
			if !ok1 || !ok2 || n > uint64(len(b)-next) {
				return false
			}
			if !add(offset, b[next:next+int(n)]) {
				return false
			}
			at = next + int(n)
		case 0x1c, 0x1d: // CONNECTION_CLOSE
			return true
		default:
			return false
		}
	}
	return false
}

// skipACK returns the offset behind an ACK frame (RFC 9000 section 19.3).
func skipACK(b []byte, at int, ecn bool) (next int, ok bool) {
	var ranges uint64
	for i := range 4 {
		v, n, ok := varint(b, at)
		if !ok {
			return at, false
		}
		if at = n; i == 2 {
			ranges = v
		}
	}
	if ranges > uint64(len(b)) {
		return at, false
	}
	more := 2 * int(ranges)
	if ecn {
		more += 3
	}
	for range more {
		_, n, ok := varint(b, at)
		if !ok {
			return at, false
		}
		at = n
	}
	return at, true
}
