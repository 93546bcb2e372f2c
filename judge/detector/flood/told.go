package flood

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// words are how a form is told: to a target, of what, by which technique,
// and the log-odds of its bare shape.
type words struct {
	name, title, what, technique string
	shape                        float64
	because                      string
}

func wordsOf(f form) words {
	return [...]words{
		synForm:      {"syn", "%s is flooded with connection requests", "connection requests", "T1499.001", 2.5, "they were not completed"},
		answerForm:   {"tcp-reflection", "%s is flooded with answers to TCP requests it never made", "answers to requests never made", "T1498.002", 3, "answers without a question have no innocent sender at such a rate"},
		strayForm:    {"ack", "%s is flooded with TCP segments of no conversation", "TCP segments that belong to no conversation", "T1499.001", 2, "no conversation began with them and none went on"},
		reflectForm:  {"reflection", "%s is flooded by reflection", "datagrams from service ports", "T1498.002", 0.5, "nothing was asked and nothing went back"},
		datagramForm: {"udp", "%s is flooded with datagrams", "datagrams that were not answered", "T1498.001", 0.5, "nothing went back"},
		icmpForm:     {"icmp", "%s is flooded with ICMP", "ICMP messages that were not answered", "T1498.001", 0.5, "nothing went back"},
		errorForm:    {"icmp-error", "%s is flooded with ICMP errors", "ICMP errors about what was never sent", "T1498.001", 1, "nothing was sent that they could be about"},
		fragmentForm: {"fragments", "%s is flooded with fragments", "pieces of datagrams that never become whole", "T1499.001", 2, "the rest of them never came"},
		otherForm:    {"other", "%s is flooded with packets", "packets that were not answered", "T1498.001", 0.5, "nothing went back"},
	}[f]
}

// services are the UDP services that are known to answer with more than they
// are asked.
func serviceOf(port uint16) string {
	switch port {
	case 17:
		return "qotd"
	case 19:
		return "chargen"
	case 53:
		return "dns"
	case 69:
		return "tftp"
	case 111:
		return "portmap"
	case 123:
		return "ntp"
	case 137:
		return "netbios"
	case 161:
		return "snmp"
	case 389:
		return "cldap"
	case 427:
		return "slp"
	case 1194:
		return "openvpn"
	case 1900:
		return "ssdp"
	case 3283:
		return "ard"
	case 3702:
		return "ws-discovery"
	case 5353:
		return "mdns"
	case 5683:
		return "coap"
	case 10001:
		return "ubiquiti"
	case 11211:
		return "memcached"
	}
	return ""
}

// reflected tells whether a datagram looks like an answer by its ports.
func reflected(from, to uint16) bool {
	return from != to && (serviceOf(from) != "" || from < 1024 && to >= 1024 && from != quic)
}

// quic is the port of HTTP over UDP, which answers with no more than it was
// asked for (RFC 9000, 8.1).
const quic = 443

// surgeClaim is all that a claim is made from.
type surgeClaim struct {
	place
	*surge
	detail *detail
	count  int // of different senders
	habit  *habit
}

func (c *surgeClaim) score() float64 { return testudo.Probability(testudo.SumReasons(c.reasons())) }

// target is who suffers: a host or its network.
func (c *surgeClaim) target() netip.Prefix {
	if c.host.IsValid() {
		return netip.PrefixFrom(c.host, c.host.BitLen())
	}
	return c.net
}

func (c *surgeClaim) called() string {
	if c.host.IsValid() {
		return c.host.String()
	}
	return c.net.String()
}

// outbound tells that hosts of ours flood somebody else.
func (c *surgeClaim) outbound() bool { return c.out >= 0.5*c.owed }

func (c *surgeClaim) ours() bool { return c.within >= 0.5*c.owed }

// completed is the share of requests that were.
func (c *surgeClaim) completed() float64 { return min(1, c.peakPaid/max(1, c.peak+c.peakPaid)) }

// echo tells that what came are answers to what somebody else sent in our
// hosts' names: from few machines, or to many of ours, or errors.
func (c *surgeClaim) echo() bool {
	switch c.form {
	case answerForm:
		return c.count < crowd/4 || !c.host.IsValid()
	case errorForm:
		return c.peak < 1000 || !c.host.IsValid()
	}
	return false
}

// perSecond turns what came in a window into a rate.
func perSecond(x float64) float64 { return x / (float64(window<<stepShift) / 1e9) }

func (c *surgeClaim) reasons() []testudo.Reason {
	d, w := c.detail, wordsOf(c.form)
	chance := quiet
	if !c.host.IsValid() {
		chance *= 8
	}
	rs := []testudo.Reason{
		{Family: testudo.Base, Weight: -6, Text: "floods are rare"},
		{Family: testudo.Volume, Weight: detector.Cap(1.5*math.Log2(c.peak/chance), 7), Text: fmt.Sprintf("%.0f a second that belong to no conversation; scanners bring %s some %.0f", perSecond(c.peak), c.called(), chance/10)},
	}
	add := func(f testudo.Family, w float64, format string, args ...any) {
		rs = append(rs, testudo.Reason{Family: f, Weight: w, Text: fmt.Sprintf(format, args...)})
	}
	if done := c.completed(); done < 0.3 {
		add(testudo.Content, w.shape*(1-3*done), "%s", w.because)
	} else {
		add(testudo.Innocence, -6*done, "%.0f %% were completed: a crowd of visitors looks alike", 100*done)
	}
	port, concentrated, _ := most(d, func(p *packet) uint16 { return p.srcPort })
	if c.form == reflectForm && concentrated >= 0.5 {
		add(testudo.Content, 1.5, "they come from port %d%s, where a service answers", port, bracketed(serviceOf(port)))
	}
	if !c.ours() && !c.outbound() && c.count >= crowd {
		add(testudo.Company, detector.Cap(0.5*math.Log2(float64(c.count)/16), 3), "%s", many(c.count))
	}
	return append(rs, c.innocence()...)
}

// innocence is what speaks for something else.
func (c *surgeClaim) innocence() (rs []testudo.Reason) {
	d := c.detail
	add := func(w float64, format string, args ...any) {
		if w > -0.005 {
			return
		}
		rs = append(rs, testudo.Reason{Family: testudo.Innocence, Weight: w, Text: fmt.Sprintf(format, args...)})
	}
	each := perSecond(c.peak) / float64(c.count) // of one sender
	_, onPort, ports := most(d, func(p *packet) uint16 { return p.dstPort })
	datagrams := c.form == datagramForm || c.form == reflectForm
	switch {
	case (c.form == synForm || datagrams || c.form == strayForm) && c.host.IsValid() && ports > 32 && onPort < 0.5 && c.count <= 4:
		add(-5, "few senders walk along %d ports: that is a scan", ports)
	case !c.host.IsValid() && c.count <= 8 && !c.echo():
		add(-5, "few senders walk along a network: that is a scan")
	case c.oneWay() && c.count <= crowd/2:
		port, share, _ := most(d, func(p *packet) uint16 { return p.srcPort })
		if c.form == reflectForm && share >= 0.5 && serviceOf(port) != "" {
			break
		}
		w := -3 * (1 - math.Log2(float64(max(1, c.count)))/6)
		if c.last.Sub(c.first) > time.Minute {
			w -= 2
		}
		w = min(0, w+max(0, math.Log2(each/5000)))
		add(w, "%s, %.0f a second each: a stream of sound, picture, telemetry or a tunnel looks alike", many(c.count), each)
	}
	if port, share, _ := most(d, func(p *packet) uint16 { return p.srcPort }); c.form == datagramForm && port == quic && share >= 0.5 {
		add(-4, "they come from port %d: web pages seen in one direction look alike", port)
	}
	if c.ours() {
		asks := 500.0 // streams between machines of ours are quicker than those who ask again
		if c.form == synForm {
			asks = 12
		}
		add(min(0, -5+max(0, math.Log2(each/asks))), "they come from machines of ours, %.0f a second each: a collector, or a service of ours that is down", each)
	}
	if met := d.share(func(p *packet) bool { return c.habit.knows(p.src) }); met >= 0.2 && !c.ours() {
		add(-5*met, "%.0f %% of the senders' networks were served here before: a service that went down looks alike", 100*met)
	}
	return rs
}

// oneWay tells of forms that ordinary streams have, too.
func (c *surgeClaim) oneWay() bool {
	switch c.form {
	case datagramForm, reflectForm, icmpForm, fragmentForm, otherForm:
		return true
	}
	return false
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// claim puts it into words.
func (c *surgeClaim) claim() testudo.Sighting {
	w := wordsOf(c.form)
	s := testudo.Sighting{
		Detector: "flood", Key: fmt.Sprintf("load %s %s %d", w.name, c.called(), int64(c.onset)/int64(time.Second)),
		Kind: testudo.Flood, Outcome: testudo.Success, First: c.onset, Last: c.last,
		Title:   fmt.Sprintf(w.title, c.called()),
		Summary: fmt.Sprintf("%.0f %s a second at worst, %.0f in all, from %s", perSecond(c.peak), w.what, c.owed, many(c.count)),
		Reasons: c.reasons(), Techniques: []string{w.technique},
		Innocent: "a service that went down while its clients kept asking, or a sensor that sees one direction only",
	}
	port, concentrated, _ := most(c.detail, func(p *packet) uint16 { return p.srcPort })
	if service := serviceOf(port); c.form == reflectForm && concentrated >= 0.5 && service != "" {
		s.Title += " (" + service + ")"
	}
	if !c.host.IsValid() {
		s.Title += ", all over the network"
	}
	s.Victims = c.victims()
	c.accuse(&s)
	s.Evidence = c.evidence(w)
	return s
}

// victims are the host, or those of the network that show most.
func (c *surgeClaim) victims() (all []netip.Addr) {
	if c.host.IsValid() {
		return []netip.Addr{c.host}
	}
	for _, p := range c.detail.packets() {
		if len(all) == 16 {
			break
		}
		known := false
		for _, a := range all {
			known = known || a == p.dst
		}
		if !known {
			all = append(all, p.dst)
		}
	}
	return all
}

// accuse names the senders where they are few enough to be the attackers
// themselves, and turns the story round where they only echo.
func (c *surgeClaim) accuse(s *testudo.Sighting) {
	few := c.few()
	if c.echo() {
		s.Outcome, s.Innocent = testudo.Noise, "machines of ours that asked by a way this sensor does not see"
		s.Title = "somebody is flooded in the name of " + c.called()
		if len(few) == 1 {
			s.Title = fmt.Sprintf("%s is flooded in the name of %s", few[0], c.called())
		}
		return
	}
	if c.count > len(few) {
		return
	}
	role := testudo.Flooder
	if c.form == answerForm || c.form == reflectForm {
		role = testudo.Reflector
	}
	for _, a := range few {
		s.Servers = append(s.Servers, testudo.Server{Address: a, Role: role})
	}
	if c.outbound() && len(few) == 1 {
		s.Title = fmt.Sprintf("%s floods %s with %s", few[0], c.called(), wordsOf(c.form).what)
	}
}

// few returns the senders in the sample, at most eight.
func (c *surgeClaim) few() (all []netip.Addr) {
	for _, p := range c.detail.packets() {
		known := false
		for _, a := range all {
			known = known || a == p.src
		}
		if !known && len(all) < 8 {
			all = append(all, p.src)
		}
	}
	return all
}

func (c *surgeClaim) evidence(w words) []testudo.Fact {
	d := c.detail
	port, onPort, _ := most(d, func(p *packet) uint16 { return p.dstPort })
	from, onFrom, _ := most(d, func(p *packet) uint16 { return p.srcPort })
	forged, why := d.forged(c.form, c.count, c.completed())
	var nets []string
	for _, p := range d.prefixes(5) {
		if p.share >= 0.02 {
			nets = append(nets, p.String())
		}
	}
	name := w.name
	if c.echo() {
		name = "backscatter"
	}
	facts := []testudo.Fact{
		{Name: "form", Value: name},
		{Name: "target", Value: c.called()},
		{Name: "onset", Value: c.onset},
		{Name: "decided", Value: c.decided},
		{Name: "rate", Value: int64(perSecond(c.peak))},
		{Name: "bits_per_second", Value: int64(8 * perSecond(c.peakBytes))},
		{Name: "packets", Value: int64(c.owed)},
		{Name: "sources", Value: c.count},
		{Name: "source_networks", Value: nets},
		{Name: "spoofed", Value: forged},
		{Name: "spoofed_why", Value: why},
		{Name: "completed", Value: math.Round(100*c.completed()) / 100},
	}
	ported := c.form != icmpForm && c.form != errorForm && c.form != otherForm && c.form != fragmentForm
	if ported && onPort >= 0.5 && port != 0 {
		facts = append(facts, testudo.Fact{Name: "port", Value: int(port)})
	}
	if ported && onFrom >= 0.5 && from != 0 {
		facts = append(facts, testudo.Fact{Name: "source_port", Value: int(from)})
	}
	if !c.host.IsValid() {
		facts = append(facts, testudo.Fact{Name: "carpet", Value: true})
	}
	if c.echo() {
		return facts
	}
	a := aggregate(c.target(), c.form, d, c.habit.known())
	facts = append(facts,
		testudo.Fact{Name: "aggregate", Value: a.String()},
		testudo.Fact{Name: "removes", Value: math.Round(100*a.Removed) / 100},
	)
	if a.Known > 0 { // else nobody was seen to be served there
		facts = append(facts, testudo.Fact{Name: "harms", Value: math.Round(100*a.Harm) / 100})
	}
	return append(facts, testudo.Fact{Name: "block", Value: a})
}
