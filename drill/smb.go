package drill

import "encoding/binary"

// message appends an SMB2 message behind its length (MS-SMB2 2.1, 2.2.1).
func smbMessage(b []byte, command uint16, flags uint32, id, session uint64, status uint32, body func([]byte) []byte) []byte {
	return nest(append(b, 0), 3, func(b []byte) []byte {
		le := binary.LittleEndian
		b = append(b, 0xfe, 'S', 'M', 'B', 64, 0, 1, 0)
		b = le.AppendUint32(b, status)
		b = le.AppendUint16(b, command)
		b = le.AppendUint16(b, 31)
		b = le.AppendUint32(b, flags)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, id)
		b = le.AppendUint32(b, 0xfeff)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, session)
		b = append(b, make([]byte, 16)...)
		return body(b)
	})
}

// smb negotiates, logs in and then works under encryption: exchanges pairs
// of a request and an answer with the given totals of bytes each way.
func (k *conv) smb(ok bool, up, down int) {
	r, le := k.r, binary.LittleEndian
	session := r.Uint64() >> 8
	say := func(d int, b []byte) {
		k.w.scratch = b
		k.wait(between(r, 100, 1500))
		k.send(d, piece{lit: b})
	}
	say(orig, smbMessage(k.w.scratch[:0], 0, 0, 0, 0, 0, func(b []byte) []byte {
		b = append(b, 36, 0, 3, 0, 1, 0, 0, 0, 0x7f, 0, 0, 0)
		b = random(r, b, 16)
		b = append(b, make([]byte, 8)...)
		return append(b, 2, 2, 0, 3, 2, 3)
	}))
	say(resp, smbMessage(k.w.scratch[:0], 0, 1, 0, 0, 0, func(b []byte) []byte {
		b = append(b, 65, 0, 1, 0, 2, 3, 0, 0)
		b = random(r, b, 16)
		b = le.AppendUint32(b, 0x2f)
		for range 3 {
			b = le.AppendUint32(b, 1<<20)
		}
		b = le.AppendUint64(b, uint64(k.t/second+11644473600)*10_000_000)
		b = append(b, make([]byte, 8)...)
		b = append(b, 128, 0, 74, 0, 0, 0, 0, 0)
		return append(b, spnego...)
	}))
	for step := range 2 {
		kind, status := ntlmHello, uint32(0xc0000016)
		if step == 1 {
			kind, status = ntlmProof, 0
			if !ok {
				status = 0xc000006d
			}
		}
		say(orig, smbMessage(k.w.scratch[:0], 1, 0, uint64(step+1), session*uint64(step), 0, func(b []byte) []byte {
			b = append(b, 25, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 88, 0)
			b = le.AppendUint16(b, uint16(len(kind)))
			b = append(b, make([]byte, 8)...)
			return append(b, kind...)
		}))
		say(resp, smbMessage(k.w.scratch[:0], 1, 1, uint64(step+1), session, status, func(b []byte) []byte {
			if step == 1 {
				return append(b, 9, 0, 0, 0, 72, 0, 0, 0)
			}
			b = append(b, 9, 0, 0, 0, 72, 0)
			b = le.AppendUint16(b, uint16(len(ntlmChallenge)))
			return append(b, ntlmChallenge...)
		}))
	}
	if !ok {
		return
	}
	for up > 0 || down > 0 {
		u, d := min(up, 60_000), min(down, 60_000)
		k.sealed(orig, session, 90+u)
		k.sealed(resp, session, 80+d)
		up, down = up-u, down-d
	}
}

// sealed sends n bytes in an SMB3 transform (MS-SMB2 2.2.41).
func (k *conv) sealed(d int, session uint64, n int) {
	b := nest(append(k.w.scratch[:0], 0), 3, func(b []byte) []byte {
		b = append(b, 0xfd, 'S', 'M', 'B')
		b = random(k.r, b, 16+11)
		b = append(b, 0, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		b = append(b, 0, 0, 1, 0)
		return binary.LittleEndian.AppendUint64(b, session)
	})
	l := len(b) - 4 + n
	b[1], b[2], b[3] = byte(l>>16), byte(l>>8), byte(l)
	k.w.scratch = b
	k.wait(between(k.r, 80, 1800))
	k.send(d, piece{lit: b, fill: n})
}

// Tokens of a log-in with NTLM: the offer, the hello, the challenge and a
// proof of nothing (MS-NLMP 2.2.1).
const (
	spnego = "\x60\x48\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x3e\x30\x3c\xa0\x0e\x30\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a\xa3\x2a\x30\x28\xa0\x26\x1b\x24" +
		"not_defined_in_RFC4178@please_ignore"
	ntlmHello     = "NTLMSSP\x00\x01\x00\x00\x00\x97\x82\x08\xe2\x00\x00\x00\x00\x28\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00\x0a\x00\x61\x4a\x00\x00\x00\x0f"
	ntlmChallenge = "NTLMSSP\x00\x02\x00\x00\x00\x06\x00\x06\x00\x38\x00\x00\x00\x15\x82\x89\xe2\x5b\x11\x27\x3c\x9a\x40\x7e\x61\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x04\x00\x04\x00\x3e\x00\x00\x00\x0a\x00\x61\x4a\x00\x00\x00\x0fM\x00I\x00N\x00\x00\x00\x00\x00"
	ntlmProof = "NTLMSSP\x00\x03\x00\x00\x00\x00\x00\x00\x00\x58\x00\x00\x00\x00\x00\x00\x00\x58\x00\x00\x00\x06\x00\x06\x00\x58\x00\x00\x00\x08\x00\x08\x00" +
		"\x5e\x00\x00\x00\x04\x00\x04\x00\x66\x00\x00\x00\x00\x00\x00\x00\x6a\x00\x00\x00\x15\x82\x88\xe2\x0a\x00\x61\x4a\x00\x00\x00\x0f" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00M\x00I\x00N\x00u\x00s\x00e\x00r\x00P\x00C\x00"
)
