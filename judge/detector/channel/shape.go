package channel

import (
	"strings"

	"github.com/testudo-shield/testudo"
)

// guarded tells the services that are kept inside: what reaches them from
// outside, or from inside the same outside, is more than unusual.
func guarded(means string) bool {
	return means == "industrial control" || means == "a database" || means == "remote screens"
}

// begins tells whether a conversation that no protocol claimed begins as one of
// those that its port is for: a port excuses what looks like its protocol, and
// nothing else. Where a port's meaning has protocols without a mark of their
// own, none is recognised.
func begins(means string, r *testudo.Opaque) bool {
	a, b := r.OrigHead, r.RespHead
	switch means {
	case "ftp", "telnet", "pop3", "imap", "news", "chat":
		return lines(r) || first(a, 0xff) || first(b, 0xff) // text, or telnet's options (RFC 854)
	case "windows services":
		return starts(a, "\x05\x00") || at(a, 4, "\xffSMB") || at(a, 4, "\xfeSMB") || first(a, 0x81)
	case "kerberos":
		return at(a, 4, "j") || at(a, 4, "l") || at(a, 4, "n") // a length, then a tag (RFC 4120, 7.2.2)
	case "ldap":
		return first(a, 0x30)
	case "industrial control":
		return starts(a, "\x03\x00", "\x68", "HEL", "\x05\x64", "\x65\x00", "\x63\x00", "\x04\x00", "FINS", "\x50\x00", "\xd0\x00") || at(a, 2, "\x00\x00\x00")
	case "a database":
		return isDatabase(a, b)
	case "messages":
		return starts(a, "\x10", "AMQP", "CONNECT", "STOMP") || starts(b, "INFO ")
	case "media":
		return lines(r) || first(a, 0x03)
	case "remote screens":
		return starts(a, "\x03\x00", "RFB ", "l\x00\x0b\x00", "B\x00\x00\x0b", "\x17\x24", "\x7f\x7fICA") || starts(b, "RFB ", "\x7f\x7fICA", "\x17\x24")
	case "telephony":
		return lines(r) || at(a, 4, "\x21\x12\xa4\x42") || starts(a, "\x03\x00") || at(a, 2, "\x00\x00\x00\x00")
	case "instant messages":
		return starts(a, "<?xml", "<stream", "WA", "ED")
	case "files or networks":
		return copies(r) || first(a, 0x80) || at(a, 4, "\x1a\x2b\x3c\x4d") || starts(a, "\x43", "\x00\x0e\x38", "\x00\x2a\x38", "\x00\x36\x38")
	case "network management":
		return starts(a, "\xff\xff\xff\xff", "<", "\xc0", "\xc1", "\x01\x00", "\x00\x01", "\x30") || lines(r)
	case "office services":
		return lines(r) || starts(a, "\x1b", "ZBXD", "\x0eSwarm") || starts(b, "ZBXD")
	case "peer to peer":
		return starts(a, "\x13BitTorrent", "\xe3", "\xc5", "\xf9\xbe\xb4\xd9", "GNUTELLA")
	}
	return false
}

// isDatabase tells whether a client's or a server's first bytes are those of a
// database that networks know.
func isDatabase(a, b string) bool {
	return at(b, 3, "\x00\x0a") || at(b, 3, "\x00\xff") || // MySQL's greeting
		at(a, 4, "\x00\x03\x00\x00") || at(a, 4, "\x04\xd2\x16\x2f") || // PostgreSQL's start
		starts(a, "*", "PING", "INFO", "get ", "set ", "stats", "version", "\x80", // Redis, memcached
			"\x12\x01", "\x10\x01", // SQL Server
			"\x03\x00\x00", "\x04\x00\x00", "\x05\x00\x00", // Cassandra
			"\x60\x60\xb0\x17", "ES", "\x00\x00\x00") || // Bolt, a search cluster, a short length as of logs and keepers
		at(a, 4, "\x01") || // Oracle's connect
		at(a, 12, "\xdd\x07\x00\x00") || at(a, 12, "\xd4\x07\x00\x00") // MongoDB's messages
}

// copies tells whether the conversation is one by which files are copied on
// purpose: rsync, git or Subversion greet in clear.
func copies(r *testudo.Opaque) bool {
	return starts(r.OrigHead, "@RSYNCD:", "( ") || starts(r.RespHead, "@RSYNCD:", "( success") || at(r.OrigHead, 4, "git-")
}

// lines tells whether both ends speak text.
func lines(r *testudo.Opaque) bool {
	return r.OrigText > 0.95 && (r.RespText > 0.95 || r.RespLen == 0)
}

func first(s string, b byte) bool { return len(s) > 0 && s[0] == b }

func at(s string, i int, what string) bool {
	return len(s) >= i+len(what) && s[i:i+len(what)] == what
}

func starts(s string, any ...string) bool {
	for _, p := range any {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
