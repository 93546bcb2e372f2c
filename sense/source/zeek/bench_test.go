package zeek_test

import (
	"io"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/zeek"
)

// BenchmarkRead reads logs of the mix an ordinary network leaves: for a conn
// about one question of DNS, half a handshake and a third of a request.
func BenchmarkRead(b *testing.B) {
	// The program's tables are a few hundred megabytes, so that its collector
	// begins after as much garbage; here nothing is alive but the logs' own.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, format := range []string{"tsv", "json"} {
		b.Run(format, func(b *testing.B) {
			dir := writeLogs(b, format, mixed(40_000))
			b.ReportAllocs()
			runtime.GC()
			n, busy := 0, used()
			b.ResetTimer()
			for b.Loop() {
				logs, err := zeek.Open(dir)
				if err != nil {
					b.Fatal(err)
				}
				for {
					_, err := logs.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if err := logs.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((used()-busy).Nanoseconds())/float64(n), "cpu-ns/record")
		})
	}
}

// used is the processor time of this process so far.
func used() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func mixed(conns int64) []testudo.Record {
	var records []testudo.Record
	for i := range conns {
		uid := testudo.UID(i*2 + 1)
		conn := &testudo.Conn{
			Meta: meta(i*1000, uid, testudo.TCP, "203.0.113.7:443"), Service: "ssl", Duration: time.Duration(i%977) * time.Millisecond,
			OrigBytes: i, RespBytes: i * 7, State: "SF", History: "ShADadFf", OrigPkts: 6, OrigIPBytes: 420, RespPkts: 7, RespIPBytes: 2400,
		}
		records = append(records, conn, &testudo.DNS{
			Meta: meta(i*1000, uid+1, testudo.UDP, "192.0.2.53:53"), TransID: uint16(i), RTT: time.Millisecond,
			Query: name(i), QClass: 1, QClassName: "C_INTERNET", QType: 1, QTypeName: "A", RCodeName: "NOERROR", RD: true, RA: true,
			Answered: true, Answers: []string{"203.0.113.7"}, TTLs: []time.Duration{time.Minute},
		})
		if i%2 == 0 {
			records = append(records, &testudo.TLS{
				Meta: meta(i*1000, uid, testudo.TCP, "203.0.113.7:443"), Version: "TLSv13", Cipher: "TLS_AES_128_GCM_SHA256", Curve: "x25519",
				ServerName: name(i), ALPN: "h2", Established: true, JA3: "0123456789abcdef0123456789abcdef", JA4: "t13d1516h2_0123456789ab_0123456789ab",
			})
		}
		if i%3 == 0 {
			records = append(records, &testudo.HTTP{
				Meta: meta(i*1000, uid, testudo.TCP, "203.0.113.8:80"), Depth: 1, Method: "GET", Host: name(i), URI: "/a/page?of=" + name(i),
				Version: "1.1", UserAgent: "Mozilla/5.0 (X11; Linux x86_64) an ordinary browser of some length", ResponseLen: i, Status: 200,
				StatusMsg: "OK", RespMIME: []string{"text/html"},
			})
		}
	}
	return records
}

func name(i int64) string {
	b := []byte("host-")
	for n := i % 5000; ; n /= 26 {
		b = append(b, 'a'+byte(n%26))
		if n < 26 {
			return string(append(b, ".example"...))
		}
	}
}
