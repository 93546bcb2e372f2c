package opaque

import (
	"encoding/binary"
	"errors"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// A conversation may be in the middle of its first bytes when the shield is
// restarted, and whoever comes back to a shell waits for that long. So what
// was looked at is saved: the moment, and each message with what was kept of it.

var errSaved = errors.New("opaque: what was saved is no conversation")

// AppendBinary implements encoding.BinaryAppender.
func (a *analyzer) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendVarint(b, int64(a.begun))
	b = append(b, b2i(a.sides[0].full)|b2i(a.sides[1].full)<<1)
	for i := range a.count {
		m := &a.messages[i]
		b = append(b, byte(m.dir))
		b = binary.AppendUvarint(b, uint64(m.to-m.from))
		b = append(b, a.sides[m.dir].bytes()[m.from:m.to]...)
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler, for an analyzer that
// has read nothing.
func (a *analyzer) UnmarshalBinary(b []byte) error {
	begun, n := binary.Varint(b)
	if n <= 0 || n == len(b) || b[n] > 3 {
		return errSaved
	}
	a.begun = testudo.Time(begun)
	full := b[n]
	for b = b[n+1:]; len(b) > 0; {
		dir := protocol.Dir(b[0])
		length, n := binary.Uvarint(b[1:])
		if dir > protocol.Resp || n <= 0 || length > uint64(len(b)-1-n) || a.count == maxMessage {
			return errSaved
		}
		b = b[1+n:]
		a.message(dir, b[:length])
		b = b[length:]
	}
	for d := range a.sides {
		a.sides[d].full = a.sides[d].full || full>>d&1 == 1
	}
	return nil
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}
