package zeek

import (
	"maps"
	"reflect"
	"strings"

	"github.com/testudo-shield/testudo"
)

// kind is one sort of log that becomes records.
type kind struct {
	path  string
	index int // among all kinds
	// signs are sets of fields of which any one, complete, tells a JSON
	// object to be of this kind.
	signs [][]string
	form  func(r *row) *form
}

// form is a record that one parser fills in again and again, each column by a
// function that knows its field, and of which it hands out copies.
type form struct {
	record  testudo.Record
	columns map[string]column
	named   []*column // of columns, by the number of a JSON object's name
	clear   func()
	copy    func() testudo.Record
}

// column takes the value of one field of a line: one has it whole, list in
// its elements, at least one. Without either the field is left aside.
type column struct {
	one  func(b []byte) error
	list func(items [][]byte) error
}

// extra are a kind's own columns beside the tagged ones, which help to derive
// what Zeek does not log.
type extra func(r *row) map[string]column

// kinds returns every log this package reads.
func kinds() []*kind {
	all := []*kind{
		kindOf[testudo.Conn](0, nil, "conn_state"),
		kindOf[testudo.DNS](0, nil, "qtype", "rcode trans_id", "query trans_id"),
		kindOf[testudo.HTTP](testudo.TCP, func(r *row) map[string]column {
			return map[string]column{"resp_filenames": r.first(&r.upload)}
		}, "trans_depth uri", "trans_depth status_code", "trans_depth method"),
		kindOf[testudo.TLS](testudo.TCP, func(r *row) map[string]column {
			return map[string]column{"cert_chain_fuids": r.first(&r.chainID), "ssl_history": r.text(&r.handshake)}
		}, "resumed established"),
		kindOf[testudo.X509](0, func(r *row) map[string]column {
			return map[string]column{"id": r.text(&r.fileID)}
		}, "certificate.serial"),
		kindOf[testudo.SSH](testudo.TCP, nil, "auth_attempts", "kex_alg"),
		kindOf[testudo.SMTP](testudo.TCP, nil, "trans_depth helo", "trans_depth mailfrom", "last_reply"),
		kindOf[testudo.FTP](testudo.TCP, nil, "command reply_code", "command user"),
		kindOf[testudo.DHCP](testudo.UDP, nil, "msg_types"),
		kindOf[testudo.NTP](testudo.UDP, nil, "ref_id", "stratum"),
		kindOf[testudo.QUIC](testudo.UDP, nil, "client_initial_dcid"),
		kindOf[testudo.ARP](0, func(r *row) map[string]column {
			return map[string]column{"orig_hw": r.text(&r.origHW), "resp_hw": r.text(&r.respHW)}
		}, "operation src_mac"),
		kindOf[testudo.Weird](0, nil, "name peer", "name notice", "name source"),
	}
	for i, k := range all {
		k.index = i
	}
	return all
}

// slabSize is how many records are made at once.
const slabSize = 16

// kindOf derives from a record type's tags where each column goes. The
// records are of proto where the log does not say.
func kindOf[R any, P interface {
	*R
	testudo.Record
}](proto testudo.Proto, more extra, signs ...string) *kind {
	k := &kind{path: P(nil).Log()}
	for _, s := range signs {
		k.signs = append(k.signs, strings.Fields(s))
	}
	k.form = func(r *row) *form {
		var slab []R
		record := P(new(R))
		f := &form{record: record, columns: r.shared(record.Base())}
		if more != nil {
			maps.Copy(f.columns, more(r))
		}
		r.tagged(reflect.ValueOf(record).Elem(), f.columns)
		f.clear = func() {
			*record = *new(R)
			record.Base().ID.Proto = proto
		}
		f.copy = func() testudo.Record {
			if len(slab) == 0 {
				slab = make([]R, slabSize)
			}
			made := &slab[0]
			slab = slab[1:]
			*made = *record
			return P(made)
		}
		return f
	}
	return k
}
