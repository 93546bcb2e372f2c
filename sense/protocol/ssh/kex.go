package ssh

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"

	"github.com/testudo-shield/testudo/sense/protocol"
)

// The name lists of SSH_MSG_KEXINIT in their order (RFC 4253, 7.1).
const (
	listKex = iota
	listHostKey
	listCipherToServer
	listCipherToClient
	listMACToServer
	listMACToClient
	listCompToServer
	listCompToClient
	numLists // two lists of languages follow, of no interest
)

// maxOffer is the longest text an analyzer keeps room for; a usual one has
// about 1,500 bytes.
const maxOffer = 4 << 10

// offer is one side's name lists, copied.
type offer struct {
	lists [numLists][]byte
	text  []byte // what they lie in, kept from one conversation to the next
}

// read takes the lists from a KEXINIT payload: type byte, 16 bytes of cookie,
// then lists each after its length.
func (o *offer) read(payload []byte) bool {
	if len(payload) < 17 {
		return false
	}
	o.text = append(o.text[:0], payload[17:]...)
	b := o.text
	for i := range o.lists {
		if len(b) < 4 {
			return false
		}
		n := int(binary.BigEndian.Uint32(b))
		if n < 0 || n > len(b)-4 {
			return false
		}
		o.lists[i] = b[4 : 4+n]
		b = b[4+n:]
	}
	return true
}

// hassh returns the published fingerprint: MD5 over key exchange, cipher, MAC
// and compression algorithms a side offers for what it sends itself, joined
// by semicolons. MD5 serves as a name here, not for security.
func (o *offer) hassh(f *protocol.Flow, dir protocol.Dir) string {
	lists := [4]int{listKex, listCipherToServer, listMACToServer, listCompToServer}
	if dir == protocol.Resp {
		lists = [4]int{listKex, listCipherToClient, listMACToClient, listCompToClient}
	}
	h := md5.New()
	for i, l := range lists {
		if i > 0 {
			h.Write([]byte{';'})
		}
		h.Write(o.lists[l])
	}
	var sum [md5.Size]byte
	var text [2 * md5.Size]byte
	return f.Intern(hex.AppendEncode(text[:0], h.Sum(sum[:0])))
}

// chosen is what both sides settle on; by direction where that matters.
type chosen struct {
	kex, hostKey                  string
	cipher, mac, comp             [2]string // by sender
	cipherText, macText, compText string    // as logged
}

// settle chooses as RFC 4253, 7.1 says: the client's first that the server
// has too.
func (c *chosen) settle(f *protocol.Flow, client, server *offer) {
	pick := func(list int) string { return pick(f, client.lists[list], server.lists[list]) }
	c.kex, c.hostKey = pick(listKex), pick(listHostKey)
	c.cipher = [2]string{pick(listCipherToServer), pick(listCipherToClient)}
	c.mac = [2]string{pick(listMACToServer), pick(listMACToClient)}
	c.comp = [2]string{pick(listCompToServer), pick(listCompToClient)}
	c.cipherText, c.macText, c.compText = bothWays(c.cipher), bothWays(c.mac), bothWays(c.comp)
}

// bothWays is how Zeek logs an algorithm for each direction.
func bothWays(alg [2]string) string {
	if alg[0] == alg[1] {
		return alg[0]
	}
	return "To server: " + alg[0] + ", to client: " + alg[1]
}

// pick returns the first name of the client's list that is in the server's,
// "" for none. Each list is looked at up to 128 names, so that hostile lists
// cost little.
func pick(f *protocol.Flow, client, server []byte) string {
	for range 128 {
		name, rest, more := bytes.Cut(client, []byte{','})
		if len(name) > 0 && has(server, name) {
			return clean(f, name)
		}
		if !more {
			break
		}
		client = rest
	}
	return ""
}

func has(list, name []byte) bool {
	for range 128 {
		other, rest, more := bytes.Cut(list, []byte{','})
		if bytes.Equal(other, name) {
			return true
		}
		if !more {
			break
		}
		list = rest
	}
	return false
}
