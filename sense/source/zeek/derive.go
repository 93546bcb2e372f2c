package zeek

import (
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// finish completes the record with what follows from Zeek's columns and
// returns a copy, or an error if it lacks what a record of its kind must have.
func (r *row) finish() (logs.Entry, error) {
	if !r.timed {
		return logs.Entry{}, errTime
	}
	base := r.record.Base()
	if r.orig.IsValid() {
		base.ID.Orig = netip.AddrPortFrom(r.orig, r.origPort)
	}
	if r.resp.IsValid() {
		base.ID.Resp = netip.AddrPortFrom(r.resp, r.respPort)
	}
	if base.ID.Proto == testudo.ICMP && r.orig.Is6() {
		base.ID.Proto = testudo.ICMPv6
	}
	e := logs.Entry{Written: base.Time}
	paired := true // the record needs both ends
	switch rec := r.record.(type) {
	case *testudo.Conn:
		r.conn(rec)
		e.Written = ended(rec.Time, rec.Duration)
	case *testudo.DNS:
		dns(rec)
	case *testudo.HTTP:
		rec.HasRequest = rec.Method != "" || rec.URI != "" || rec.Host != ""
		rec.HasResponse = rec.Status != 0 || rec.ResponseLen > 0
		rec.FileName = r.upload
	case *testudo.TLS:
		e.Key = r.tls(rec)
	case *testudo.X509:
		paired = false
		rec.SelfSigned = rec.Subject != "" && rec.Subject == rec.Issuer
		if e.Key = rec.Fingerprint; e.Key == "" {
			e.Key = r.fileID
		}
	case *testudo.DHCP:
		paired = false
		dhcp(rec)
		e.Written = ended(rec.Time, rec.Duration)
	case *testudo.NTP:
		rec.Size = ntpSize
	case *testudo.ARP:
		paired = false
		r.arp(rec)
	case *testudo.Weird:
		paired = false
	}
	if paired && !(base.ID.Orig.IsValid() && base.ID.Resp.IsValid()) {
		return logs.Entry{}, errEnds
	}
	if r.written != 0 {
		e.Written = r.written
	}
	e.Record = r.copy()
	return e, nil
}

// ended returns when something that began at t was over.
func ended(t testudo.Time, d time.Duration) testudo.Time {
	return t.Add(max(0, min(d, logs.MaxTraffic*time.Second)))
}

// ntpSize is the length of a time message without extensions (RFC 5905).
const ntpSize = 48

// conn makes the whole conn one report and reads from the history who sent
// payload first.
func (r *row) conn(c *testudo.Conn) {
	c.Delta = testudo.Delta{
		OrigBytes: c.OrigBytes, RespBytes: c.RespBytes,
		OrigPkts: c.OrigPkts, RespPkts: c.RespPkts, Duration: c.Duration,
	}
	for i := range len(c.History) {
		if c.History[i] == 'D' {
			c.First = 1
			return
		}
		if c.History[i] == 'd' {
			c.First = -1
			return
		}
	}
}

// dns says whether the question was answered.
func dns(d *testudo.DNS) {
	d.Answered = d.RCodeName != "" || d.RTT > 0 || len(d.Answers) > 0 || d.Rejected
	logs.SizeDNS(d)
}

// tls tells which hellos were seen and returns the id of the first
// certificate.
func (r *row) tls(t *testudo.TLS) string {
	if r.handshake != "" {
		t.ClientHello = strings.Contains(r.handshake, "C")
		t.ServerHello = strings.Contains(r.handshake, "s")
	} else {
		t.ServerHello = t.Version != "" || t.Cipher != ""
		t.ClientHello = t.ServerHello || t.ServerName != "" || t.JA3 != "" || t.JA4 != ""
	}
	if strings.HasPrefix(t.Version, "DTLS") {
		t.ID.Proto = testudo.UDP
	}
	if len(t.Chain) > 0 {
		return t.Chain[0]
	}
	return r.chainID
}

// dhcp gives the record the two ends Zeek's log names only by address.
func dhcp(d *testudo.DHCP) {
	client := d.ClientAddr
	if !client.IsValid() {
		client = d.Assigned
	}
	if !client.IsValid() {
		client = netip.IPv4Unspecified()
	}
	server := d.ServerAddr
	if !server.IsValid() {
		server = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	if client.Is4() == server.Is4() {
		d.ID.Orig, d.ID.Resp = netip.AddrPortFrom(client, 68), netip.AddrPortFrom(server, 67)
	}
}

// arp tells the frame's addresses from the message's where both are logged.
func (r *row) arp(a *testudo.ARP) {
	a.EthernetSource = a.SenderMAC
	if r.origHW != "" {
		a.SenderMAC = r.origHW
	}
	if r.respHW != "" {
		a.TargetMAC = r.respHW
	}
	a.Gratuitous = a.SenderIP.IsValid() && a.SenderIP == a.TargetIP
	if a.SenderIP.IsValid() && a.TargetIP.IsValid() {
		a.ID.Orig, a.ID.Resp = netip.AddrPortFrom(a.SenderIP, 0), netip.AddrPortFrom(a.TargetIP, 0)
	}
}

// Ahead remembers a certificate before its turn, so that it is known when its
// handshake comes.
func (c *certs) Ahead(e *logs.Entry) {
	if x, ok := e.Record.(*testudo.X509); ok {
		c.add(e.Key, x)
	}
}

// Take joins the next record with what is known.
func (c *certs) Take(e logs.Entry, ready []logs.Entry) []logs.Entry {
	c.handOver(e)
	return append(ready, e)
}

// Expire gives nothing: no record waits.
func (c *certs) Expire(_ testudo.Time, ready []logs.Entry) []logs.Entry { return ready }

// certs remembers certificates and who showed them last, in two generations
// of bounded size.
type certs struct{ young, old map[string]*cert }

type cert struct {
	x   testudo.X509 // a copy: the record goes to the caller
	uid testudo.UID  // of the last handshake that showed it
	id  testudo.ConnID
}

const maxCerts = 1 << 14

// add remembers x under its id.
func (c *certs) add(id string, x *testudo.X509) {
	if id == "" || c.find(id) != nil {
		return
	}
	if c.young == nil || len(c.young) >= maxCerts {
		c.old, c.young = c.young, map[string]*cert{}
	}
	c.young[id] = &cert{x: *x}
}

// find returns what is known under id, nil if nothing.
func (c *certs) find(id string) *cert {
	if k := c.young[id]; k != nil {
		return k
	}
	return c.old[id]
}

// handOver joins a record that is about to be handed out: a handshake gets a
// copy of its certificate, a certificate the conn that showed it last.
func (c *certs) handOver(e logs.Entry) {
	if e.Key == "" {
		return
	}
	k := c.find(e.Key)
	if k == nil {
		return
	}
	switch rec := e.Record.(type) {
	case *testudo.X509:
		if rec.UID == 0 {
			rec.UID, rec.ID = k.uid, k.id
		}
	case *testudo.TLS:
		k.uid, k.id = rec.UID, rec.ID
		leaf := k.x
		leaf.UID, leaf.ID = rec.UID, rec.ID
		rec.Leaf = &leaf
		if rec.Subject == "" {
			rec.Subject, rec.Issuer = leaf.Subject, leaf.Issuer
		}
	}
}
