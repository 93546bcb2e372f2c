package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/testudo-shield/testudo/judge/detector"
	"github.com/testudo-shield/testudo/judge/detector/beacon"
	"github.com/testudo-shield/testudo/judge/detector/bruteforce"
	"github.com/testudo-shield/testudo/judge/detector/channel"
	"github.com/testudo-shield/testudo/judge/detector/exfil"
	"github.com/testudo-shield/testudo/judge/detector/flood"
	"github.com/testudo-shield/testudo/judge/detector/indicator"
	"github.com/testudo-shield/testudo/judge/detector/scan"
	"github.com/testudo-shield/testudo/judge/detector/tunnel"
	"github.com/testudo-shield/testudo/judge/detector/worm"
	"github.com/testudo-shield/testudo/judge/intel"
	"github.com/testudo-shield/testudo/judge/intel/dataset"
	"github.com/testudo-shield/testudo/judge/intel/galaxy"
	"github.com/testudo-shield/testudo/judge/intel/hosts"
	"github.com/testudo-shield/testudo/judge/intel/iprep"
	"github.com/testudo-shield/testudo/judge/intel/maltrail"
	"github.com/testudo-shield/testudo/judge/intel/misp"
	"github.com/testudo-shield/testudo/judge/intel/plain"
	"github.com/testudo-shield/testudo/judge/intel/rpz"
	"github.com/testudo-shield/testudo/judge/intel/rules"
	"github.com/testudo-shield/testudo/judge/intel/stix"
	"github.com/testudo-shield/testudo/judge/intel/table"
	"github.com/testudo-shield/testudo/judge/intel/warninglist"
	zeekintel "github.com/testudo-shield/testudo/judge/intel/zeek"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/clickhouse"
	"github.com/testudo-shield/testudo/keep/history/parquet"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/dhcp"
	"github.com/testudo-shield/testudo/sense/protocol/dns"
	"github.com/testudo-shield/testudo/sense/protocol/ftp"
	"github.com/testudo-shield/testudo/sense/protocol/http"
	"github.com/testudo-shield/testudo/sense/protocol/icmp"
	"github.com/testudo-shield/testudo/sense/protocol/ntp"
	"github.com/testudo-shield/testudo/sense/protocol/opaque"
	"github.com/testudo-shield/testudo/sense/protocol/quic"
	"github.com/testudo-shield/testudo/sense/protocol/smtp"
	"github.com/testudo-shield/testudo/sense/protocol/ssh"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/eve"
	"github.com/testudo-shield/testudo/sense/source/ipfix"
	"github.com/testudo-shield/testudo/sense/source/logs"
	"github.com/testudo-shield/testudo/sense/source/pcap"
	"github.com/testudo-shield/testudo/sense/source/zeek"
	"github.com/testudo-shield/testudo/shield"
)

// parts is what this binary is put together from: one line a leaf, sorted.
func parts() shield.Parts {
	return shield.Parts{Sources: sources(), Protocols: protocols(), Detectors: detectors(), Formats: formats()}
}

// histories are the stores of records, by the scheme of their URL; "" is that
// of files below the state folder.
func histories(url string) (shield.OpenHistory, error) {
	switch scheme, _, _ := strings.Cut(url, "://"); scheme {
	case "":
		return openFiles, nil
	case "clickhouse":
		return func(string, bool) (history.Store, error) {
			ctx, done := context.WithTimeout(context.Background(), 30*time.Second)
			defer done()
			return clickhouse.Open(ctx, url)
		}, nil
	}
	return nil, fmt.Errorf("%q: want clickhouse://host:9000/database, or nothing for files below the state folder", url)
}

// openFiles opens the history of a state folder.
func openFiles(dir string, write bool) (history.Store, error) {
	dir = filepath.Join(dir, "history")
	if write {
		return parquet.Open(dir)
	}
	if s, err := parquet.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	// Nothing was recorded yet: that is an empty history, no fault.
	s, err := parquet.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return parquet.Read(dir)
}

// formats of indicators, the ones that are surest of themselves first.
func formats() []intel.Format {
	return []intel.Format{
		stix.Format, misp.Format, misp.ManifestFormat, warninglist.Format, galaxy.Format,
		zeekintel.Format, maltrail.Format, maltrail.KnownFormat, rules.Format, rpz.Format, hosts.Format,
		iprep.Format, iprep.CategoryFormat, misp.HashesFormat, dataset.Format, table.Format, plain.Format,
	}
}

func sources() []source.Opener {
	return []source.Opener{
		ipfix.Opener(pcap.Open), // before captures: some of them carry exports
		{Name: "capture", Sniff: pcap.Sniff, Frames: pcap.Open},
		logsOf("suricata eve log", eve.Format()),
		logsOf("zeek log", zeek.Format()),
	}
}

// logsOf is a kind of log that other sensors write.
func logsOf(name string, format logs.Format) source.Opener {
	return source.Opener{
		Name: name, Sniff: func(head []byte) bool { return format.Sniff(logs.Head(head)) },
		Lacks:   format.Lacks,
		Records: func(paths ...string) (source.Records, error) { return logs.Open(format, paths...) },
		Follow: func(position []byte, paths ...string) (source.Live, error) {
			return logs.Follow(format, position, paths...)
		},
	}
}

func protocols() []protocol.Protocol {
	return []protocol.Protocol{
		dhcp.Protocol(),
		dns.Protocol(),
		ftp.DataProtocol(),
		ftp.Protocol(),
		http.Protocol(),
		icmp.Protocol(),
		ntp.Protocol(),
		opaque.Protocol(),
		quic.Protocol(),
		smtp.Protocol(),
		ssh.Protocol(),
		tls.DTLS(),
		tls.Protocol(),
	}
}

func detectors() []detector.Detector {
	return []detector.Detector{
		beacon.Detector(),
		bruteforce.Detector(),
		channel.Detector(),
		exfil.Detector(),
		flood.Detector(),
		indicator.Detector(),
		scan.Detector(),
		tunnel.Detector(),
		tunnel.Spread(),
		worm.Detector(),
	}
}
