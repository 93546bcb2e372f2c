package zeeklog

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
)

func meta(at int64, uid testudo.UID, proto testudo.Proto) testudo.Meta {
	return testudo.Meta{Time: testudo.Time(at), UID: uid, ID: testudo.ConnID{
		Orig: netip.MustParseAddrPort("10.0.0.5:49152"), Resp: netip.MustParseAddrPort("203.0.113.7:443"), Proto: proto,
	}}
}

func write(t *testing.T, format string, records ...testudo.Record) string {
	t.Helper()
	dir := t.TempDir()
	w, err := New(dir, format)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sampleConn() *testudo.Conn {
	c := &testudo.Conn{
		Meta: meta(1_700_000_000_123456789, 42, testudo.TCP), Service: "ssl,http", Duration: 1500 * time.Millisecond,
		OrigBytes: 100, RespBytes: 2000, State: "SF", History: "ShADadFf",
		OrigPkts: 6, OrigIPBytes: 420, RespPkts: 7, RespIPBytes: 2400,
	}
	c.About.OrigLocal = true
	return c
}

func TestConnTSV(t *testing.T) {
	lone := &testudo.Conn{Meta: meta(1_700_000_002_000000000, 43, 47), State: "OTH"}
	lone.ID.Orig, lone.ID.Resp = netip.MustParseAddrPort("10.0.0.5:0"), netip.MustParseAddrPort("203.0.113.7:0")
	interim := sampleConn()
	interim.Interim = true
	got := content(t, write(t, "tsv", sampleConn(), interim, lone), "conn.log")
	want := strings.Join([]string{
		`#separator \x09`, "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn", "#open\t2023-11-14-22-13-20",
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\tip_proto\tvlan\tcommunity_id",
		"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\tcount\tcount\tstring",
		"1700000000.123456\tC0000000000g\t10.0.0.5\t49152\t203.0.113.7\t443\ttcp\tssl,http\t1.500000\t100\t2000\tSF\tT\tF\t0\tShADadFf\t6\t420\t7\t2400\t6\t-\t1:RSbzw7XPCJmyg161+MhH9ie8pYs=",
		"1700000002.000000\tC0000000000h\t10.0.0.5\t0\t203.0.113.7\t0\tunknown_transport\t-\t-\t-\t-\tOTH\tF\tF\t0\t-\t0\t0\t0\t0\t47\t-\t1:m+BXzKcbRRLWmmB05U770lRqr00=",
		"#close\t2023-11-14-22-13-22", "",
	}, "\n")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestConnJSON(t *testing.T) {
	got := content(t, write(t, "json", sampleConn()), "conn.log")
	want := `{"ts":1700000000.123456,"uid":"C0000000000g","id.orig_h":"10.0.0.5","id.orig_p":49152,"id.resp_h":"203.0.113.7","id.resp_p":443,` +
		`"proto":"tcp","service":"ssl,http","duration":1.500000,"orig_bytes":100,"resp_bytes":2000,"conn_state":"SF","local_orig":true,"local_resp":false,` +
		`"missed_bytes":0,"history":"ShADadFf","orig_pkts":6,"orig_ip_bytes":420,"resp_pkts":7,"resp_ip_bytes":2400,"ip_proto":6,` +
		`"community_id":"1:RSbzw7XPCJmyg161+MhH9ie8pYs="}` + "\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestColumns holds the columns of every log against Zeek's: those that both
// have stand in Zeek's order and have Zeek's types.
func TestColumns(t *testing.T) {
	yes := true
	records := []testudo.Record{
		&testudo.DNS{}, &testudo.TLS{}, &testudo.HTTP{}, &testudo.X509{}, &testudo.SSH{AuthSuccess: &yes},
		&testudo.SMTP{}, &testudo.FTP{}, &testudo.DHCP{}, &testudo.NTP{}, &testudo.QUIC{}, &testudo.ARP{}, &testudo.Weird{},
		&testudo.Opaque{}, &testudo.ICMPEcho{},
	}
	dir := write(t, "tsv", records...)
	for name, want := range map[string]string{
		"dns":   "proto:enum trans_id:count rtt:interval query:string qclass:count qclass_name:string qtype:count qtype_name:string rcode:count rcode_name:string AA:bool TC:bool RD:bool RA:bool Z:count answers:vector[string] TTLs:vector[interval] rejected:bool",
		"ssl":   "version:string cipher:string curve:string server_name:string resumed:bool last_alert:string next_protocol:string established:bool cert_chain_fps:vector[string]",
		"http":  "trans_depth:count method:string host:string uri:string referrer:string version:string user_agent:string origin:string request_body_len:count response_body_len:count status_code:count status_msg:string username:string proxied:set[string] orig_mime_types:vector[string] resp_mime_types:vector[string]",
		"x509":  "ts:time fingerprint:string certificate.version:count certificate.serial:string certificate.subject:string certificate.issuer:string certificate.not_valid_before:time certificate.not_valid_after:time certificate.key_alg:string certificate.sig_alg:string certificate.key_type:string certificate.key_length:count san.dns:vector[string] basic_constraints.ca:bool host_cert:bool client_cert:bool",
		"ssh":   "version:count auth_success:bool auth_attempts:count client:string server:string cipher_alg:string mac_alg:string compression_alg:string kex_alg:string host_key_alg:string",
		"smtp":  "trans_depth:count helo:string mailfrom:string rcptto:set[string] date:string from:string to:set[string] reply_to:string msg_id:string subject:string x_originating_ip:addr last_reply:string user_agent:string tls:bool",
		"ftp":   "user:string password:string command:string arg:string mime_type:string file_size:count reply_code:count reply_msg:string data_channel.passive:bool data_channel.orig_h:addr data_channel.resp_h:addr data_channel.resp_p:port",
		"dhcp":  "ts:time uids:set[string] client_addr:addr server_addr:addr mac:string host_name:string client_fqdn:string domain:string requested_addr:addr assigned_addr:addr lease_time:interval msg_types:vector[string] duration:interval",
		"ntp":   "id.resp_p:port version:count mode:count stratum:count poll:interval precision:interval root_delay:interval root_disp:interval ref_id:string ref_time:time org_time:time rec_time:time xmt_time:time num_exts:count",
		"quic":  "version:string client_initial_dcid:string client_scid:string server_scid:string server_name:string client_protocol:string history:string",
		"arp":   "ts:time operation:string src_mac:string dst_mac:string orig_h:addr resp_h:addr",
		"weird": "uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port name:string addl:string source:string",
	} {
		lines := strings.Split(content(t, dir, name+".log"), "\n")
		fields, types := strings.Split(lines[6], "\t")[1:], strings.Split(lines[7], "\t")[1:]
		var got []string
		for i := range fields {
			got = append(got, fields[i]+":"+types[i])
		}
		if !strings.Contains(strings.Join(got, " ")+" ", want+" ") {
			t.Errorf("%s.log: got %v, want in it %s", name, got, want)
		}
		if n := len(strings.Split(lines[8], "\t")); n != len(fields) {
			t.Errorf("%s.log: %d values for %d fields", name, n, len(fields))
		}
	}
	for _, ours := range []string{"opaque.log", "icmp_echo.log"} {
		if _, err := os.Stat(filepath.Join(dir, ours)); !os.IsNotExist(err) {
			t.Errorf("%s was written: %v", ours, err)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, c := range []struct {
		in         string
		inList     bool
		want, json string
	}{
		{in: "plain text", want: "plain text", json: `"plain text"`},
		{in: "tab\there\nnul\x00", want: `tab\x09here\x0anul\x00`, json: `"tab\there\nnul\u0000"`},
		{in: `back\slash`, want: `back\\slash`, json: `"back\\slash"`},
		{in: "a,b", want: "a,b", json: `"a,b"`},
		{in: "a,b", inList: true, want: `a\x2cb`, json: `"a,b"`},
		{in: "-", want: `\x2d`, json: `"-"`},
		{in: "--", want: `--`, json: `"--"`},
		{in: "(empty)", want: `\x28empty)`, json: `"(empty)"`},
		{in: "caf\u00e9", want: `caf\xc3\xa9`, json: `"café"`},
		{in: "\xff\x7f\"", want: `\xff\x7f"`, json: `"\\xff\u007f\""`},
		{in: "\u2028", want: `\xe2\x80\xa8`, json: "\"\u2028\""},
	} {
		if got := string(appendEscaped(nil, c.in, c.inList)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
		got := string(appendQuoted(nil, c.in))
		if got != c.json {
			t.Errorf("%q: got %s, want %s", c.in, got, c.json)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%q: %s is no JSON", c.in, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	for ns, want := range map[int64]string{
		0: "0.000000", 1: "0.000000", 1999: "0.000001", -1500: "-0.000001",
		1_500_000_000: "1.500000", -2_000_000_000: "-2.000000", 1_700_000_000_000001000: "1700000000.000001",
	} {
		if got := string(appendSeconds(nil, ns)); got != want {
			t.Errorf("%d: got %s, want %s", ns, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	if _, err := New(t.TempDir(), "xml"); err == nil {
		t.Error("format xml was taken")
	}
	w, err := New(t.TempDir(), "tsv")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&odd{}); err == nil {
		t.Error("a field without a Zeek form was taken")
	}
	if err := w.Write(&testudo.Weird{}); err != nil {
		t.Error(err)
	}
	if err := w.Write(&twin{}); err == nil {
		t.Error("two types wrote one log")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Write(&testudo.Weird{}); err == nil {
		t.Error("a record was taken after Close")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

type odd struct {
	testudo.Meta
	Bad map[string]int `log:"bad"`
}

func (*odd) Log() string { return "odd" }

type twin struct {
	testudo.Meta
	Name string `log:"name"`
}

func (*twin) Log() string { return "weird" }

func TestFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full to write to")
	}
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "conn.log")); err != nil {
		t.Fatal(err)
	}
	w, err := New(dir, "json")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(sampleConn()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "conn.log") {
		t.Errorf("a full disk went unnoticed: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	records := []testudo.Record{sampleConn(), &testudo.DNS{
		Meta: meta(1_700_000_000_000000000, 7, testudo.UDP), Query: "www.example.com",
		QTypeName: "A", QType: 1, Answered: true, Answers: []string{"192.0.2.1", "192.0.2.2"}, TTLs: []time.Duration{time.Minute, time.Minute},
	}}
	for _, format := range []string{"tsv", "json"} {
		b.Run(format, func(b *testing.B) {
			w, err := New(b.TempDir(), format)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := w.Write(records[i&1]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
