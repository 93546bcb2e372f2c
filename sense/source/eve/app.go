package eve

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

func (p *parser) ssh() testudo.Record {
	s := &testudo.SSH{Meta: p.meta}
	var client, server string
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "ssh.client.proto_version":
			client = p.text(f)
		case "ssh.client.software_version":
			s.Client = p.text(f)
		case "ssh.client.hassh.hash":
			s.HASSH = p.text(f)
		case "ssh.server.proto_version":
			server = p.text(f)
		case "ssh.server.software_version":
			s.Server = p.text(f)
		case "ssh.server.hassh.hash":
			s.HASSHServer = p.text(f)
		}
	}
	s.Client, s.Server = banner(client, s.Client, p.words), banner(server, s.Server, p.words)
	switch {
	case strings.HasPrefix(server, "2") || strings.HasPrefix(client, "2"):
		s.Version = 2
	case server != "" || client != "":
		s.Version = 1
	}
	return s
}

// banner puts the first line of an end together (RFC 4253, 4.2).
func banner(version, software string, w *logs.Words) string {
	if version == "" && software == "" {
		return ""
	}
	return w.Intern([]byte("SSH-" + version + "-" + software))
}

func (p *parser) smtp() testudo.Record {
	s := &testudo.SMTP{Meta: p.meta}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "smtp.helo":
			s.Helo = p.text(f)
		case "smtp.mail_from":
			s.MailFrom = strings.Trim(p.text(f), "<>")
		case "smtp.rcpt_to":
			s.RcptTo = p.texts(f)
			for i := range s.RcptTo {
				s.RcptTo[i] = strings.Trim(s.RcptTo[i], "<>")
			}
		case "email.from":
			s.From = p.text(f)
		case "email.to":
			s.To = p.texts(f)
		case "email.subject":
			s.Subject = p.text(f)
		case "email.date":
			s.Date = p.text(f)
		case "email.message_id":
			s.MsgID = p.text(f)
		case "email.reply_to":
			s.ReplyTo = p.text(f)
		case "email.user_agent", "email.x_mailer":
			s.UserAgent = p.text(f)
		case "email.x_originating_ip":
			s.XOriginatingIP = p.text(f)
		case "email.attachment":
			s.Attachments = p.texts(f)
		}
	}
	return s
}

// login is the key's first byte of an FTP entry: the account of a log-in
// comes in a command of its own.
const login = 'l'

func (p *parser) ftp() logs.Entry {
	r := &testudo.FTP{Meta: p.meta}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "ftp.command":
			r.Command = p.text(f)
		case "ftp.command_data":
			r.Arg = p.text(f)
		case "ftp.reply":
			if t := p.texts(f); len(t) > 0 {
				r.ReplyMsg = t[len(t)-1]
			}
		case "ftp.completion_code":
			if t := p.object.List(f); len(t) > 0 {
				n, _ := logs.ParsePort(t[len(t)-1]) // a reply of no code is one all the same
				r.ReplyCode = int(n)
			}
		case "ftp.mode":
			r.Passive = string(f.Raw) == "passive"
		case "ftp.dynamic_port":
			r.DataPort = p.port(f)
		}
	}
	if r.Command == "PASS" {
		r.Password, r.Arg = "<hidden>", ""
	}
	return logs.Entry{Record: r, Key: p.join(login, nil)}
}

func (p *parser) dhcp() testudo.Record {
	d := &testudo.DHCP{Meta: p.meta}
	reply := false
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "dhcp.type":
			reply = string(f.Raw) == "reply"
		case "dhcp.dhcp_type":
			d.MessageTypes = []string{strings.ToUpper(p.text(f))}
		case "dhcp.id":
			d.TransID = uint32(min(p.count(f), math.MaxUint32))
		case "dhcp.client_mac":
			d.MAC = p.text(f)
		case "dhcp.hostname":
			d.HostName = p.text(f)
		case "dhcp.domain":
			d.Domain = p.text(f)
		case "dhcp.requested_ip":
			d.Requested = known(p.addr(f))
		case "dhcp.assigned_ip":
			d.Assigned = known(p.addr(f))
		case "dhcp.client_ip":
			d.ClientAddr = known(p.addr(f))
		case "dhcp.lease_time":
			d.Lease = time.Duration(min(p.count(f), math.MaxUint32)) * time.Second
		case "dhcp.routers":
			d.Routers = p.addrs(f)
		case "dhcp.dns_servers":
			d.Resolvers = p.addrs(f)
		case "dhcp.vendor_class_identifier":
			d.VendorClass = p.text(f)
		}
	}
	if reply {
		d.ServerAddr = d.ID.Orig.Addr()
		d.ID.Orig, d.ID.Resp = d.ID.Resp, d.ID.Orig
	}
	return d
}

// known returns an address that is one: DHCP fills fields with zeros.
func known(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func (p *parser) arp() testudo.Record {
	a := &testudo.ARP{Meta: p.meta}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "arp.opcode":
			a.Operation = p.text(f)
		case "arp.src_mac":
			a.SenderMAC = p.text(f)
		case "arp.dest_mac":
			a.TargetMAC = p.text(f)
		case "arp.src_ip":
			a.SenderIP = p.addr(f)
		case "arp.dest_ip":
			a.TargetIP = p.addr(f)
		case "ether.src_mac":
			a.EthernetSource = p.text(f)
		}
	}
	if a.EthernetSource == "" {
		a.EthernetSource = a.SenderMAC
	}
	a.UID, a.ID.Proto = 0, 0
	a.Gratuitous = a.SenderIP.IsValid() && a.SenderIP == a.TargetIP
	if a.SenderIP.IsValid() && a.TargetIP.IsValid() {
		a.ID.Orig, a.ID.Resp = netip.AddrPortFrom(a.SenderIP, 0), netip.AddrPortFrom(a.TargetIP, 0)
	}
	return a
}

// anomaly reads what Suricata found odd in packets and streams.
func (p *parser) anomaly() testudo.Record {
	w := &testudo.Weird{Meta: p.meta}
	for _, f := range p.object.Pairs {
		switch string(f.Key) {
		case "anomaly.event":
			w.Name = p.text(f)
		case "anomaly.type":
			w.Source = p.text(f)
		case "anomaly.app_proto":
			w.Addl = p.text(f)
		}
	}
	return w
}
