package channel

import (
	"math"
	"net/netip"
	"strings"

	"github.com/testudo-shield/testudo"
)

// session is what a machine of ours asks of one peer over HTTP.
type session struct {
	requests  int
	forged    [4]int // requests by how far the agent is from the browser it claims to be
	headers   uint64 // hash of the last header order
	shapes    int    // how often that order changed
	bare      int    // requests to a bare address
	referred  int    // with a referrer of another page
	selfMade  int    // with themselves as referrer, before that page was ever asked for
	presented int    // with a cookie the server never set
	setCookie bool
	cookie    int // length of that cookie
	agent     string
	odd       bool // the agent is no name of a program
	posed     int  // requests with all the headers a browser sends
	origins   int  // with the page's origin, which browsers put to every post
	pages     int  // asked for without a body and answered by a page
	pieces    int  // answers that pages are made of: styles, scripts, fonts, pictures
	dropped   int  // requests without the cookie that the server had set
	raw       int  // posts of raw bytes from what calls itself a browser
	carried   int  // requests with a query, a cookie or a body
	mute      int  // without agent and accepted types
	sudden    int  // posts of what calls itself a browser, from no page
	posts     int
	gets      int
	opaque    int // posts of random bytes under no or a false type
	coded     int // posts of encoded text
	answered  int // answers that claim to be pages and are encoded text
	falseText int // answers that claim text and are random bytes
	refused   int // posts to what the server says is not there, answered in no page's or error's words
	paths     [6]uint64
	pathCount int
	drawn     int   // requests whose path or query looks drawn by lot
	sizes     sizes // of answers
	sent      sizes // of posts
	answers   int
	media     int // answers that are pictures, sound or video by content
	gaps      rhythm
	last      testudo.Time
	port      uint16
}

// How far an agent is from the browser that its name claims.
const (
	honest   = iota
	unspoken // names no language
	careless // nor an encoding
	naked    // and no language, nor what it accepts at all
)

func (s *session) take(r *testudo.HTTP) {
	if !r.HasRequest || !r.About.Outbound || r.Method == "CONNECT" || r.Method == "OPTIONS" {
		return
	}
	s.requests++
	s.port = r.ID.Resp.Port()
	s.forged[disguise(r)]++
	s.agent = r.UserAgent
	s.odd = s.odd || drawnByLot(r.UserAgent)
	s.pose(r)
	if r.UserAgent == "" && r.RequestHeaders != "" && !has(r.RequestHeaders, "accept") {
		s.mute++
	}
	if r.Method == "POST" && r.Referrer == "" && r.Origin == "" && strings.HasPrefix(r.UserAgent, "Mozilla/") && r.RequestHeaders != "" {
		s.sudden++
	}
	if isAddress(r.Host) {
		s.bare++
	}
	path, _, asked := strings.Cut(r.URI, "?")
	if asked || r.CookieLen > 0 || r.RequestLen > 0 {
		s.carried++
	}
	h := hash(path)
	known := s.seen(h)
	switch {
	case r.Referrer == "":
	case !known && path != "/" && strings.HasSuffix(r.Referrer, path) && strings.Contains(r.Referrer, r.Host):
		s.selfMade++
	case !strings.Contains(r.Referrer, r.Host) || !strings.HasSuffix(r.Referrer, path):
		s.referred++
	}
	s.setCookie = s.setCookie || strings.Contains(r.ResponseHeaders, "set-cookie")
	if r.CookieLen > 0 && !s.setCookie {
		s.presented++
		s.cookie = max(s.cookie, r.CookieLen)
	}
	if lottery(r.URI) {
		s.drawn++
	}
	if shape := hash(r.RequestHeaders); shape != s.headers {
		s.headers = shape
		s.shapes++
	}
	s.body(r)
	if s.requests == 1 || r.Time.Sub(s.last) >= pause {
		s.gaps.beat(r.Time)
	}
	s.last = max(s.last, r.Time)
}

// pose notes how far the client behaves as the browser whose headers it sends.
func (s *session) pose(r *testudo.HTTP) {
	if !strings.HasPrefix(r.UserAgent, "Mozilla/") {
		return
	}
	if has(r.RequestHeaders, "accept") && has(r.RequestHeaders, "accept-language") && has(r.RequestHeaders, "accept-encoding") {
		s.posed++
	}
	if r.Origin != "" {
		s.origins++
	}
	if s.setCookie && r.CookieLen == 0 {
		s.dropped++
	}
	switch {
	case !r.HasResponse:
	case isPiece(r.ResponseType):
		s.pieces++
	case r.RequestLen == 0 && strings.HasPrefix(r.ResponseType, "text/html"):
		s.pages++
	}
}

// seen remembers up to six paths and counts the others.
func (s *session) seen(path uint64) bool {
	for i := range min(s.pathCount, len(s.paths)) {
		if s.paths[i] == path {
			return true
		}
	}
	if s.pathCount < len(s.paths) {
		s.paths[s.pathCount] = path
	}
	s.pathCount++
	return false
}

// body judges what was sent and what came back.
func (s *session) body(r *testudo.HTTP) {
	if r.RequestLen > 0 {
		s.posts++
		if undeclared(r.RequestType) && random(r.RequestLen, r.RequestEntropy, r.RequestText) {
			s.opaque++
		} else if encoded(r.RequestHead, r.RequestLen, r.RequestEntropy, r.RequestText) {
			s.coded++
		}
		s.sent.add(r.RequestLen)
		if strings.HasPrefix(r.RequestType, "application/octet-stream") && strings.HasPrefix(r.UserAgent, "Mozilla/") {
			s.raw++
		}
		if r.Status == 404 && wordless(r) {
			s.refused++
		}
	} else {
		s.gets++
	}
	if !r.HasResponse {
		return
	}
	s.answers++
	if len(r.RespMIME) > 0 && isMedia(r.RespMIME[0]) {
		s.media++
	}
	if claimsText(r.ResponseType) && !strings.Contains(r.ResponseHeaders, "content-encoding") &&
		!strings.HasPrefix(r.ResponseHead, "\x1f\x8b") && random(r.ResponseLen, r.ResponseEntropy, r.ResponseText) {
		s.falseText++
	}
	if strings.HasPrefix(r.ResponseType, "text/html") && encoded(r.ResponseHead, r.ResponseLen, r.ResponseEntropy, r.ResponseText) {
		s.answered++
	}
	s.sizes.add(r.ResponseLen)
}

// wordless tells whether an answer's body is neither text nor a page: every
// error page has a body, but one that a person or a program can read.
func wordless(r *testudo.HTTP) bool {
	if r.ResponseLen < 16 || strings.Contains(r.ResponseHeaders, "content-encoding") || strings.HasPrefix(r.ResponseHead, "\x1f\x8b") {
		return false
	}
	return r.ResponseText < 0.75 || encoded(r.ResponseHead, r.ResponseLen, r.ResponseEntropy, r.ResponseText)
}

// steady returns the share of the commonest answer size among the answers, 0
// where that is no message but a piece of something big.
func (s *session) steady() float64 {
	size, count := s.sizes.commonest()
	if size > piece {
		return 0
	}
	return float64(count) / float64(max(1, s.answers))
}

// piece is how big an answer is no message any more.
const piece = 32 << 10

func isMedia(mime string) bool {
	return strings.HasPrefix(mime, "image/") || strings.HasPrefix(mime, "video/") || strings.HasPrefix(mime, "audio/")
}

// weigh puts what the session says for a control channel.
func (s *session) weigh(k *scale, p *pair) {
	if s.requests == 0 {
		return
	}
	alone := s.alone(p)
	s.weighClient(k)
	s.weighBodies(k, alone)
	s.weighShape(k, alone)
	if alone {
		s.weighPose(k)
	}
	k.when(s.media > 0 && 2*s.media >= s.answers, testudo.Innocence, -1.5, "%d of %d answers are pictures, sound or video", s.media, s.answers)
	k.when(s.carried == 0 && s.drawn == 0 && s.falseText == 0 && s.requests > 1, testudo.Innocence, -1, "it only reads: no query, cookie or post that could carry an answer out")
	k.when(s.bare > 0 && !p.bothOurs, testudo.Naming, 1.5, "%d of %d requests name a bare address instead of a host", s.bare, s.requests)
}

func (s *session) weighClient(k *scale) {
	switch {
	case 2*s.forged[naked] >= s.requests:
		k.add(testudo.Content, 2, "the client calls itself a browser but says neither what it accepts nor in which language, in %d of %d requests", s.forged[naked], s.requests)
	case 2*(s.forged[naked]+s.forged[careless]) >= s.requests:
		k.add(testudo.Content, 1, "the client calls itself a browser but names no language and no encoding, in %d of %d requests", s.forged[naked]+s.forged[careless], s.requests)
	case s.mute > 0 && s.mute == s.requests:
		k.add(testudo.Content, 0.8, "the client says neither its name nor what it accepts")
	case s.odd:
		k.add(testudo.Content, 1.2, "the client's name looks drawn by lot")
	}
	k.when(s.sudden > 0, testudo.Content, 0.7, "%d posts of a browser that say no page they come from", s.sudden)
	k.when(s.selfMade > 0, testudo.Content, 1.5, "%d requests claim to come from the very page they ask for, which was never asked for before", s.selfMade)
	if s.presented > 0 && s.forged[honest] < s.requests {
		w := 0.7
		if s.cookie >= 128 {
			w = 1.5
		}
		k.add(testudo.Content, w, "%d requests carry a cookie (up to %d bytes) that the server was not seen to set", s.presented, s.cookie)
	}
}

func (s *session) weighBodies(k *scale, alone bool) {
	k.when(s.falseText > 0, testudo.Content, 2.5, "%d answers claim to be text but are random bytes, as of something encrypted", s.falseText)
	if s.opaque > 0 {
		k.add(testudo.Content, 1.5, "%d posts of random bytes under no honest type", s.opaque)
	} else if s.coded > 0 && (s.bare > 0 || alone || s.forged[honest] < s.requests) {
		k.add(testudo.Content, 1, "%d posts of encoded text", s.coded)
	}
	k.when(s.answered > 0, testudo.Content, 1.5, "%d answers claim to be pages but are one word of encoded text", s.answered)
	k.when(s.raw >= 2 && s.opaque == 0 && (alone || s.forged[honest] < s.requests), testudo.Content, 0.8, "%d posts of raw bytes from what calls itself a browser", s.raw)
	if s.refused >= 2 {
		w := 1.0
		if s.refused > 2 {
			w = 1.5
		}
		k.add(testudo.Content, w, "%d posts went to what the server says is not there, yet its answer is no error page but binary or encoded", s.refused)
	}
	k.when(s.drawn >= 2 && 2*s.drawn >= s.requests, testudo.Content, 1, "%d of %d requests ask for paths or with queries that look drawn by lot", s.drawn, s.requests)
}

// weighShape looks at the session as a whole: few things asked for again and
// again, nothing led there, the answers alike.
func (s *session) weighShape(k *scale, alone bool) {
	if w := s.gaps.weight(); w > 0 {
		k.add(testudo.Timing, w, "%d requests about every %.1f s (deviation %.0f %%)", s.gaps.count, s.gaps.mean, 100*s.gaps.jitter())
	}
	switch {
	case s.requests >= polls && (s.referred == 0 || alone) && s.pathCount <= len(s.paths) && s.steady() >= 0.5:
		w, led := 1.2, "none led there by another page"
		if s.requests >= 2*polls {
			w = 1.5
		}
		if s.referred > 0 {
			led = "none led there by a page that was loaded"
		}
		k.add(testudo.Volume, w, "%d requests for %d paths, %s, %.0f %% of the answers of one size", s.requests, s.pathCount, led, 100*s.steady())
	case s.posts >= 2 && s.gets == 0 && s.referred == 0:
		k.add(testudo.Volume, 0.9, "%d posts, and never a page asked for", s.posts)
	}
}

// undeclared tells whether a body's claimed type admits no random bytes.
func undeclared(mime string) bool {
	return mime == "" || strings.HasPrefix(mime, "application/x-www-form-urlencoded") || claimsText(mime)
}

func claimsText(mime string) bool {
	return strings.HasPrefix(mime, "text/") || strings.HasPrefix(mime, "application/json") || strings.HasPrefix(mime, "application/javascript")
}

// random tells whether n bytes of this entropy and printable share look like
// the output of a cipher: 4096 at most were measured, and few bytes cannot
// reach 8 bits.
func random(n int64, entropy, text float64) bool {
	if n < 32 || text > 0.75 {
		return false
	}
	return entropy >= 0.88*min(8, math.Log2(float64(min(n, 4096))))
}

// encoded tells whether n bytes of text are hexadecimal or base64, perhaps
// behind a field's name: one long word, with the entropy of its alphabet.
func encoded(head string, n int64, entropy, text float64) bool {
	if n < 96 || text < 0.97 || len(head) < 32 {
		return false
	}
	if i := strings.IndexByte(head, '='); i >= 0 && i < 16 {
		head = head[i+1:]
	}
	for i := 0; i < len(head); i++ {
		if !codeLetter(head[i]) {
			return false
		}
	}
	return entropy > 3.6 && entropy < 4.2 || entropy > 5.6
}

func codeLetter(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("+/=-_%&", c) >= 0
}

func isAddress(host string) bool {
	for i := 0; i < len(host); i++ {
		if c := host[i]; nibble(c) < 0 && strings.IndexByte(":.[]%", c) < 0 {
			return false // most hosts; a failed parse would allocate
		}
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// lottery tells whether a part of a path or a query's value looks drawn by
// lot.
func lottery(uri string) bool {
	from := 0
	for i := 0; i <= len(uri); i++ {
		if i == len(uri) || strings.IndexByte("/?&=;.-_", uri[i]) >= 0 {
			if drawnByLot(uri[from:i]) {
				return true
			}
			from = i + 1
		}
	}
	return false
}

// drawnByLot tells whether a word of letters and digits changes its kind of
// letter too often for a name, or is a long one without vowels in their
// places. Hexadecimal numbers, numbers and words with blanks are none: those
// are ordinary identifiers.
func drawnByLot(word string) bool {
	if len(word) < 10 || len(word) > 64 {
		return false
	}
	changes, letters, vowels, last, hex := 0, 0, 0, byte(0), true
	for i := 0; i < len(word); i++ {
		c := word[i]
		var kind byte
		switch {
		case c >= '0' && c <= '9':
			kind = 'd'
		case c >= 'a' && c <= 'z':
			kind = 'l'
		case c >= 'A' && c <= 'Z':
			kind = 'u'
		default:
			return false
		}
		if kind != 'd' {
			letters++
			if strings.IndexByte("aeiouyAEIOUY", c) >= 0 {
				vowels++
			}
			hex = hex && c|0x20 <= 'f'
		}
		if last != 0 && kind != last && !(last == 'u' && kind == 'l') {
			changes++
		}
		last = kind
	}
	if hex || letters == 0 {
		return false
	}
	return 4*changes >= len(word) || changes >= 2 && 6*vowels < letters
}
