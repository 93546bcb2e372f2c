package exfil

import (
	"fmt"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// drop is the reports that one host left in one place in one way.
type drop struct {
	first, last testudo.Time
	count, told int
	bytes       int64
	best        detector.Verdict
	what        string // what was done, of the best: "mails a report on itself to"
	detail      string
	innocent    string
	techniques  []string
	server      testudo.Server
	looked      bool // FTP: listed or fetched something in this session
	session     testudo.UID
	uids        [16]testudo.UID
	nuids       int
}

// report is one message, file or request that may be stolen goods.
type report struct {
	detector.Verdict
	what, detail, innocent string
	techniques             []string
	bytes                  int64
}

// note adds a report to where it went and claims it if it tells something new.
func (m *memory) note(w way, r *testudo.Meta, rep report, out *detector.Out) {
	d, isNew := m.drops.Put(w)
	if isNew || d.first == 0 {
		d.first = r.Time
	}
	if rep.Logit() <= -2 {
		return
	}
	m.drops.Keep(w, true)
	d.last = max(d.last, r.Time)
	d.count++
	d.bytes += rep.bytes
	if d.nuids < len(d.uids) && (d.nuids == 0 || d.uids[d.nuids-1] != r.UID) {
		d.uids[d.nuids] = r.UID
		d.nuids++
	}
	better := d.best.Reasons == nil || rep.Logit() > d.best.Logit()
	grew := rep.Logit() > d.best.Logit()+1
	if better {
		d.best, d.what, d.detail, d.innocent, d.techniques = rep.Verdict, rep.what, rep.detail, rep.innocent, rep.techniques
		d.server = testudo.Server{
			Address: r.ID.Resp.Addr(), Role: testudo.ExfilSink, Shared: r.About.Shared,
			Ports: []string{fmt.Sprintf("%s/%d", r.ID.Proto, r.ID.Resp.Port())},
		}
		if r.About.Name != "" {
			d.server.Names = []string{r.About.Name}
		}
	}
	if d.best.Logit() >= enough && (d.told == 0 || grew || d.count >= 2*d.told) {
		d.told = d.count
		out.Claim(d.claim(w))
	}
}

func (d *drop) claim(w way) testudo.Sighting {
	where := d.server.Address.String()
	if len(d.server.Names) > 0 {
		where = d.server.Names[0]
	}
	s := testudo.Sighting{
		Detector: "exfil", Key: fmt.Sprintf("%s %s %s", [...]string{"volume", "mail", "ftp", "http"}[w.via], w.host, w.dest()),
		Kind: testudo.Espionage, Outcome: testudo.Success, First: d.first, Last: d.last,
		Victims: []netip.Addr{w.host}, Servers: []testudo.Server{d.server},
		Title:    fmt.Sprintf("%s %s %s", w.host, d.what, where),
		Summary:  fmt.Sprintf("%s, %s in all: %s", plural(d.count, "report"), size(d.bytes), d.detail),
		Reasons:  d.best.Reasons,
		Innocent: d.innocent,
		Evidence: []testudo.Fact{
			{Name: "count", Value: d.count},
			{Name: "bytes_out", Value: d.bytes},
			{Name: "what", Value: d.detail},
			{Name: "span_s", Value: d.last.Sub(d.first).Seconds()},
		},
		Techniques: d.techniques,
	}
	s.UIDs = append(s.UIDs, d.uids[:d.nuids]...)
	return s
}
