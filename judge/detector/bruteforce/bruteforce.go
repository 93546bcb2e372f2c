// Package bruteforce finds who tries keys: many log-ins that fail, by what
// the protocol says (ssh, ftp, smtp, http), or many short conversations of
// one size with one service. It tells an attempt from one that got in.
package bruteforce

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

const (
	// enough is how many failed log-ins of one source at one service, each
	// at most pause after the one before, are no longer a forgotten password.
	enough = 8
	pause  = 15 * time.Minute
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
		Route: func(r testudo.Record) (uint64, bool) {
			switch r := r.(type) {
			case *testudo.SSH, *testudo.HTTP, *testudo.SMTP:
			case *testudo.FTP:
				if r.Command != "PASS" {
					return 0, false
				}
			case *testudo.Conn:
				if r.Interim || !shaped(r) {
					return 0, false
				}
			default:
				return 0, false
			}
			return detector.AddrKey(r.Base().ID.Resp.Addr()), true
		},
		New: func(entries int) detector.Memory {
			return &memory{series: detector.NewTable[key, series](entries)}
		},
	}
}

// shaped picks conversations whose protocol nobody reads: both ends spoke,
// shortly, and it is none of those that clients begin by the dozen.
func shaped(c *testudo.Conn) bool {
	return c.ID.Proto == testudo.TCP && c.Service == "" && c.OrigBytes >= 20 && c.RespBytes >= 4 &&
		c.OrigBytes < 20000 && c.RespBytes < 20000 && c.Duration < time.Minute && c.Turns >= 2
}

type key struct {
	from, to netip.Addr
	port     uint16
	way      way
}

// way is by which protocol the keys are tried.
type way uint8

const (
	bySSH way = iota
	byFTP
	bySMTP
	byHTTPAuth
	byHTTPForm
	byShape
)

var wayNames = [...]string{"ssh", "ftp", "smtp", "http log-in", "http form", "one service"}

type series struct {
	first, last    testudo.Time
	failed, tried  int
	gotIn          testudo.Time
	users          int
	user           string
	target         string // URI of a form
	uids           [16]testudo.UID
	length         int64 // of the form's answer, or of orig's bytes by shape
	alike          int
	gaps, gapsSq   float64
	claimed        int
	told           bool // success was told
	ours, outbound bool
}

type memory struct{ series *detector.Table[key, series] }

// Observe implements detector.Memory.
func (m *memory) Observe(r testudo.Record, out *detector.Out) {
	switch r := r.(type) {
	case *testudo.SSH:
		// A client that offers several keys before the right one is no
		// attack: only a conversation that got nowhere counts as failed.
		if r.AuthSuccess != nil {
			in := *r.AuthSuccess
			m.add(r, bySSH, "", "", b2i(!in)*max(1, r.AuthAttempts), in, out)
		}
	case *testudo.FTP:
		m.add(r, byFTP, r.User, "", b2i(r.ReplyCode >= 500), r.ReplyCode == 230, out)
	case *testudo.SMTP:
		m.add(r, bySMTP, r.User, "", r.AuthFailed, r.AuthOK, out)
	case *testudo.HTTP:
		m.http(r, out)
	case *testudo.Conn:
		m.conn(r, out)
	}
}

func (m *memory) http(r *testudo.HTTP, out *detector.Out) {
	switch {
	case r.Username != "" && r.HasResponse:
		m.add(r, byHTTPAuth, r.Username, "", b2i(r.Status == 401 || r.Status == 407), r.Status < 400, out)
	case r.Method == "POST" && r.HasResponse && r.RequestLen > 0 && r.RequestLen < 2048 && r.RequestText > 0.9:
		m.form(r, out)
	}
}

// form counts posts of one form whose answers are all alike: an answer that
// differs after many that did not is a log-in that worked.
func (m *memory) form(r *testudo.HTTP, out *detector.Out) {
	target := path(r.URI)
	s := m.at(r, byHTTPForm)
	answer := int64(r.Status)<<32 | r.ResponseLen/64
	if s.target != target {
		keep := *s
		if keep.tried >= enough {
			return // another form while one is being tried
		}
		*s = series{first: r.Time, last: r.Time, target: target, length: answer, ours: keep.ours, outbound: keep.outbound}
	}
	denied := r.Status == 401 || r.Status == 403 || r.Status == 429
	if answer == s.length || denied {
		s.count(r, 1, 0)
	} else if s.failed >= 2*enough {
		s.count(r, 0, 1)
	} else {
		s.length = answer
		s.failed = 0
		s.count(r, 0, 0)
	}
	m.decide(keyOf(r, byHTTPForm), s, 2*enough, out)
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
	s := m.at(c, byShape)
	if c.Time.Sub(s.last) > shapePause || !near(c.OrigBytes, s.length) {
		s.alike, s.failed, s.first = 0, 0, c.Time
		s.length = c.OrigBytes
	}
	s.count(c, 1, 0)
	m.decide(keyOf(c, byShape), s, shapes, out)
}

func near(a, b int64) bool { return math.Abs(float64(a-b)) <= 16+0.05*float64(b) }

func (m *memory) add(r testudo.Record, w way, user, target string, failed int, in bool, out *detector.Out) {
	if failed == 0 && !in {
		return
	}
	s := m.at(r, w)
	if user != "" && user != s.user {
		s.user = user
		s.users++
	}
	s.target = target
	s.count(r, failed, b2i(in))
	m.decide(keyOf(r, w), s, enough, out)
}

func keyOf(r testudo.Record, w way) key {
	id := r.Base().ID
	return key{id.Orig.Addr(), id.Resp.Addr(), id.Resp.Port(), w}
}

// at returns the series r belongs to, begun anew after a pause.
func (m *memory) at(r testudo.Record, w way) *series {
	b := r.Base()
	s, isNew := m.series.Put(keyOf(r, w))
	if isNew || b.Time.Sub(s.last) > pause && s.claimed == 0 {
		*s = series{first: b.Time, last: b.Time, ours: b.About.OrigLocal, outbound: b.About.Outbound && !b.About.RespLocal}
	}
	return s
}

func (s *series) count(r testudo.Record, failed, in int) {
	b := r.Base()
	if gap := b.Time.Sub(s.last).Seconds(); s.tried > 0 {
		s.gaps += gap
		s.gapsSq += gap * gap
	}
	if s.tried < len(s.uids) {
		s.uids[s.tried] = b.UID
	}
	s.tried++
	s.failed += failed
	s.last = max(s.last, b.Time)
	if in > 0 && s.failed >= enough && s.gotIn == 0 {
		s.gotIn = b.Time
	}
}

func (m *memory) decide(k key, s *series, least int, out *detector.Out) {
	fresh := s.claimed == 0 || s.failed >= 2*s.claimed || s.gotIn != 0 && !s.told
	if s.failed < least || !fresh {
		return
	}
	s.claimed, s.told = s.failed, s.gotIn != 0
	m.series.Keep(k, true)
	out.Claim(s.claim(k))
}

// Tick implements detector.Memory.
func (m *memory) Tick(_ testudo.Time, last bool, out *detector.Out) {
	if !last {
		return
	}
	for k, s := range m.series.All {
		if s.claimed > 0 && s.failed > s.claimed {
			out.Claim(s.claim(k))
		}
	}
}

// Shed implements detector.Memory.
func (m *memory) Shed() int { return m.series.Shed() }

func (s *series) claim(k key) testudo.Sighting {
	took := s.last.Sub(s.first)
	rate := float64(s.failed) / math.Max(1, took.Minutes())
	where := fmt.Sprintf("%s (%s/%d)", k.to, wayNames[k.way], k.port)
	reasons := []testudo.Reason{
		{Family: testudo.Base, Weight: -4, Text: "people and programs mistype and forget"},
		{Family: testudo.Volume, Weight: detector.Cap(1.6*math.Log2(float64(s.failed)/4), 6), Text: fmt.Sprintf("%d log-ins failed in %s", s.failed, took.Round(time.Second))},
		{Family: testudo.Timing, Weight: detector.Cap(math.Log2(rate/2+0.5), 2), Text: fmt.Sprintf("%.1f a minute; a person manages about two", rate)},
	}
	if s.users > 1 {
		reasons = append(reasons, testudo.Reason{Family: testudo.Content, Weight: detector.Cap(0.5*float64(s.users), 2), Text: fmt.Sprintf("%d different accounts", s.users)})
	}
	title := fmt.Sprintf("%s tries keys at %s", k.from, where)
	outcome := testudo.Noise
	switch {
	case k.way == byShape:
		title = fmt.Sprintf("%s begins the same short conversation over and over with %s", k.from, where)
		reasons = append(reasons, testudo.Reason{Family: testudo.Innocence, Weight: -3, Text: "no protocol said that a log-in failed; a monitor or a pool would look alike"})
		outcome = testudo.Attempt
	case s.gotIn != 0:
		title = fmt.Sprintf("%s broke into %s after %d failed log-ins", k.from, where, s.failed)
		reasons = append(reasons, testudo.Reason{Family: testudo.Content, Weight: 1.5, Text: "then one worked"})
		outcome = testudo.Success
	case s.ours:
		outcome = testudo.Attempt
	}
	sg := testudo.Sighting{
		Detector: "bruteforce", Key: fmt.Sprintf("%s %s %d %s", k.from, k.to, k.port, wayNames[k.way]),
		Kind: testudo.Intrusion, Outcome: outcome, First: s.first, Last: s.last,
		Victims: []netip.Addr{k.to}, Title: title,
		Servers:    []testudo.Server{{Address: k.from, Role: testudo.Exploiter}},
		Summary:    fmt.Sprintf("%d failed log-ins at %s in %s", s.failed, where, took.Round(time.Second)),
		Reasons:    reasons,
		Innocent:   "a program with an outdated password, or a tester of our own",
		Techniques: []string{"T1110"},
		Evidence: []testudo.Fact{
			{Name: "count", Value: s.failed}, {Name: "per_minute", Value: math.Round(rate*10) / 10},
			{Name: "accounts", Value: s.users}, {Name: "got_in", Value: s.gotIn != 0},
		},
	}
	if s.ours {
		sg.Servers[0].Role = testudo.Lateral
	}
	for _, u := range s.uids[:min(s.tried, len(s.uids))] {
		sg.UIDs = append(sg.UIDs, u)
	}
	return sg
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
