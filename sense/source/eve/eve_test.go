package eve_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/eve"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// event writes one event of a flow from our host to port of a server, sec
// seconds after the test's beginning.
func event(sec float64, kind string, flow int, port int, proto, rest string) string {
	whole, part := int(sec), int(sec*1e6)%1e6
	return fmt.Sprintf(`{"timestamp":"2024-03-04T05:06:%02d.%06d+0000","flow_id":%d,"in_iface":"eth0","event_type":%q,"src_ip":"10.0.0.5","src_port":40000,"dest_ip":"192.0.2.9","dest_port":%d,"proto":%q,%s}`+"\n",
		whole, part, flow, kind, port, proto, rest)
}

func readAll(t testing.TB, text string) ([]testudo.Record, *logs.Logs) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "eve.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := eve.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all []testudo.Record
	for {
		r, err := l.Next()
		if err == io.EOF {
			return all, l
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// told is a record in short, for tables.
func told(r testudo.Record) string {
	id := r.Base().ID
	head := fmt.Sprintf("%s %v>%v %v ", r.Log(), id.Orig, id.Resp, id.Proto)
	switch r := r.(type) {
	case *testudo.Conn:
		return head + fmt.Sprintf("%v %s %s %s %d/%d %d/%d %d/%d", r.Duration, r.Service, r.State, r.History,
			r.OrigPkts, r.RespPkts, r.OrigIPBytes, r.RespIPBytes, r.OrigBytes, r.RespBytes)
	case *testudo.DNS:
		return head + fmt.Sprintf("%d %s %s/%d %s/%d %v %v %v %v", r.TransID, r.Query, r.QTypeName, r.QType, r.RCodeName, r.RCode, r.RTT, r.Answered, r.Answers, r.Addresses)
	case *testudo.TLS:
		s := head + fmt.Sprintf("%s %s %s/%s/%s resumed=%v quic=%v", r.ServerName, r.Version, r.JA3, r.JA3S, r.JA4, r.Resumed, r.QUIC)
		if l := r.Leaf; l != nil {
			s += fmt.Sprintf(" %s<%s %s %v-%v self=%v", l.Subject, l.Issuer, l.Fingerprint, l.NotBefore, l.NotAfter, l.SelfSigned)
		}
		return s
	case *testudo.HTTP:
		return head + fmt.Sprintf("%s %s%s %d %d/%d %v/%v %q %q", r.Method, r.Host, r.URI, r.Status, r.RequestLen, r.ResponseLen, r.OrigMIME, r.RespMIME, r.UserAgent, r.RequestHeaders)
	case *testudo.SSH:
		return head + fmt.Sprintf("%d %s %s %s", r.Version, r.Client, r.Server, r.HASSH)
	case *testudo.SMTP:
		return head + fmt.Sprintf("%s %s %v %s %v", r.Helo, r.MailFrom, r.RcptTo, r.Subject, r.Attachments)
	case *testudo.FTP:
		return head + fmt.Sprintf("%s %s %s %s %d", r.User, r.Command, r.Arg, r.Password, r.ReplyCode)
	case *testudo.DHCP:
		return head + fmt.Sprintf("%v %s %s %v %v %v", r.MessageTypes, r.MAC, r.HostName, r.Assigned, r.ServerAddr, r.Lease)
	case *testudo.ARP:
		return head + fmt.Sprintf("%s %s %v %s %v", r.Operation, r.SenderMAC, r.SenderIP, r.TargetMAC, r.TargetIP)
	case *testudo.Weird:
		return head + r.Name + " " + r.Source
	}
	return head
}

func TestEvents(t *testing.T) {
	const ends = "10.0.0.5:40000>192.0.2.9:"
	flow := func(ts, tc string) string {
		return `"app_proto":"tls","flow":{"pkts_toserver":6,"pkts_toclient":5,"bytes_toserver":900,"bytes_toclient":3000,"start":"2024-03-04T05:06:01.000000+0000","end":"2024-03-04T05:06:03.500000+0000","age":2,"state":"closed","reason":"timeout","alerted":false},"tcp":{"tcp_flags":"1f","tcp_flags_ts":"` + ts + `","tcp_flags_tc":"` + tc + `"}`
	}
	for _, c := range []struct{ name, text, want string }{
		{"flow", event(9, "flow", 1, 443, "TCP", flow("1b", "1b")), "conn " + ends + "443 tcp 2.5s ssl SF ShADadFf 6/5 816/2930 504/2670"},
		{"flow without answer", event(9, "flow", 1, 443, "TCP", flow("02", "00")), "conn " + ends + "443 tcp 2.5s ssl S0 S 6/5 816/2930 0/0"},
		{"flow refused", event(9, "flow", 1, 443, "TCP", flow("02", "14")), "conn " + ends + "443 tcp 2.5s ssl REJ Sr 6/5 816/2930 0/0"},
		{
			"flow of datagrams", event(9, "flow", 1, 123, "UDP", `"app_proto":"failed","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":90,"bytes_toclient":0,"start":"2024-03-04T05:06:01Z","end":"2024-03-04T06:06:01+01:00"}`),
			"conn " + ends + "123 udp 0s  S0  1/0 76/0 48/0",
		},
		{
			"dns 2", event(1, "dns", 2, 53, "UDP", `"dns":{"type":"query","id":7,"rrname":"a.example","rrtype":"A","tx_id":0}`) +
				event(1.5, "dns", 2, 53, "UDP", `"dns":{"version":2,"type":"answer","id":7,"flags":"8180","qr":true,"rd":true,"ra":true,"rrname":"a.example","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"a.example","rrtype":"CNAME","ttl":5,"rdata":"b.example"},{"rrname":"b.example","rrtype":"A","ttl":5,"rdata":"198.51.100.1"}],"grouped":{"A":["198.51.100.1"]}}`),
			"dns " + ends + "53 udp 7 a.example A/1 NOERROR/0 500ms true [b.example 198.51.100.1] [198.51.100.1]",
		},
		{
			"dns 2 grouped only, no question", event(1.5, "dns", 2, 53, "UDP", `"dns":{"version":2,"type":"answer","id":7,"rrname":"a.example","rrtype":"TXT","rcode":"NOERROR","grouped":{"TXT":["hello"]}}`),
			"dns " + ends + "53 udp 7 a.example TXT/16 NOERROR/0 0s true [TXT 5 hello] []",
		},
		{
			"dns 3", event(1, "dns", 2, 53, "UDP", `"dns":{"version":3,"type":"request","tx_id":0,"id":9,"queries":[{"rrname":"c.example","rrtype":"AAAA"}]}`) +
				event(1.25, "dns", 2, 53, "UDP", `"dns":{"version":3,"type":"response","tx_id":1,"id":9,"rcode":"NXDOMAIN","queries":[{"rrname":"c.example","rrtype":"AAAA"}]}`),
			"dns " + ends + "53 udp 9 c.example AAAA/28 NXDOMAIN/3 250ms true [] []",
		},
		{
			"dns 1", event(1, "dns", 2, 53, "UDP", `"dns":{"type":"query","id":7,"rrname":"a.example","rrtype":"A","tx_id":0}`) +
				event(2, "dns", 2, 53, "UDP", `"dns":{"type":"answer","id":7,"rcode":"NOERROR","rrname":"a.example","rrtype":"CNAME","ttl":9,"rdata":"b.example"}`) +
				event(2, "dns", 2, 53, "UDP", `"dns":{"type":"answer","id":7,"rcode":"NOERROR","rrname":"b.example","rrtype":"A","ttl":9,"rdata":"198.51.100.1"}`),
			"dns " + ends + "53 udp 7 a.example A/1 NOERROR/0 1s true [b.example 198.51.100.1] [198.51.100.1]",
		},
		{
			"dns unanswered, id used again", event(1, "dns", 2, 53, "UDP", `"dns":{"type":"query","id":7,"rrname":"a.example","rrtype":"A"}`) +
				event(2, "dns", 2, 53, "UDP", `"dns":{"type":"query","id":7,"rrname":"d.example","rrtype":"A"}`),
			"dns " + ends + "53 udp 7 a.example A/1 /0 0s false [] []\ndns " + ends + "53 udp 7 d.example A/1 /0 0s false [] []",
		},
		{
			"tls", event(1, "tls", 3, 443, "TCP", `"tls":{"subject":"C=XX, O=A, Inc., CN=a.example","issuerdn":"CN=Root","serial":"0A:0B","fingerprint":"aa:bb","sni":"a.example","version":"TLS 1.2","notbefore":"2020-01-01T00:00:00","notafter":"2030-01-01T00:00:00","session_resumed":true,"ja3":{"hash":"j3","string":"x"},"ja3s":{"hash":"j3s"},"ja4":"j4"}`),
			"ssl " + ends + "443 tcp a.example TLSv12 j3/j3s/j4 resumed=true quic=false CN=a.example,O=A, Inc.,C=XX<CN=Root aabb 2020-01-01T00:00:00.000000Z-2030-01-01T00:00:00.000000Z self=false",
		},
		{"quic", event(1, "quic", 3, 443, "UDP", `"quic":{"version":"1","sni":"a.example","ja3":{"hash":"q"},"ja4":"q13"}`), "ssl " + ends + "443 udp a.example TLSv13 q//q13 resumed=false quic=true"},
		{
			"http and its bodies", event(1, "http", 4, 80, "TCP", `"tx_id":0,"http":{"hostname":"h.example","url":"/x","http_user_agent":"ua","http_method":"POST","protocol":"HTTP/1.1","status":200,"length":10,"request_headers":[{"name":"Host","value":"h.example"},{"name":"Content-Length","value":"5"}]}`) +
				strings.NewReplacer("10.0.0.5", "192.0.2.9", "192.0.2.9", "10.0.0.5", "40000", "80", ":80,", ":40000,").Replace(event(1.1, "fileinfo", 4, 80, "TCP", `"app_proto":"http","fileinfo":{"filename":"/x","magic":"PE32 executable","size":70000,"tx_id":0}`)),
			`http ` + ends + `80 tcp POST h.example/x 200 5/70000 []/[application/x-dosexec] "ua" "host,content-length"`,
		},
		{
			"fileinfo first", event(1, "fileinfo", 4, 80, "TCP", `"app_proto":"http","fileinfo":{"magic":"ASCII text","size":7,"tx_id":3}`) +
				event(1, "http", 4, 80, "TCP", `"tx_id":3,"http":{"hostname":"h.example","url":"/","http_method":"PUT","status":201,"length":0}`) + event(2, "fileinfo", 5, 25, "TCP", `"app_proto":"smtp"`),
			`http ` + ends + `80 tcp PUT h.example/ 201 7/0 [text/plain]/[] "" ""`,
		},
		{"ssh", event(1, "ssh", 5, 22, "TCP", `"ssh":{"client":{"proto_version":"2.0","software_version":"A_1","hassh":{"hash":"hh"}},"server":{"proto_version":"2.0","software_version":"B_2"}}`), "ssh " + ends + "22 tcp 2 SSH-2.0-A_1 SSH-2.0-B_2 hh"},
		{"smtp", event(1, "smtp", 6, 25, "TCP", `"smtp":{"helo":"pc","mail_from":"<a@b.example>","rcpt_to":["<c@d.example>"]},"email":{"subject":"s","attachment":["x.exe"]}`), "smtp " + ends + "25 tcp pc a@b.example [c@d.example] s [x.exe]"},
		{
			"ftp", event(1, "ftp", 7, 21, "TCP", `"ftp":{"command":"USER","command_data":"joe","completion_code":["331"]}`) + event(2, "ftp", 7, 21, "TCP", `"ftp":{"command":"PASS","command_data":"secret","completion_code":["530"]}`),
			"ftp " + ends + "21 tcp joe USER joe  331\nftp " + ends + "21 tcp joe PASS  <hidden> 530",
		},
		{"dhcp", event(1, "dhcp", 8, 68, "UDP", `"dhcp":{"type":"reply","id":5,"client_mac":"02:00:00:00:00:01","assigned_ip":"10.0.0.7","client_ip":"0.0.0.0","dhcp_type":"ack","lease_time":60}`), "dhcp 192.0.2.9:68>10.0.0.5:40000 udp [ACK] 02:00:00:00:00:01  10.0.0.7 10.0.0.5 1m0s"},
		{"arp", event(1, "arp", 0, 0, "", `"arp":{"opcode":"reply","src_mac":"m","src_ip":"10.0.0.1","dest_mac":"n","dest_ip":"10.0.0.2"}`), "arp 10.0.0.1:0>10.0.0.2:0 ip-0 reply m 10.0.0.1 n 10.0.0.2"},
		{"anomaly", event(1, "anomaly", 9, 80, "TCP", `"anomaly":{"type":"stream","event":"stream.odd"}`), "weird " + ends + "80 tcp stream.odd stream"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, l := readAll(t, c.text)
			var got []string
			for _, r := range all {
				got = append(got, told(r))
			}
			if strings.Join(got, "\n") != c.want || l.Malformed() != 0 {
				t.Errorf("malformed %d %v\ngot  %s\nwant %s", l.Malformed(), l.Skipped(), strings.Join(got, "\n"), c.want)
			}
		})
	}
}

// TestAside holds that events which become no record are counted by name, and
// broken ones as broken.
func TestAside(t *testing.T) {
	text := event(1, "alert", 1, 80, "TCP", `"alert":{"signature":"x"}`) + event(1, "stats", 1, 80, "TCP", `"stats":{}`) +
		event(1, "alert", 1, 80, "TCP", `"alert":{}`) + event(1, "No thing\u001b[", 1, 80, "TCP", `"x":1`) +
		event(1, "ssh", 1, 22, "TCP", `"ssh":{}`) + "{}\n{\"event_type\":\"flow\"}\nhello\n" + event(1, "http", 1, 80, "TCP", `"http":{"status":"x"}`)
	all, l := readAll(t, text)
	notes := l.Notes()
	want := "eve events left aside: 2 alert, 1 other, 1 stats; alerts of Suricata do not count as sightings, Testudo judges the traffic itself"
	if len(all) != 1 || l.Malformed() != 4 || len(notes) != 1 || notes[0] != want {
		t.Errorf("%d records, %d malformed, notes %q, skipped %v", len(all), l.Malformed(), notes, l.Skipped())
	}
}

func TestSniff(t *testing.T) {
	for text, want := range map[string]bool{
		event(1, "flow", 1, 1, "TCP", `"flow":{}`):       true,
		event(1, "flow", 1, 1, "TCP", `"flow":{}`)[:120]: true,
		`{"ts":1.5,"uid":"Cx"}`:                          false,
		"":                                               false,
		"{":                                              false,
	} {
		if eve.Sniff([]byte(text)) != want {
			t.Errorf("%.60q: want %v", text, want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte(event(1, "flow", 1, 443, "TCP", `"flow":{"start":"2024-03-04T05:06:01+0000","bytes_toserver":9},"tcp":{"tcp_flags_ts":"1b"}`)))
	f.Add([]byte(event(1, "dns", 1, 53, "UDP", `"dns":{"type":"answer","id":1,"answers":[{"rrtype":"TXT","rdata":"\u00e9"},{"ttl":-1}],"queries":[{}]}`) + event(1, "dns", 1, 53, "UDP", `"dns":{"type":"answer","rdata":"x","id":1}`)))
	f.Add([]byte(event(1, "tls", 1, 443, "TCP", `"tls":{"certificate":"MAA=","subject":"A=b, C=d","notafter":"x"}`) + event(1, "http", 1, 80, "TCP", `"http":{"request_headers":[{"name":"A"},1,[]],"status":1e9}`)))
	f.Add([]byte(event(1, "fileinfo", 1, 80, "TCP", `"app_proto":"http","fileinfo":{"size":1e3}`) + event(1, "http", 1, 80, "TCP", `"http":{}`) + event(1, "ftp", 1, 21, "TCP", `"ftp":{"completion_code":["9","x"]}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		eve.Sniff(text)
		format := eve.Format()
		p, join, w := format.File("eve.json").Parser(), format.Joiner(), &logs.Words{}
		var ready []logs.Entry
		lines := 0
		for line := range bytes.SplitSeq(text, []byte{'\n'}) {
			if len(line) == 0 {
				continue
			}
			lines++
			e, err := p.Parse(line, w)
			if err != nil || e.Record == nil {
				continue
			}
			if c, ok := e.Record.(*testudo.Conn); ok && (c.OrigBytes < 0 || c.RespBytes < 0 || c.Duration < 0 || c.OrigIPBytes < 0) {
				t.Fatalf("a conn is broken: %+v", c)
			}
			join.Ahead(&e)
			ready = join.Take(e, ready)
		}
		if ready = join.Expire(math.MaxInt64, ready); len(ready) > lines {
			t.Fatalf("%d records of %d lines", len(ready), lines)
		}
	})
}
