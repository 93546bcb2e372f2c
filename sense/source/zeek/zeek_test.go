package zeek_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/zeeklog"
	"github.com/testudo-shield/testudo/sense/source/logs"
	"github.com/testudo-shield/testudo/sense/source/zeek"
)

const second = int64(time.Second)

func meta(at int64, uid testudo.UID, proto testudo.Proto, resp string) testudo.Meta {
	return testudo.Meta{Time: testudo.Time(1_700_000_000*second + at), UID: uid, ID: testudo.ConnID{
		Orig: netip.MustParseAddrPort("10.0.0.5:49152"), Resp: netip.MustParseAddrPort(resp), Proto: proto,
	}}
}

// samples returns one record of each kind with every Zeek field set, in the
// order in which they are known.
func samples() []testudo.Record {
	yes := true
	conn := &testudo.Conn{
		Meta: meta(0, 1<<63, testudo.TCP, "203.0.113.7:443"), Service: "ssl", Duration: 1250 * time.Microsecond,
		OrigBytes: 100, RespBytes: 2000, State: "SF", MissedBytes: 3, History: "ShADadFf", OrigPkts: 6, OrigIPBytes: 420,
		RespPkts: 7, RespIPBytes: 2400, VLAN: 12, First: 1,
	}
	conn.Delta = testudo.Delta{OrigBytes: 100, RespBytes: 2000, OrigPkts: 6, RespPkts: 7, Duration: conn.Duration}
	ping := &testudo.Conn{Meta: meta(1*second, 2, testudo.ICMPv6, "[2001:db8::7]:0"), State: "OTH"}
	ping.ID.Orig = netip.MustParseAddrPort("[2001:db8::5]:128")
	gre := &testudo.Conn{Meta: meta(2*second, 3, 47, "203.0.113.9:0"), State: "OTH"}
	dns := &testudo.DNS{
		Meta: meta(3*second, 4, testudo.UDP, "192.0.2.53:53"), TransID: 7, RTT: time.Millisecond, Query: "a.example",
		QClass: 1, QClassName: "C_INTERNET", QType: 1, QTypeName: "A", RCodeName: "NOERROR", RD: true, RA: true,
		Answers: []string{"b.example", "192.0.2.1", "2001:db8::1", "TXT 5 a,b\\c"}, TTLs: []time.Duration{time.Minute, time.Second, time.Hour, 0},
		Answered: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		QuerySize: 27, ReplySize: 27 + 4*12 + 11 + 4 + 16 + 5, AnswerData: 9 + 5,
	}
	tls := &testudo.TLS{
		Meta: meta(4*second, 5, testudo.TCP, "203.0.113.7:443"), Version: "TLSv12", Cipher: "TLS_X", Curve: "x25519",
		ServerName: "a.example", LastAlert: "close_notify", ALPN: "h2", Established: true, Chain: []string{"ab12", "cd34"},
		Subject: "CN=a.example", Issuer: "CN=a.example", JA3: "j", JA3S: "s", JA4: "t", ClientHello: true, ServerHello: true,
	}
	x509 := &testudo.X509{
		Meta: meta(4*second+1000, 5, testudo.TCP, "203.0.113.7:443"), Fingerprint: "ab12", Version: 3, Serial: "01",
		Subject: "CN=a.example", Issuer: "CN=a.example", NotBefore: testudo.Time(1_600_000_000 * second), NotAfter: testudo.Time(1_900_000_000 * second),
		KeyAlg: "rsa", SigAlg: "sha", KeyType: "rsa", KeyLength: 2048, Names: []string{"a.example", "*.a.example"}, CA: true,
		HostCert: true, ClientCert: true, SelfSigned: true,
	}
	leaf := *x509
	leaf.Meta = meta(4*second+1000, 5, testudo.TCP, "203.0.113.7:443")
	tls.Leaf = &leaf
	return []testudo.Record{
		conn, ping, gre, dns, tls, x509,
		&testudo.HTTP{
			Meta: meta(5*second, 6, testudo.TCP, "203.0.113.7:80"), Depth: 1, Method: "POST", Host: "h.example", URI: "/\xff\t\"-\u00e9\\x41",
			Referrer: "-", Version: "1.1", UserAgent: "(empty)", Origin: "o", RequestLen: 5, ResponseLen: 6, Status: 200, StatusMsg: "OK",
			Username: "u", Proxied: []string{"VIA -> x, y"}, OrigMIME: []string{"text/plain"}, RespMIME: []string{"text/html"},
			HasRequest: true, HasResponse: true,
		},
		&testudo.SSH{
			Meta: meta(6*second, 7, testudo.TCP, "203.0.113.7:22"), Version: 2, AuthSuccess: &yes, AuthAttempts: 2, Client: "c", Server: "s",
			CipherAlg: "a", MACAlg: "b", CompressionAlg: "n", KexAlg: "k", HostKeyAlg: "h", HASSH: "x", HASSHServer: "y",
		},
		&testudo.SMTP{
			Meta: meta(7*second, 8, testudo.TCP, "203.0.113.7:25"), Depth: 1, Helo: "h", MailFrom: "a@b.example", RcptTo: []string{"c@d.example", "e@f.example"},
			Date: "d", From: "f", To: []string{"\"x, y\" <c@d.example>"}, ReplyTo: "r", MsgID: "<1>", Subject: "s", XOriginatingIP: "192.0.2.9",
			LastReply: "250 ok", UserAgent: "ua", TLS: true,
		},
		&testudo.FTP{
			Meta: meta(8*second, 9, testudo.TCP, "203.0.113.7:21"), User: "u", Password: "<hidden>", Command: "RETR", Arg: "ftp://x", MIME: "m",
			FileSize: 9, ReplyCode: 226, ReplyMsg: "done", Passive: true, DataOrig: netip.MustParseAddr("10.0.0.5"),
			DataResp: netip.MustParseAddr("203.0.113.7"), DataPort: 50000,
		},
		&testudo.DHCP{
			Meta: testudo.Meta{Time: testudo.Time(1_700_000_009 * second), UID: 10, ID: testudo.ConnID{
				Orig: netip.MustParseAddrPort("10.0.0.5:68"), Resp: netip.MustParseAddrPort("10.0.0.1:67"), Proto: testudo.UDP,
			}},
			MessageTypes: []string{"REQUEST", "ACK"}, MAC: "02:00:00:00:00:05", HostName: "pc", ClientFQDN: "pc.example", Domain: "example",
			Requested: netip.MustParseAddr("10.0.0.5"), Assigned: netip.MustParseAddr("10.0.0.5"), ClientAddr: netip.MustParseAddr("10.0.0.5"),
			ServerAddr: netip.MustParseAddr("10.0.0.1"), Lease: time.Hour, Duration: time.Millisecond,
		},
		&testudo.NTP{
			Meta: meta(10*second, 11, testudo.UDP, "192.0.2.123:123"), Version: 4, Mode: 3, Stratum: 2, Poll: 64 * time.Second,
			Precision: time.Microsecond, RootDelay: time.Millisecond, RootDisp: time.Millisecond, RefID: "192.0.2.1", RefTime: 1_700_000_000_000001000,
			OrgTime: 1_700_000_000_000002000, RecTime: 3000, XmtTime: -4000, NumExts: 1, Size: 48,
		},
		&testudo.ARP{
			Meta: testudo.Meta{Time: testudo.Time(1_700_000_011 * second), ID: testudo.ConnID{
				Orig: netip.MustParseAddrPort("10.0.0.5:0"),
				Resp: netip.MustParseAddrPort("10.0.0.1:0"),
			}}, Operation: "request", SenderMAC: "02:00:00:00:00:05", TargetMAC: "00:00:00:00:00:00",
			SenderIP: netip.MustParseAddr("10.0.0.5"), TargetIP: netip.MustParseAddr("10.0.0.1"), EthernetSource: "02:00:00:00:00:05",
		},
		&testudo.Weird{Meta: meta(12*second, 12, 0, "203.0.113.7:443"), Name: "bad_thing", Addl: "x", Source: "TLS"},
		&testudo.QUIC{
			Meta: meta(13*second, 13, testudo.UDP, "203.0.113.7:443"), Version: "1", InitialDCID: "aa", ClientSCID: "bb", ServerSCID: "cc",
			ServerName: "a.example", ClientProtocol: "h3", History: "ISisH",
		},
	}
}

func writeLogs(t testing.TB, format string, records []testudo.Record) string {
	t.Helper()
	dir := t.TempDir()
	w, err := zeeklog.New(dir, format)
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

func readAll(t testing.TB, logs *logs.Logs) []testudo.Record {
	t.Helper()
	defer logs.Close()
	var all []testudo.Record
	for {
		r, err := logs.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// TestRoundTrip writes every kind of record and reads it back: nothing that
// Zeek has a column for is lost, in either form, compressed or not.
func TestRoundTrip(t *testing.T) {
	for _, format := range []string{"tsv", "json"} {
		for _, pack := range []string{"", ".gz", ".zst"} {
			t.Run(format+pack, func(t *testing.T) {
				dir := writeLogs(t, format, samples())
				compress(t, dir, pack)
				logs, err := zeek.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				got, want := readAll(t, logs), samples()
				if len(got) != len(want) || logs.Malformed() != 0 || len(logs.Skipped()) != 0 {
					t.Fatalf("%d records of %d, %d malformed, skipped %v", len(got), len(want), logs.Malformed(), logs.Skipped())
				}
				for i := range want {
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Errorf("record %d:\ngot  %+v\nwant %+v", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// compress replaces every file of dir by its compressed form.
func compress(t *testing.T, dir, pack string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		plain, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if pack == "" {
			continue
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name+pack, packed(t, pack, plain), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func packed(t *testing.T, pack string, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if pack == ".zst" {
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// put writes a file and opens what is at path.
func put(t *testing.T, name string, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestForeignForms(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             string // kinds in order
		malformed        int
	}{
		{"kind by _path", "anything", `{"_path":"ntp","ts":1,"id.orig_h":"10.0.0.5","id.orig_p":123,"id.resp_h":"192.0.2.1","id.resp_p":123,"mode":3}`, "ntp", 0},
		{"several kinds in one file", "all.json", `{"ts":2,"uid":"Cx","id.orig_h":"10.0.0.5","id.orig_p":1,"id.resp_h":"192.0.2.1","id.resp_p":2,"proto":"tcp","conn_state":"SF"}` + "\n" +
			`{"ts":1,"operation":"reply","src_mac":"m","orig_h":"10.0.0.1","resp_h":"10.0.0.2"}` + "\n" + `{"ts":1,"fuid":"F1"}`, "arp conn", 0},
		{"nested id, ISO time", "dns.log", `{"ts":"2024-01-02T03:04:05.000006Z","id":{"orig_h":"10.0.0.5","orig_p":1,"resp_h":"192.0.2.1","resp_p":53},"query":"a"}`, "dns", 0},
		{"milliseconds, ports with words", "conn.log", `{"ts":1700000000123,"id.orig_h":"10.0.0.5","id.orig_p":"1/tcp","id.resp_h":"192.0.2.1","id.resp_p":53.0}`, "conn", 0},
		{"header with space before, no path, other separator", "conn.log", "\t#separator \\x7c\n#set_separator|;\n#fields|id.orig_h|ts|id.orig_p|id.resp_h|id.resp_p\n10.0.0.5|1|2|192.0.2.1|3\n", "conn", 0},
		{"a separator in letters", "x.log", "#separator \\t\n#path\tweird\n#fields\tts\tname\n1\ta\n", "weird", 0},
		{"a separator that is a tab", "x.log", "#separator \t\n#path\tweird\n#fields\tts\tname\n1\ta\n", "weird", 0},
		{"a tab before the separator", "x.log", "#separator\t\\x09\n#path\tweird\n#fields\tts\tname\n1\ta\n", "weird", 0},
		{"a new header half way", "x.log", "#separator \\x09\n#path\tweird\n#fields\tts\tname\n1\ta\n#separator \\x09\n#path\tweird\n#fields\tname\tts\nb\t2", "weird weird", 0},
		{"broken lines", "conn.log", "#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\n" +
			"1\t10.0.0.5\t1\t192.0.2.1\t2\n1\t10.0.0.5\t1\t192.0.2.1\n1\t10.0.0.5\t1\t192.0.2.1\t2\t3\nx\t10.0.0.5\t1\t192.0.2.1\t2\n" +
			"1\t10.0.0.500\t1\t192.0.2.1\t2\n1\t10.0.0.5\t70000\t192.0.2.1\t2\n1\t-\t1\t192.0.2.1\t2\n-\t10.0.0.5\t1\t192.0.2.1\t2\n99999999999999999999\t10.0.0.5\t1\t192.0.2.1\t2\n", "conn", 8},
		{"broken JSON", "conn.log", `{"ts":1,"id.orig_h":"10.0.0.5","id.resp_h":"192.0.2.1"}` + "\n{\"ts\":1\n[1]\n{\"ts\":1}}\n{\"ts\":{}}\n", "conn", 4},
		{"overlong line", "weird.log", "#separator \\x09\n#path\tweird\n#fields\tts\tname\n1\t" + strings.Repeat("x", 1<<20) + "\n2\tb\n3\t" + strings.Repeat("y", 70_000), "weird weird", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs, err := zeek.Open(put(t, c.file, c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range readAll(t, logs) {
				got = append(got, r.Log())
			}
			if strings.Join(got, " ") != c.want || logs.Malformed() != c.malformed {
				t.Errorf("got %v and %d malformed, want %s and %d", got, logs.Malformed(), c.want, c.malformed)
			}
		})
	}
}

// TestFirstBad holds that a log of which nothing could be read says where it
// is bad first, and why.
func TestFirstBad(t *testing.T) {
	const head = "#separator \\x09\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\n"
	for text, want := range map[string]string{
		head + "1\t10.0.0.5\t1\t192.0.2.1\n":                    "line 4: not as many values as #fields names, 5",
		head + "\n1\t10.0.0.500\t1\t192.0.2.1\t2\n":             `line 5: the value of "id.orig_h" is not of its type`,
		head + "x\t10.0.0.5\t1\t192.0.2.1\t2\n-\t1\n":           `line 4: the value of "ts" is not of its type`,
		head + "-\t10.0.0.5\t1\t192.0.2.1\t2\n":                 "line 4: no ts",
		head + "1\t-\t1\t192.0.2.1\t2\n":                        "line 4: an address of the two ends is missing",
		head + strings.Repeat("x", 1<<20+1) + "\n":              "line 4: longer than 1 MiB",
		"#separator \\x09\n#path conn\n#fields ts uid\n1 Cx\n":  "line 4: neither values under a #fields line nor a JSON object",
		`{"ts":1,"id.orig_h":"nobody","id.resp_h":"192.0.2.1"}`: `line 1: the value of "id.orig_h" is not of its type`,
	} {
		if _, err := zeek.Open(put(t, "conn.log", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q…: %v, want %q", text, err, want)
		}
	}
}

// TestOrder has two files whose records interleave, a long conn that stands
// first although it ended last, and a rotated file that is opened late.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	header := "#separator \\x09\n#path\t%s\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tduration\tname\n"
	line := func(ts, uid, duration string) string {
		return ts + "\t" + uid + "\t10.0.0.5\t1\t192.0.2.1\t2\t" + duration + "\t-\n"
	}
	for name, text := range map[string]string{
		"conn.00.log":        fmt.Sprintf(header, "conn") + line("100", "Clong", "50000") + line("101", "Ca", "1") + line("104", "Cb", "-"),
		"sub/conn.10.log":    fmt.Sprintf(header, "conn") + line("40000", "Cc", "5"),
		"weird.log":          fmt.Sprintf(header, "weird") + line("103", "Cw", "-") + line("103", "Cv", "-"),
		"files.log":          fmt.Sprintf(header, "files") + line("1", "Cf", "-"),
		"conn-summary.log":   "just text\n",
		"loaded_scripts.log": `{"name":"x"}`,
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := zeek.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range readAll(t, logs) {
		got = append(got, fmt.Sprint(r.Log(), int64(r.Base().Time)/second))
	}
	want := "conn101 weird103 weird103 conn104 conn40000 conn100"
	if strings.Join(got, " ") != want || int64(logs.Now())/second != 50100 {
		t.Errorf("got %v until %v, want %s", got, logs.Now(), want)
	}
	if read, total := logs.Progress(); read != total || total == 0 {
		t.Errorf("read %d of %d bytes", read, total)
	}
}

func TestUnreadable(t *testing.T) {
	if _, err := zeek.Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing path was opened")
	}
	if _, err := zeek.Open(put(t, "x.log", "hello\nworld\n")); err == nil {
		t.Error("a text was taken for a log")
	}
	if _, err := zeek.Open(put(t, "x.gz", "\x1f\x8bnonsense")); err == nil {
		t.Error("a broken gzip file was taken for a log")
	}
	var text strings.Builder
	text.WriteString("#separator \\x09\n#path\tweird\n#fields\tts\tname\n")
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d\tname_%d\n", i, i*7919%10007)
	}
	whole := packed(t, ".gz", []byte(text.String()))
	logs, err := zeek.Open(put(t, "weird.log.gz", string(whole[:len(whole)/2])))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(readAll(t, logs)); n == 0 || n >= 20_000 || len(logs.Skipped()) != 1 {
		t.Errorf("half a file: %d records, skipped %v", n, logs.Skipped())
	}
}

func TestSniff(t *testing.T) {
	tsv := "#separator \\x09\n#set_separator\t,\n"
	js := `{"ts":1.5,"uid":"Cx","id.orig_h":"10.0.0.5"}` + "\n"
	for text, want := range map[string]bool{
		tsv: true, "\t" + tsv: true, "#separator\t\\x09\n": true, js: true, js[:30]: true, string(packed(t, ".gz", []byte(tsv))): true, string(packed(t, ".zst", []byte(js))): true,
		"": false, "hello": false, "{": false, `{"timestamp":"2024-01-01T00:00:00Z","event_type":"flow"}`: false, `{"name":"x"}`: false,
		"\x1f\x8b": false, "\x28\xb5\x2f\xfd": false, "\xd4\xc3\xb2\xa1\x02\x00\x04\x00": false,
	} {
		if got := zeek.Sniff([]byte(text)); got != want {
			t.Errorf("%.40q: got %v, want %v", text, got, want)
		}
	}
}
