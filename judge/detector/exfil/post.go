package exfil

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// post judges a request with a body to a place outside in clear HTTP. Browsers
// say what they accept and where they come from, and forms hold what people
// type; a program that calls itself a browser, says none of it and sends
// encoded data is something else.
func (m *memory) post(r *testudo.HTTP, h *host, out *detector.Out) {
	if r.Method != "POST" && r.Method != "PUT" || r.RequestHeaders == "" {
		return
	}
	browser := strings.HasPrefix(r.UserAgent, "Mozilla/")
	if !browser && r.UserAgent != "" || has(r, "accept") && has(r, "accept-language") {
		return // says what it is, or all that a browser says
	}
	v := detector.Verdict{Telling: true}
	v.Add(testudo.Base, -5, "forms and programs post data all day")
	content := shape(r, browser)
	body(r, &content)
	content.addTo(&v, testudo.Content, 4.3)
	target(r, h).addTo(&v, testudo.Naming, 3)
	switch {
	case r.RequestLen > 4*r.ResponseLen && r.HasResponse:
		v.Add(testudo.Volume, 0.5, "%s sent, %s came back", size(r.RequestLen), size(r.ResponseLen))
	case r.ResponseLen > 10*r.RequestLen:
		v.Add(testudo.Volume, -0.7, "%s sent, %s came back", size(r.RequestLen), size(r.ResponseLen))
	}
	weighRarity(&v, &r.About, r.Time, 0.5)
	if r.Status >= 400 {
		v.Add(testudo.Innocence, -0.5, "the server refused it (%d)", r.Status)
	}
	what := "posts encoded data, as no browser does, to"
	if !browser {
		what = "posts data by a program without a name to"
	}
	m.note(wayOf(&r.Meta, byHTTP), &r.Meta, report{
		Verdict: v, bytes: r.RequestLen, what: what, detail: fmt.Sprintf("%s %s", r.Method, short(r.URI)),
		innocent:   "an updater, a toolbar or a device that calls itself a browser",
		techniques: []string{"T1041", "T1071.001", "T1132.001"},
	}, out)
}

// has tells whether the request carries a header of that name.
func has(r *testudo.HTTP, name string) bool {
	for h := range strings.SplitSeq(r.RequestHeaders, ",") {
		if h == name {
			return true
		}
	}
	return false
}

// shape says what the request's headers tell about the program.
func shape(r *testudo.HTTP, browser bool) (e evidence) {
	accept, language := has(r, "accept"), has(r, "accept-language")
	switch {
	case !browser && accept:
		e.note(0.7, "no program named itself")
	case !browser:
		e.note(1.2, "no program named itself nor says what it accepts")
	case !accept && !language && !has(r, "accept-encoding"):
		e.note(2, "it calls itself a browser, but says neither what it accepts nor in which language")
	default:
		e.note(0.7, "it calls itself a browser, but does not say all that browsers say")
	}
	if has(r, "expect") {
		e.note(1, "it waits for leave to go on, as browsers do not")
	}
	if r.Referrer == "" && r.Origin == "" && r.CookieLen == 0 {
		e.note(0.5, "it comes from no page and has no cookie")
	}
	return e
}

// body says what the first bytes of the body tell.
func body(r *testudo.HTTP, e *evidence) {
	head := strings.TrimSpace(r.RequestHead)
	switch kind := packed(r.RequestHead); {
	case kind != "":
		e.note(-0.5, "the body is %s, and begins as one", kind)
	case has(r, "content-encoding") && r.RequestText < 0.6:
		// Some encodings (RFC 9110, 8.4.1) have no mark to be known by.
		e.note(0, "the body is said to be compressed")
	case strings.HasPrefix(r.RequestType, "multipart/") && strings.HasPrefix(head, "--"):
		e.note(0, "the body is a form in parts, with a file perhaps")
	case r.RequestText >= 0.95 && (strings.HasPrefix(head, "{") || strings.HasPrefix(head, "<") || strings.HasPrefix(head, "[")):
		e.note(-2, "the body can be read by anybody")
	case r.RequestText >= 0.95 && isCodedForm(head):
		e.note(2, "the body is encoded (%.1f bits a character)", r.RequestEntropy)
	case r.RequestText >= 0.8:
		e.note(-0.5, "the body can be read")
	case r.RequestText < 0.6 && r.RequestEntropy >= 0.9*math.Log2(float64(min(256, max(2, r.RequestLen)))):
		e.note(2, "the body looks encrypted (%.1f bits a byte)", r.RequestEntropy)
	}
}

// packed names what a body is by its first bytes where that is compressed by
// nature, "" for nothing known.
func packed(head string) string {
	for _, k := range [...]struct{ mark, kind string }{
		{"\x1f\x8b\x08", "a gzip stream"},
		{"PK\x03\x04", "an archive"},
		{"\xff\xd8\xff", "a picture"},
		{"\x89PNG", "a picture"},
		{"\x28\xb5\x2f\xfd", "a zstd stream"},
		{"BZh", "a bzip2 stream"},
		{"\xfd7zXZ", "an xz stream"},
		{"7z\xbc\xaf", "an archive"},
		{"%PDF-", "a document"},
		{"GIF8", "a picture"},
		{"OggS", "a recording"},
		{"ID3", "a recording"},
	} {
		if strings.HasPrefix(head, k.mark) {
			return k.kind
		}
	}
	if len(head) >= 12 && (head[4:8] == "ftyp" || head[:4] == "RIFF") {
		return "a recording"
	}
	return ""
}

// isCodedForm tells whether a form's value begins as encoded bytes do: 28 and
// more characters of base64, its URL forms or hex, with letters and digits
// mixed.
func isCodedForm(head string) bool {
	for value := range strings.SplitSeq(head, "&") {
		_, v, ok := strings.Cut(value, "=")
		if !ok {
			v = value
		}
		n, digit, upper, lower := 0, 0, 0, 0
		for i := 0; i < len(v); i++ {
			c := v[i]
			switch {
			case '0' <= c && c <= '9':
				digit++
			case 'A' <= c && c <= 'Z':
				upper++
			case 'a' <= c && c <= 'z':
				lower++
			case strings.IndexByte("+/%=_-", c) >= 0:
			default:
				i = len(v)
				continue
			}
			n++
		}
		if n < 28 || digit < 2 {
			continue
		}
		if upper >= n/8 && lower >= n/8 || digit >= n/4 {
			return true
		}
	}
	return false
}

// target says what the place and the path tell.
func target(r *testudo.HTTP, h *host) (e evidence) {
	host := r.Host
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		host = host[:i]
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || host == "" {
		e.note(1, "to a bare address")
	}
	if p := r.ID.Resp.Port(); p != 80 && p != 8080 {
		e.note(0.5, "at port %d", p)
	}
	uri, query, _ := strings.Cut(r.URI, "?")
	last := uri[strings.LastIndexByte(uri, '/')+1:]
	last, _, _ = strings.Cut(last, ".")
	if len(last) >= 8 && digits(last)*5 >= len(last) && digits(last) < len(last) {
		e.note(0.7, "the path ends in a random name")
	}
	if n := h.namedIn(query); n != "" {
		e.note(2, "the address asked holds the machine's own name, %s", n)
	} else if n := h.namedIn(r.RequestHead); n != "" {
		e.note(2, "the body begins with the machine's own name, %s", n)
	}
	return e
}
