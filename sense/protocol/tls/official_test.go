package tls_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/flow"
	"github.com/testudo-shield/testudo/sense/packet"
	"github.com/testudo-shield/testudo/sense/protocol"
	"github.com/testudo-shield/testudo/sense/protocol/quic"
	"github.com/testudo-shield/testudo/sense/protocol/tls"
	"github.com/testudo-shield/testudo/sense/source"
	"github.com/testudo-shield/testudo/sense/source/pcap"
)

// TestOfficialFingerprints compares JA3, JA3S and JA4 with the values that
// the makers of the methods, or tools of long standing, state for their own
// captures: every value they list must be found as often as they list it.
func TestOfficialFingerprints(t *testing.T) {
	data := filepath.Join("..", "..", "..", "..", "shared", "data")
	rows, err := fingerprintRows(filepath.Join(data, "truth.tsv"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("../shared/data is not beside the checkout: the official fingerprints are not compared")
	}
	if err != nil {
		t.Fatal(err)
	}
	wanted, matched, extra := 0, 0, 0
	for _, row := range rows {
		want, err := officialValues(data, row.expected)
		if err != nil {
			t.Errorf("%s: %v", row.path, err)
			continue
		}
		got, err := fingerprints(filepath.Join(data, row.path))
		if err != nil {
			t.Errorf("%s: %v", row.path, err)
			continue
		}
		wanted += len(want)
		missing, more := difference(want, sameMethods(want, got))
		matched += len(want) - len(missing)
		extra += len(more)
		if len(missing) > 0 {
			t.Errorf("%s: missing %q; found besides %q", row.path, missing, more)
		} else if len(more) > 0 {
			t.Logf("%s: found besides what is listed: %q", row.path, more)
		}
	}
	t.Logf("%d captures, %d official values, %d found and equal, %d found besides", len(rows), wanted, matched, extra)
}

type fingerprintRow struct{ path, expected string }

func fingerprintRows(path string) ([]fingerprintRow, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comma, r.LazyQuotes = '\t', true
	all, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	column := func(name string) int { return slices.Index(all[0], name) }
	var rows []fingerprintRow
	for _, l := range all[1:] {
		if l[column("cls")] == "tls-fingerprint" {
			rows = append(rows, fingerprintRow{l[column("path")], l[column("expected")]})
		}
	}
	return rows, nil
}

var yamlValue = regexp.MustCompile(`\b(ja3s?|ja4)(?:\.hash)?:\s*"?([0-9a-z_]+)`)

// officialValues reads the values that a source states, each with the name
// of its method in front. There are three forms.
func officialValues(data, expected string) ([]string, error) {
	if expected == "" || expected == "-" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(data, expected))
	if err != nil {
		return nil, err
	}
	var out []string
	switch filepath.Ext(expected) {
	case ".json": // a list of streams; a client may have sent several hellos
		var streams []map[string]any
		if err := json.Unmarshal(text, &streams); err != nil {
			return nil, err
		}
		for _, s := range streams {
			for k, v := range s {
				if s, ok := v.(string); ok && (k == "JA4" || strings.HasPrefix(k, "JA4.")) {
					out = append(out, "ja4 "+s)
				}
			}
		}
	case ".test": // a list of sessions, each with the values it saw, without repeats
		var file struct {
			Sessions []struct {
				Body struct {
					TLS struct{ JA3, JA3S, JA4 []string }
				}
			} `json:"sessions3"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, err
		}
		for _, s := range file.Sessions {
			out = appendNamed(out, "ja3", s.Body.TLS.JA3...)
			out = appendNamed(out, "ja3s", s.Body.TLS.JA3S...)
			out = appendNamed(out, "ja4", s.Body.TLS.JA4...)
		}
	default: // checks, each with what one event must hold
		for _, m := range yamlValue.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1]+" "+m[2])
		}
	}
	slices.Sort(out)
	return out, nil
}

func appendNamed(out []string, name string, values ...string) []string {
	for _, v := range values {
		if v != "" {
			out = append(out, name+" "+v)
		}
	}
	return out
}

// sameMethods keeps what came from the methods that want has values of.
func sameMethods(want, got []string) []string {
	var out []string
	for _, g := range got {
		method, _, _ := strings.Cut(g, " ")
		if slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(w, method+" ") }) {
			out = append(out, g)
		}
	}
	return out
}

// difference compares sorted multisets.
func difference(want, got []string) (missing, more []string) {
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || len(want) > 0 && want[0] < got[0]:
			missing, want = append(missing, want[0]), want[1:]
		case len(want) == 0 || got[0] < want[0]:
			more, got = append(more, got[0]), got[1:]
		default:
			want, got = want[1:], got[1:]
		}
	}
	return missing, more
}

// fingerprints sends a capture through the rooms that a sensor has, source,
// packet, flow and protocols, and lists what the TLS records hold.
func fingerprints(path string) ([]string, error) {
	in, err := pcap.Open(path, nil)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var out []string
	protocols := []protocol.Protocol{tls.Protocol(), tls.DTLS(), quic.Protocol()}
	shard := flow.New(flow.Config{}, protocols, func(_ testudo.Time, r testudo.Record) {
		if r, ok := r.(*testudo.TLS); ok {
			out = appendNamed(out, "ja3", r.JA3)
			out = appendNamed(out, "ja3s", r.JA3S)
			out = appendNamed(out, "ja4", r.JA4, r.JA4Again)
		}
	})
	decoder := packet.New(packet.Config{})
	var frame source.Frame
	var p packet.Packet
	var clock testudo.Time
	for {
		err := in.Next(&frame)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if decoder.Decode(frame.Link, frame.Time, frame.Length, frame.Data, &p) {
			clock = max(clock, p.Time)
			p.Clock = clock
			shard.Packet(&p)
		}
	}
	shard.Flush(clock)
	slices.Sort(out)
	return out, nil
}
