package exfil

import (
	"fmt"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// mail judges a message that a host of ours gives to a server outside. A
// thief's report names the machine and lists what it is and what its user's
// passwords are; people and their mail programs write otherwise, and a
// device's notice lists no passwords.
func (m *memory) mail(r *testudo.SMTP, h *host, out *detector.Out) {
	if r.BodyLen == 0 && len(r.Attachments) == 0 {
		return
	}
	v := detector.Verdict{Telling: true}
	v.Add(testudo.Base, -6.5, "mail is sent all day")
	var content evidence
	l := listing(r.BodyHead)
	if l.system >= 3 {
		content.note(min(3, 0.7*float64(l.system)), "the text lists %d facts about a machine", l.system)
	}
	if l.secrets > 0 && l.pairs >= 3 {
		content.note(2.5, "and %s", plural(l.secrets, "password"))
	}
	if len(r.Attachments) > 0 && !r.HTML && len(r.BodyHead) < 200 {
		content.note(0.4, "it carries %s and little text", plural(len(r.Attachments), "file"))
	}
	mailNames(r, h).addTo(&v, testudo.Naming, 4)
	if r.UserAgent == "" && r.MsgID == "" {
		content.note(0.6, "no mail program named itself or numbered the message")
	}
	if r.Helo != "" && !strings.ContainsAny(r.Helo, ".:") {
		content.note(0.4, "the sender greets by a bare machine name")
	}
	if r.AuthOK {
		content.note(0.6, "it logged in at a server outside")
	}
	content.addTo(&v, testudo.Content, 6)
	weighRarity(&v, &r.About, r.Time, 0.5)
	if r.UserAgent != "" {
		v.Add(testudo.Innocence, -1.5, "a mail program named itself")
	}
	detail := fmt.Sprintf("subject %q", short(r.Subject))
	if len(r.Attachments) > 0 {
		detail += fmt.Sprintf(", attached %q", short(r.Attachments[0]))
	}
	m.note(wayOf(&r.Meta, byMail), &r.Meta, report{
		Verdict: v, bytes: r.BodyLen, what: "mails a report on itself through", detail: detail,
		innocent:   "a notice that a device or a backup sends about itself",
		techniques: []string{"T1048.003", "T1071.003", "T1555"},
	}, out)
}

// mailNames tells whether the message is named for the machine that sends it.
func mailNames(r *testudo.SMTP, h *host) (e evidence) {
	if n := h.namedIn(r.Subject); n != "" {
		e.note(2.5, "the subject holds the sender's machine name, %s", n)
	} else if n := usualName(r.Subject); n != "" {
		e.note(1.5, "the subject holds a machine's name, %s", n)
	}
	for _, a := range r.Attachments {
		if n := h.namedIn(a); n != "" {
			e.note(2, "a file is named for the machine, %s", n)
			break
		}
	}
	if e.weight == 0 {
		if n := h.namedIn(r.BodyHead); n != "" {
			e.note(0.7, "the text holds the sender's machine name, %s", n)
		}
	}
	return e
}

// inventory is what a text lists.
type inventory struct{ pairs, system, secrets int }

// listing counts the lines of a text, plain or HTML, that are a short key and
// a value: all of them, those about a machine, and passwords.
func listing(text string) (l inventory) {
	text = strings.ToLower(text)
	for text != "" {
		var part string
		part, text = nextLine(text)
		key, value, ok := strings.Cut(part, ":")
		if !ok {
			key, value, ok = strings.Cut(part, "=")
		}
		key, value = strings.Trim(key, " \t-*#>"), strings.TrimSpace(value)
		if !ok || strings.HasPrefix(value, "//") || len(key) < 2 || len(key) > 28 || strings.ContainsAny(key, "/\\\"'<>{}") {
			continue
		}
		l.pairs++
		switch {
		case (strings.Contains(key, "passw") || key == "pass" || key == "pwd") && value != "":
			l.secrets++
		case aboutMachine(key):
			l.system++
		}
	}
	return l
}

// nextLine cuts text at the end of a line or at a tag that ends one, and
// takes other tags away from what lies before.
func nextLine(text string) (line, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n', '\r':
			return b.String(), text[i+1:]
		case '<':
			end := strings.IndexByte(text[i:], '>')
			if end < 0 {
				return b.String(), ""
			}
			tag := strings.Trim(text[i+1:i+end], "/ ")
			i += end
			switch name, _, _ := strings.Cut(tag, " "); name {
			case "br", "hr", "p", "div", "tr", "li", "h1", "h2", "h3":
				return b.String(), text[i+1:]
			}
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

// aboutMachine tells whether a key, in lower case, names a property of a
// computer or of its user.
func aboutMachine(key string) bool {
	for _, w := range [...]string{
		"user", "computer", "machine", "hostname", "host name", "pc name", "processor", "memory", "windows", "platform",
		"operating", "antivirus", "serial", "country", "language", "screen", "resolution", "keyboard", "clipboard", "installed", "desktop",
	} {
		if strings.Contains(key, w) {
			return true
		}
	}
	for _, w := range [...]string{"os", "cpu", "ram", "gpu", "ip", "mac", "hwid", "uuid", "pc"} {
		if rest, ok := strings.CutPrefix(key, w); ok && len(rest) <= 9 && (rest == "" || rest[0] == ' ' || rest[0] == '_' || strings.HasSuffix(rest, "name") || strings.HasPrefix(rest, "addr")) {
			return true
		}
	}
	return false
}

// usualKinds are how Windows names a machine that nobody named: a kind and so
// many random characters.
var usualKinds = [...]struct {
	before string
	random int
	digits bool // with digits among them, lest it be a word
}{{"desktop-", 7, false}, {"laptop-", 8, true}, {"win-", 11, true}}

// usualName returns a name in text such as systems give to a machine that
// nobody named, "" for none: a kind and random characters, or an owner and
// "PC".
func usualName(text string) string {
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}) {
		if len(word) > 40 {
			continue
		}
		for _, kind := range usualKinds {
			i := strings.Index(word, kind.before)
			if i < 0 || i > 0 && word[i-1] != '-' {
				continue
			}
			rest, _, _ := strings.Cut(word[i+len(kind.before):], "-")
			if len(rest) == kind.random && (digits(rest) > 0 || !kind.digits) {
				return word[i : i+len(kind.before)+len(rest)]
			}
		}
		if owner, ok := strings.CutSuffix(word, "-pc"); ok && len(owner) >= 2 {
			return word
		}
	}
	return ""
}

func short(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
