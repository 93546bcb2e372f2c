package ssh

import (
	"encoding/binary"
	"strings"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// How log-in is inferred. After the keys are on, the client asks for the
// service "ssh-userauth" and the server accepts; then each request to log in
// is answered by SUCCESS, FAILURE or a message on the way (RFC 4252). The
// sizes on the wire follow from the algorithms: SUCCESS (1 byte) is the
// smallest there is, and with every block size 16 bytes smaller than the
// acceptance (17 bytes). FAILURE lists the methods that can go on and keeps
// its size through a conversation, so the first answer teaches it. That
// first answer is mostly to the method "none", which asks for the list; it
// counts as an attempt only where the request was too large to be that.
const (
	acceptPayload = 17    // SSH_MSG_SERVICE_ACCEPT "ssh-userauth"
	stepDown      = 16    // from that to SSH_MSG_USERAUTH_SUCCESS
	nonePayload   = 39    // SSH_MSG_USERAUTH_REQUEST by "none" for a name of 8 bytes
	maxFailure    = 160   // a first answer this much above acceptance is a banner or a key's
	maxStray      = 64    // above acceptance: more is another message in the same segment
	surely        = 16384 // bytes from one side that only a session sends
	maxFrame      = 35000
)

// wire tells the size of messages of one direction on the wire.
type wire struct {
	block, mac int
	outside    bool // the length is not part of the blocks
	clear      bool // the length can be read
}

// of returns the bytes on the wire of a payload, 0 where that is not known.
func (w wire) of(payload int) int {
	if w.block == 0 {
		return 0
	}
	inside, n := 4, 5+payload+4
	if w.outside {
		inside, n = 0, 1+payload+4
	}
	n = (n + w.block - 1) / w.block * w.block
	return 4 - inside + n + w.mac
}

// wireOf returns the sizes that a cipher and a MAC give.
func wireOf(cipher, mac string) wire {
	switch {
	case strings.HasPrefix(cipher, "chacha20-poly1305"):
		return wire{block: 8, mac: 16, outside: true}
	case strings.HasPrefix(cipher, "aes") && strings.Contains(cipher, "gcm"), strings.HasPrefix(cipher, "AEAD_AES_"):
		return wire{block: 16, mac: 16, outside: true, clear: true}
	}
	w := wire{}
	switch {
	case strings.HasPrefix(cipher, "aes"), strings.HasPrefix(cipher, "rijndael"), strings.HasPrefix(cipher, "twofish"),
		strings.HasPrefix(cipher, "serpent"), strings.HasPrefix(cipher, "camellia"):
		w.block = 16
	case strings.HasPrefix(cipher, "3des"), strings.HasPrefix(cipher, "blowfish"), strings.HasPrefix(cipher, "cast128"),
		strings.HasPrefix(cipher, "arcfour"), strings.HasPrefix(cipher, "idea"):
		w.block = 8
	default:
		return wire{}
	}
	name, etm := strings.CutSuffix(mac, "-etm@openssh.com")
	w.outside, w.clear = etm, etm
	switch name {
	case "hmac-sha2-256", "hmac-sha256", "hmac-sha256@ssh.com", "hmac-sha2-256@ssh.com":
		w.mac = 32
	case "hmac-sha2-512", "hmac-sha512", "hmac-sha512@ssh.com":
		w.mac = 64
	case "hmac-sha1", "hmac-ripemd160", "hmac-ripemd160@openssh.com":
		w.mac = 20
	case "hmac-md5", "umac-128@openssh.com", "umac-128":
		w.mac = 16
	case "hmac-sha1-96", "hmac-md5-96", "hmac-sha2-256-96":
		w.mac = 12
	case "umac-64@openssh.com", "umac-64":
		w.mac = 8
	default:
		return wire{}
	}
	return w
}

// auth follows a log-in by sizes.
type auth struct {
	size     [2]wire // by sender
	blind    bool    // compressed from the start: sizes say nothing
	framed   bool    // the server's messages can be told apart
	spoke    bool    // the client sent something encrypted
	accepted bool
	decided  bool // logged in
	asked    int  // size of the client's last segment
	accept   int  // sizes of the server's messages; 0 is not known yet
	failure  int
	attempts int
	bytes    [2]int // since the service was accepted
}

// prepare sets what follows from the algorithms.
func (a *auth) prepare(c *chosen) {
	for d := range a.size {
		a.size[d] = wireOf(c.cipher[d], c.mac[d])
	}
	a.blind = c.comp[protocol.Resp] == "zlib"
	a.framed = a.size[protocol.Resp].clear
	a.accept = a.size[protocol.Resp].of(acceptPayload)
}

// segment takes an encrypted segment of one side as one message.
func (a *auth) segment(dir protocol.Dir, n int) {
	if dir == protocol.Orig {
		a.spoke = true
		a.asked = n
	} else {
		a.message(n)
	}
	a.count(dir, n)
}

// messages takes a server's bytes whose lengths can be read and returns how
// much is done with.
func (a *auth) messages(dir protocol.Dir, data []byte) (used int) {
	for !a.decided && len(data)-used >= 4 {
		n := int(binary.BigEndian.Uint32(data[used:]))
		if n < 8 || n > maxFrame {
			a.framed = false
			a.segment(dir, len(data)-used)
			return len(data)
		}
		if n += 4 + a.size[dir].mac; n > len(data)-used {
			return used
		}
		a.message(n)
		a.count(dir, n)
		used += n
	}
	if a.decided {
		return len(data)
	}
	return used
}

// count adds bytes after acceptance; enough of them are proof of a session.
func (a *auth) count(dir protocol.Dir, n int) {
	if !a.accepted || a.decided {
		return
	}
	if a.bytes[dir] += n; a.bytes[dir] > surely {
		a.succeed()
	}
}

func (a *auth) succeed() {
	a.decided = true
	a.attempts++
}

// message judges one message of the server by its size.
func (a *auth) message(n int) {
	switch {
	case a.blind || !a.spoke: // before the client speaks it only lists extensions
	case !a.accepted:
		a.accepting(n)
	case n == a.accept-stepDown:
		a.succeed()
	case a.failure == 0:
		if n-a.accept > maxFailure || n < a.accept-stepDown {
			return
		}
		a.failure = n
		if none := a.size[protocol.Orig].of(nonePayload); none > 0 && a.asked > none {
			a.attempts++
		}
	case n == a.failure:
		a.attempts++
	}
}

// accepting takes the server's first message after the client spoke.
func (a *auth) accepting(n int) {
	if a.accept != 0 && n < a.accept {
		return
	}
	if a.accept == 0 || n-a.accept <= maxStray {
		a.accept = n // learned, or this server pads more than it must
	}
	a.accepted = true
}
