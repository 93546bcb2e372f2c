// Package bruteforce finds who tries keys: many log-ins that fail, by what
// the protocol says (ssh, ftp, smtp, http), or many short conversations of
// one size with one service. It tells an attempt from one that got in.
package bruteforce

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

const (
	// enough is how many failed log-ins of one source at one service in
	// about memorySpan are no longer a forgotten password, and together of
	// several sources no longer their users' everyday.
	enough   = 8
	together = 24
	mistyped = 3
	// concert is how many sources at once are more than the few that guess
	// anywhere, once watching has lasted for a habit.
	concert    = 6
	memorySpan = 10 * time.Minute
	// habit is how long it takes to learn how much guessing is everyday at a
	// service, and outburst how many times that is an attack.
	habit    = 12 * time.Hour
	outburst = 4
	// shapes is how many alike conversations count where the protocol does
	// not say whether a log-in failed.
	shapes = 24
	// shapePause is the longest gap within such a series.
	shapePause = 10 * time.Second
)

// Detector returns the detector. Its memory hangs on the machine that is
// attacked.
func Detector() detector.Detector {
	return detector.Detector{
		Name:  "bruteforce",
		Needs: []string{"ssh", "ftp", "smtp", "http", "conn"},
		Wants: []testudo.Evidence{testudo.Logins, testudo.Turns, testudo.Bodies},
		Route: func(r testudo.Record) (uint64, bool) {
			switch r := r.(type) {
			case *testudo.SSH, *testudo.HTTP, *testudo.SMTP:
			case *testudo.FTP:
				if r.Command != "PASS" {
					return 0, false
				}
			case *testudo.Conn:
				if r.Interim || !shaped(r) && !sealed(r) {
					return 0, false
				}
			default:
				return 0, false
			}
			return detector.AddrKey(r.Base().ID.Resp.Addr()), true
		},
		New: func(entries int) detector.Memory {
			return &memory{
				series:  detector.NewTableBy[key, series](entries, key.sum),
				targets: detector.NewTableBy[key, target](max(1, entries/8), key.sum),
			}
		},
	}
}

// shaped picks conversations whose protocol nobody reads: both ends spoke,
// shortly, and it is none of those that clients begin by the dozen.
func shaped(c *testudo.Conn) bool {
	return c.ID.Proto == testudo.TCP && c.Service == "" && c.OrigBytes >= 20 && c.RespBytes >= 4 &&
		c.OrigBytes < 20000 && c.RespBytes < 20000 && c.Duration < time.Minute && c.Turns >= 2
}

// sealed picks conversations under TLS that come to a service of ours from
// outside, from somebody who was not here an hour ago.
func sealed(c *testudo.Conn) bool {
	return c.ID.Proto == testudo.TCP && c.Service == "ssl" && c.About.RespLocal && !c.About.OrigLocal &&
		c.Time.Sub(c.About.PeerSince) < time.Hour && c.RespBytes > 0
}

// brief tells a conversation that a program opens for a few words: a browser
// keeps its connection and waits for its user.
func brief(c *testudo.Conn) bool {
	return c.Duration < 3*time.Second && c.OrigBytes < 4096 && c.RespBytes < 32<<10
}

type key struct {
	from, to netip.Addr
	port     uint16
	way      way
}

func (k key) sum(h detector.Hash) detector.Hash {
	return h.Addr(k.from).Addr(k.to).Word(uint64(k.port)<<8 | uint64(k.way))
}

// way is by which protocol the keys are tried.
type way uint8

const (
	bySSH way = iota
	byFTP
	bySMTP
	byHTTPAuth
	byHTTPForm
	bySession
	byShape
)

var wayNames = [...]string{"ssh", "ftp", "smtp", "http log-in", "http form", "under tls", "one service"}

type series struct {
	first, last   testudo.Time
	level, peak   float64 // failed log-ins, ageing with memorySpan
	failed, tried int
	gotIn         testudo.Time
	users         int
	user          string
	target        string // URI of a form
	uids          [16]testudo.UID
	length        int64 // of the form's answer, or of orig's bytes by shape
	claimed       int
	told          bool // success was told
	ours          bool // the source is a machine of ours
}

// target is what all sources together do to one service; its key has no from.
type target struct {
	series
	usual  float64 // the level of an ordinary hour here, ageing with habit
	denied int     // answers that refuse by their status
	// unusual says that many acted as one where such a thing was long not seen:
	// they mean this service, and not any that answers.
	unusual bool
	who     [16]guesser // those with failures, first come
	nwho    int
	more    int // sources beyond those
}

type guesser struct {
	from   netip.Addr
	failed int
	gotIn  bool
}

type memory struct {
	series  *detector.Table[key, series]
	targets *detector.Table[key, target]
}

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	switch r := r.(type) {
	case *testudo.SSH:
		// A client that offers several keys before the right one is no
		// attack: only a conversation that got nowhere counts as failed.
		if r.AuthSuccess != nil {
			in := *r.AuthSuccess
			m.add(r, bySSH, "", b2i(!in)*max(1, r.AuthAttempts), in, out)
		}
	case *testudo.FTP:
		m.add(r, byFTP, r.User, b2i(r.ReplyCode >= 500), r.ReplyCode == 230, out)
	case *testudo.SMTP:
		m.add(r, bySMTP, r.User, r.AuthFailed, r.AuthOK, out)
	case *testudo.HTTP:
		m.http(r, out)
	case *testudo.Conn:
		if r.Service == "ssl" {
			m.session(r, out)
			return
		}
		m.conn(r, out)
	}
}

// session counts brief conversations under TLS. Only several newcomers that
// do so together are told. One of them that then stays and brings much got in.
func (m *memory) session(c *testudo.Conn, out *detector.Out) {
	if brief(c) {
		m.add(c, bySession, "", 1, false, out)
		return
	}
	if s := m.series.Peek(keyOf(c, bySession)); s != nil && s.failed >= 5 && c.OrigBytes > 16<<10 {
		m.add(c, bySession, "", 0, true, out)
	}
}

func (m *memory) http(r *testudo.HTTP, out *detector.Out) {
	switch {
	case r.Username != "" && r.HasResponse:
		m.add(r, byHTTPAuth, r.Username, b2i(r.Status == 401 || r.Status == 407), r.Status < 400, out)
	case r.Method == "POST" && r.HasResponse && r.RequestLen > 0 && r.RequestLen < 2048 && r.RequestText > 0.9 && asks(r):
		m.form(r, out)
	}
}

// asks tells whether a post is a log-in: the server refuses it by its status,
// or it carries a field that asks for a secret.
func asks(r *testudo.HTTP) bool {
	return refused(r.Status) || secret(r.RequestHead) || secret(r.URI)
}

func refused(status int) bool { return status == 401 || status == 403 || status == 429 }

// secret finds the words by which forms in most languages of the web name
// the field of a secret.
func secret(s string) bool {
	s = strings.ToLower(s)
	for _, word := range []string{"pass", "pwd", "passwort", "contras", "senha", "parol", "haslo", "pin=", "login"} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return false
}

// admits tells whether an answer looks like a log-in that worked: it sends
// the user on, or gives him a session.
func admits(r *testudo.HTTP) bool {
	return r.Status >= 300 && r.Status < 400 || r.Status < 300 && strings.Contains(r.ResponseHeaders, "set-cookie")
}

// form counts posts of one form whose answers are all alike: an answer that
// differs after many that did not is a log-in that worked.
func (m *memory) form(r *testudo.HTTP, out *detector.Out) {
	uri := path(r.URI)
	answer := int64(r.Status)<<32 | r.ResponseLen/64
	denied := refused(r.Status)
	t, isNew := m.targets.Put(key{to: r.ID.Resp.Addr(), port: r.ID.Resp.Port(), way: byHTTPForm})
	if isNew || t.target != uri && t.level < 1 {
		*t = target{series: series{first: r.Time, last: r.Time, target: uri, length: answer}}
	}
	if t.target != uri {
		return // another form than the one that is being tried
	}
	switch {
	case denied:
		t.denied++
		m.add(r, byHTTPForm, "", 1, false, out)
	case t.denied > t.failed/2:
		m.add(r, byHTTPForm, "", 0, true, out) // this server says so when it refuses
	case answer == t.length:
		m.add(r, byHTTPForm, "", 1, false, out)
	case t.failed >= 2*enough && admits(r):
		m.add(r, byHTTPForm, "", 0, true, out)
	case t.level < 1:
		t.length = answer // what most answers look like is still being learned
	}
}

func path(uri string) string {
	for i := range len(uri) {
		if uri[i] == '?' || uri[i] == ';' {
			return uri[:i]
		}
	}
	return uri
}

// conn counts conversations of one shape in quick succession.
func (m *memory) conn(c *testudo.Conn, out *detector.Out) {
	k := keyOf(c, byShape)
	s, isNew := m.series.Put(k)
	if isNew || c.Time.Sub(s.last) > shapePause || !near(c.OrigBytes, s.length) {
		*s = series{first: c.Time, last: c.Time, ours: c.About.OrigLocal, length: c.OrigBytes, claimed: s.claimed}
	}
	s.count(c, 1, false)
	if s.failed >= shapes && s.failed >= 2*s.claimed {
		s.claimed = s.failed
		m.series.Keep(k, true)
		out.Claim(s.claim(k, nil))
	}
}

func near(a, b int64) bool { return math.Abs(float64(a-b)) <= 16+0.05*float64(b) }

// add counts a log-in for its source and for its target.
func (m *memory) add(r testudo.Record, w way, user string, failed int, in bool, out *detector.Out) {
	if failed == 0 && !in {
		return
	}
	k := keyOf(r, w)
	b := r.Base()
	s, isNew := m.series.Put(k)
	if isNew {
		*s = series{first: b.Time, last: b.Time, ours: b.About.OrigLocal}
	}
	t, isNew := m.targets.Put(key{to: k.to, port: k.port, way: w})
	if isNew {
		t.first, t.last = b.Time, b.Time
	}
	s.name(user)
	s.count(r, failed, in)
	// The first two failures of a source are anybody's: they do not count for
	// what all do together.
	switch {
	case s.level < mistyped && !(in && s.failed >= mistyped):
		failed = 0
	case s.level-float64(failed) < mistyped:
		failed = int(s.level + 0.5)
	}
	if failed > 0 || in && s.failed >= mistyped {
		t.burst(b.Time)
		in = in && (s.failed >= enough || t.level >= t.least() && b.Time.Sub(b.About.PeerSince) < 24*time.Hour)
		t.name(user)
		t.count(r, failed, in)
		t.note(k.from, failed, in)
		t.ours = t.ours || s.ours
		t.unusual = t.unusual || b.About.Known >= habit && t.busy() >= concert && t.level >= t.least()
	}
	if w != bySession && s.due(enough) {
		m.series.Keep(k, true)
		out.Claim(s.claim(k, nil))
	}
	if t.busy() >= 3 && t.level >= t.least() && t.due(together) {
		m.targets.Keep(key{to: k.to, port: k.port, way: w}, true)
		out.Claim(t.claim(key{to: k.to, port: k.port, way: w}, t))
	}
}

// least is the level from which on what happens here is an attack.
func (t *target) least() float64 { return max(together, outburst*t.usual) }

// burst learns what is usual before time now, and begins anew where the last
// outburst is over.
func (t *target) burst(now testudo.Time) {
	dt := now.Sub(t.last)
	if dt <= 0 {
		return
	}
	// The level falls between two failures: on the average it was lower.
	mean := t.level * float64(memorySpan) / float64(dt) * -math.Expm1(-float64(dt)/float64(memorySpan))
	t.usual += (mean - t.usual) * -math.Expm1(-float64(dt)/float64(habit))
	if level := t.level * math.Exp(-float64(dt)/float64(memorySpan)); level < max(2, t.usual) {
		*t = target{series: series{first: now, last: t.last, level: t.level, target: t.target, length: t.length}, usual: t.usual, denied: t.denied}
	}
}

// busy returns how many sources tried several times.
func (t *target) busy() (n int) {
	for _, g := range t.who[:t.nwho] {
		if g.failed >= mistyped {
			n++
		}
	}
	return n
}

// name counts an account that differs from the last one.
func (s *series) name(user string) {
	if user != "" && user != s.user {
		s.user = user
		s.users++
	}
}

func (t *target) note(from netip.Addr, failed int, in bool) {
	for i := range t.who[:t.nwho] {
		if t.who[i].from == from {
			t.who[i].failed += failed
			t.who[i].gotIn = t.who[i].gotIn || in
			return
		}
	}
	switch {
	case t.nwho < len(t.who):
		t.who[t.nwho] = guesser{from, failed, in}
		t.nwho++
	case in:
		t.who[len(t.who)-1] = guesser{from, failed, in}
		t.more++
	default:
		t.more++
	}
}

func keyOf(r testudo.Record, w way) key {
	id := r.Base().ID
	return key{id.Orig.Addr(), id.Resp.Addr(), id.Resp.Port(), w}
}

func (s *series) count(r testudo.Record, failed int, in bool) {
	b := r.Base()
	if dt := b.Time.Sub(s.last); dt > 0 {
		s.level *= math.Exp(-float64(dt) / float64(memorySpan))
	}
	if s.level < 1 && s.peak < enough {
		s.first, s.failed, s.tried = b.Time, 0, 0 // what was before is another story
	}
	s.level += float64(failed)
	s.peak = max(s.peak, s.level)
	if s.tried < len(s.uids) {
		s.uids[s.tried] = b.UID
	}
	s.tried++
	s.failed += failed
	s.last = max(s.last, b.Time)
	if in && s.failed >= enough && s.gotIn == 0 {
		s.gotIn = b.Time
	}
}

// due tells whether there is something new to claim.
func (s *series) due(least float64) bool {
	if s.peak < least || s.failed < 2*s.claimed && (s.gotIn == 0 || s.told) {
		return false
	}
	s.claimed, s.told = s.failed, s.gotIn != 0
	return true
}

// Tick implements detector.Memory.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for k, s := range m.series.All {
		if s.claimed > 0 && s.failed > s.claimed {
			out.Claim(s.claim(k, nil))
		}
	}
	for k, t := range m.targets.All {
		if t.claimed > 0 && t.failed > t.claimed {
			out.Claim(t.claim(k, t))
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.series.Shed() + m.targets.Shed() }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
