package ssh

import (
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/protocol"
)

// How typing is told. A key struck is a small channel message, and its echo is
// one of the same size, soon after. The two take turns many times; a keepalive
// and its answer are followed by silence, and what a copier acknowledges has
// another size than the acknowledgement. A log-in carried inside another
// conversation, as behind a reverse tunnel, makes keys larger by its own
// framing. Who types is told by volume: whoever runs the shell sends the output
// and so more than who types.
const (
	minWindow = 64      // segments after log-in, where it is clear who typed
	maxWindow = 256     // else
	maxVolume = 1 << 20 // bytes after log-in
	minKeys   = 6
	soon      = 2 * time.Second
	idle      = 5 * time.Second // a small segment after this is a keepalive
	keyData   = 9 + 80          // SSH_MSG_CHANNEL_DATA with a key of a conversation inside
	key       = 128             // where the algorithms are not known
)

// typing looks for keys and their echoes after log-in.
type typing struct {
	last     testudo.Time // the last segment, and what it was
	lastDir  protocol.Dir
	lastSize int
	small    bool
	turned   bool // it echoed the one before
	segments int
	total    int
	typed    bool
	bytes    [2]int // since the first echo
	keys     [2]int
}

// segment notes one segment and tells whether enough was seen.
func (t *typing) segment(now testudo.Time, dir protocol.Dir, n int, size wire) bool {
	quiet := now.Sub(t.last)
	small := n <= key
	if size.block > 0 {
		small = n <= size.of(keyData)
	}
	turned := small && n == t.lastSize && dir != t.lastDir && quiet <= soon
	if turned && t.turned {
		t.keys[dir]++
	}
	if t.typed = t.typed || turned; t.typed {
		t.bytes[dir] += n
	}
	t.total += n
	// A run of large segments is one piece of output.
	if quiet < idle && (small || t.small || dir != t.lastDir) || t.last == 0 {
		t.segments++
	}
	t.last, t.lastDir, t.lastSize, t.small, t.turned = now, dir, n, small, turned
	if t.segments >= maxWindow || t.total > maxVolume {
		return true
	}
	shell, _ := t.verdict()
	o, r := t.bytes[protocol.Orig], t.bytes[protocol.Resp]
	return shell && t.segments >= minWindow && max(o, r) > 2*min(o, r)
}

// verdict tells whether somebody typed, and whether on the server's side.
func (t *typing) verdict() (shell, reverse bool) {
	if min(t.keys[protocol.Orig], t.keys[protocol.Resp]) < minKeys {
		return false, false
	}
	o, r := t.bytes[protocol.Orig], t.bytes[protocol.Resp]
	return 2*o > 3*r || r >= o, 2*o > 3*r
}
