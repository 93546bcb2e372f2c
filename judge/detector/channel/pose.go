package channel

import (
	"strings"

	"github.com/testudo-shield/testudo"
)

// disguise tells how far the client is from the browser its name claims.
func disguise(r *testudo.HTTP) int {
	if !strings.HasPrefix(r.UserAgent, "Mozilla/") || r.RequestHeaders == "" {
		return honest
	}
	if has(r.RequestHeaders, "accept-language") {
		return honest
	}
	if !has(r.RequestHeaders, "accept") {
		return naked
	}
	if has(r.RequestHeaders, "accept-encoding") {
		return unspoken
	}
	return careless
}

// has tells whether the comma-joined list holds name.
func has(list, name string) bool {
	for {
		first, rest, more := strings.Cut(list, ",")
		if first == name {
			return true
		}
		if !more {
			return false
		}
		list = rest
	}
}

// alone tells whether a client sends all of a browser's headers and yet does
// nothing else that a browser does: no style, script, font or picture ever
// came, and no request says which page it belongs to, or that page was never
// asked for in a watch too long for it to have been open before.
func (s *session) alone(p *pair) bool {
	if s.requests < polls || 2*s.posed < s.requests || s.pieces+s.media > 0 || p.bothOurs {
		return false
	}
	return s.referred+s.origins == 0 || s.pages == 0 && p.began >= settled
}

// weighPose puts what speaks against a browser whose headers are all there. A
// program that is built from a browser sends them too, and reports at even
// times; what it says can be read.
func (s *session) weighPose(k *scale) {
	hidden := s.opaque+s.coded+s.falseText+s.answered+s.raw > 0
	w := 0.2
	if hidden {
		w = 1
	}
	k.add(testudo.Content, w, "it sends all of a browser's headers but loaded no page with styles, scripts or pictures that it could belong to")
	size, count := s.sent.commonest()
	k.when(hidden && s.posts >= polls && 5*count >= 4*int64(s.posts) && size <= small && s.gaps.weight() > 0,
		testudo.Content, 0.5, "%d of %d posts have %d bytes", count, s.posts, size)
	k.when(s.dropped >= 3, testudo.Content, 0.7, "%d requests lack the cookie that the server had set", s.dropped)
	k.when(hidden && s.forged[honest] == s.requests && s.presented > 0 && s.cookie >= 128, testudo.Content, 0.5, "%d requests carry a cookie (up to %d bytes) that the server was not seen to set", s.presented, s.cookie)
}

// small is how big a report is at most.
const small = 1 << 10

// isPiece tells the types of what pages are made of.
func isPiece(mime string) bool {
	for _, p := range [...]string{"text/css", "text/javascript", "application/javascript", "application/x-javascript", "font/", "application/font", "image/", "video/", "audio/"} {
		if strings.HasPrefix(mime, p) {
			return true
		}
	}
	return false
}

// sizes counts the commonest sizes.
type sizes [4]struct{ size, count int64 }

func (s *sizes) add(size int64) {
	least := 0
	for i := range s {
		if s[i].count > 0 && s[i].size == size {
			s[i].count++
			return
		}
		if s[i].count < s[least].count {
			least = i
		}
	}
	s[least].size, s[least].count = size, 1
}

func (s *sizes) commonest() (size, count int64) {
	for _, e := range s {
		if e.count > count {
			size, count = e.size, e.count
		}
	}
	return size, count
}
