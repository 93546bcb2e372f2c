package drill

import (
	"math/rand/v2"
	"strings"
)

// sshProgram is one end of SSH: its banner and what it offers.
type sshProgram struct {
	banner string
	kex    string
	keys   string
	cipher string
	mac    string
}

const (
	kexNew = "sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256"
	kexOld = "curve25519-sha256,ecdh-sha2-nistp256,ecdh-sha2-nistp384,diffie-hellman-group14-sha256"
	aead   = "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
)

var (
	sshServer  = &sshProgram{"SSH-2.0-OpenSSH_9.2p1 Debian-2", kexNew, "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519", aead, "hmac-sha2-256-etm@openssh.com,hmac-sha2-256"}
	sshClients = []*sshProgram{
		{"SSH-2.0-OpenSSH_9.2p1 Debian-2", kexNew, "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512", aead, "hmac-sha2-256-etm@openssh.com,hmac-sha2-256"},
		{"SSH-2.0-PuTTY_Release_0.78", kexOld, "ssh-ed25519,rsa-sha2-512", "aes256-ctr,aes128-ctr", "hmac-sha2-256,hmac-sha1"},
		{"SSH-2.0-paramiko_3.3.1", kexOld, "ssh-ed25519,rsa-sha2-512,rsa-sha2-256", "aes128-ctr,aes256-ctr", "hmac-sha2-256,hmac-sha2-512"},
		{"SSH-2.0-Go", kexOld, "rsa-sha2-256,ssh-ed25519", "aes128-gcm@openssh.com,aes128-ctr", "hmac-sha2-256-etm@openssh.com,hmac-sha2-256"},
	}
)

// packet appends an SSH packet in clear (RFC 4253, 6).
func sshPacket(b []byte, f func([]byte) []byte) []byte {
	at := len(b)
	b = f(append(b, 0, 0, 0, 0, 0))
	pad := 8 - (len(b)-at)%8
	if pad < 4 {
		pad += 8
	}
	for range pad {
		b = append(b, 0)
	}
	n := len(b) - at - 4
	b[at], b[at+1], b[at+2], b[at+3], b[at+4] = 0, byte(n>>16), byte(n>>8), byte(n), byte(pad)
	return b
}

func (s *sshProgram) init(b []byte, r *rand.Rand) []byte {
	return sshPacket(b, func(b []byte) []byte {
		b = append(b, 20)
		b = random(r, b, 16)
		for _, l := range []string{s.kex, s.keys, s.cipher, s.cipher, s.mac, s.mac, "none", "none", "", ""} {
			b = nest(b, 4, func(b []byte) []byte { return append(b, l...) })
		}
		return append(b, 0, 0, 0, 0, 0)
	})
}

// seal returns how long a payload of n bytes is on the wire under what
// client and server agree on (RFC 4253, 6; RFC 5647 and OpenSSH for the
// rest): the length, the padding and the proof of integrity come on top.
func (s *sshProgram) seal(n int) int {
	align := func(n, block int) int { // padding is at least 4
		return (n + 4 + block - 1) / block * block
	}
	switch {
	case strings.HasPrefix(s.cipher, "chacha20"):
		return 4 + align(1+n, 8) + 16
	case strings.HasPrefix(s.cipher, "aes128-gcm"):
		return 4 + align(1+n, 16) + 16
	case strings.HasPrefix(s.mac, "hmac-sha2-256-etm"):
		return 4 + align(1+n, 16) + 32
	}
	return align(5+n, 16) + 32
}

// secret sends a payload of n bytes as one SSH packet.
func (k *conv) secret(client *sshProgram, d, n int) {
	k.hidden(d, client.seal(n))
}

// ssh shakes hands and tries to log in; ok says whether the last of the
// tries is accepted.
func (k *conv) ssh(client *sshProgram, tries int, ok bool) {
	r := k.r
	buf := func() []byte { return k.w.scratch[:0] }
	say := func(d int, b []byte) {
		k.w.scratch = b
		k.wait(between(r, 200, 4000))
		k.send(d, piece{lit: b})
	}
	say(orig, append(append(buf(), client.banner...), "\r\n"...))
	say(resp, append(append(buf(), sshServer.banner...), "\r\n"...))
	say(orig, client.init(buf(), r))
	say(resp, sshServer.init(buf(), r))
	hybrid := client.kex == kexNew // a share of 1190 bytes and its answer of 1071
	say(orig, sshPacket(buf(), func(b []byte) []byte {
		b = append(b, 30)
		return nest(b, 4, func(b []byte) []byte { return random(r, b, 32+1158*b2i(hybrid)) })
	}))
	b := sshPacket(buf(), func(b []byte) []byte {
		b = append(b, 31)
		b = nest(b, 4, func(b []byte) []byte {
			b = nest(b, 4, func(b []byte) []byte { return append(b, "ssh-ed25519"...) })
			return nest(b, 4, func(b []byte) []byte { return random(r, b, 32) })
		})
		b = nest(b, 4, func(b []byte) []byte { return random(r, b, 32+1039*b2i(hybrid)) })
		return nest(b, 4, func(b []byte) []byte {
			b = nest(b, 4, func(b []byte) []byte { return append(b, "ssh-ed25519"...) })
			return nest(b, 4, func(b []byte) []byte { return random(r, b, 64) })
		})
	})
	say(resp, sshPacket(b, func(b []byte) []byte { return append(b, 21) }))
	say(orig, sshPacket(buf(), func(b []byte) []byte { return append(b, 21) }))
	k.secret(client, orig, 17) // the service, by name
	k.secret(client, resp, 17)
	user := size(r, 3, 9)
	k.secret(client, orig, 31+user)
	k.secret(client, resp, 24) // which ways to log in there are
	for i := range tries {
		k.secret(client, orig, 40+user+size(r, 6, 14))
		k.wait(between(r, 5, 30) * millisecond)
		if i == tries-1 && ok {
			k.secret(client, resp, 1)
			return
		}
		k.wait(between(r, 900, 2300) * millisecond)
		k.secret(client, resp, 24)
	}
}

// hidden sends n bytes of ciphertext.
func (k *conv) hidden(d, n int) {
	k.wait(between(k.r, 150, 3000))
	k.send(d, piece{fill: n})
}

// channel opens a channel after log-in.
func (k *conv) channel(client *sshProgram) {
	k.secret(client, orig, 24)
	k.secret(client, resp, 17)
	k.secret(client, orig, 64)
	k.secret(client, resp, 5)
}

// shell is somebody typing for a while after log-in.
func (k *conv) shell(client *sshProgram, lines int) {
	k.channel(client)
	k.secret(client, resp, 430)
	for range lines {
		for range 2 + k.r.IntN(6) {
			k.wait(between(k.r, 60, 400) * millisecond)
			k.secret(client, orig, 10)
			k.secret(client, resp, 10)
		}
		k.secret(client, resp, heavy(k.r, 40, 4000))
		k.wait(between(k.r, 1, 12) * second)
	}
}

// carry moves n bytes through the open channel in packets of at most 32 KB.
func (k *conv) carry(client *sshProgram, d, n int) {
	for n > 0 {
		m := min(n, 32000)
		k.secret(client, d, 9+m)
		n -= m
	}
	k.secret(client, 1-d, 9)
}
