package zeek

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// kind is one sort of log that becomes records.
type kind struct {
	path    string
	proto   testudo.Proto // where the log does not say
	typ     reflect.Type  // of the record's struct
	slab    func() []testudo.Record
	index   int // among all kinds
	count   int // of all kinds
	targets map[string]target
	// signs are sets of fields of which any one, complete, tells a JSON
	// object to be of this kind.
	signs [][]string
}

// target is where a column's value goes.
type target struct {
	to    place
	field int
}

// place is a target's sort.
type place uint8

// The first block is what all records share, the second what helps to derive
// what Zeek does not log, the third a tagged field by its Go type.
const (
	nowhere place = iota
	toTime
	toWritten
	toUID
	toUIDs
	toOrigAddr
	toOrigPort
	toRespAddr
	toRespPort
	toProto
	toProtoNumber

	toFileID
	toChainIDs
	toHandshake
	toOrigHW
	toRespHW
	toFileNames

	toString
	toInt
	toUint
	toFloat
	toBool
	toBoolPointer
	toAddr
	toInterval
	toTimeField
	toStrings
	toIntervals
	toAddrs
)

// list says whether the place takes several values.
func (p place) list() bool {
	switch p {
	case toUIDs, toChainIDs, toFileNames, toStrings, toIntervals, toAddrs:
		return true
	}
	return false
}

// shared are the columns that mean the same in every log.
func shared() map[string]target {
	return map[string]target{
		"ts":        {to: toTime},
		"_write_ts": {to: toWritten},
		"uid":       {to: toUID},
		"uids":      {to: toUIDs},
		"id.orig_h": {to: toOrigAddr}, "id_orig_h": {to: toOrigAddr},
		"id.orig_p": {to: toOrigPort}, "id_orig_p": {to: toOrigPort},
		"id.resp_h": {to: toRespAddr}, "id_resp_h": {to: toRespAddr},
		"id.resp_p": {to: toRespPort}, "id_resp_p": {to: toRespPort},
		"proto":    {to: toProto},
		"ip_proto": {to: toProtoNumber},
	}
}

// kinds returns every log this package reads.
func kinds() []*kind {
	all := []*kind{
		kindOf(&testudo.Conn{}, 0, nil, "conn_state"),
		kindOf(&testudo.DNS{}, 0, nil, "qtype", "rcode trans_id", "query trans_id"),
		kindOf(&testudo.HTTP{}, testudo.TCP, map[string]target{"resp_filenames": {to: toFileNames}},
			"trans_depth uri", "trans_depth status_code", "trans_depth method"),
		kindOf(&testudo.TLS{}, testudo.TCP, map[string]target{
			"cert_chain_fuids": {to: toChainIDs}, "ssl_history": {to: toHandshake},
		}, "resumed established"),
		kindOf(&testudo.X509{}, 0, map[string]target{"id": {to: toFileID}}, "certificate.serial"),
		kindOf(&testudo.SSH{}, testudo.TCP, nil, "auth_attempts", "kex_alg"),
		kindOf(&testudo.SMTP{}, testudo.TCP, nil, "trans_depth helo", "trans_depth mailfrom", "last_reply"),
		kindOf(&testudo.FTP{}, testudo.TCP, nil, "command reply_code", "command user"),
		kindOf(&testudo.DHCP{}, testudo.UDP, nil, "msg_types"),
		kindOf(&testudo.NTP{}, testudo.UDP, nil, "ref_id", "stratum"),
		kindOf(&testudo.QUIC{}, testudo.UDP, nil, "client_initial_dcid"),
		kindOf(&testudo.ARP{}, 0, map[string]target{"orig_hw": {to: toOrigHW}, "resp_hw": {to: toRespHW}},
			"operation src_mac"),
		kindOf(&testudo.Weird{}, 0, nil, "name peer", "name notice", "name source"),
	}
	for i, k := range all {
		k.index, k.count = i, len(all)
	}
	return all
}

// slabSize is how many records are made at once.
const slabSize = 16

// kindOf derives from a record type's tags where each column goes.
func kindOf[R any, P interface {
	*R
	testudo.Record
}](r P, proto testudo.Proto, extra map[string]target, signs ...string) *kind {
	k := describe(r, proto, extra, signs...)
	k.slab = func() []testudo.Record {
		made := make([]R, slabSize)
		records := make([]testudo.Record, slabSize)
		for i := range made {
			records[i] = P(&made[i])
		}
		return records
	}
	return k
}

func describe(r testudo.Record, proto testudo.Proto, extra map[string]target, signs ...string) *kind {
	k := &kind{path: r.Log(), proto: proto, typ: reflect.TypeOf(r).Elem(), targets: shared()}
	for name, t := range extra {
		k.targets[name] = t
	}
	for _, s := range signs {
		k.signs = append(k.signs, strings.Fields(s))
	}
	for i := range k.typ.NumField() {
		f := k.typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("log"), ",")
		if p := placeOf(f.Type); name != "" && p != nowhere {
			k.targets[name] = target{to: p, field: i}
		}
	}
	return k
}

// placeOf tells how a field of type t is filled, nowhere if it cannot be.
func placeOf(t reflect.Type) place {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return toAddr
	case reflect.TypeFor[time.Duration]():
		return toInterval
	case reflect.TypeFor[testudo.Time]():
		return toTimeField
	case reflect.TypeFor[*bool]():
		return toBoolPointer
	case reflect.TypeFor[[]string]():
		return toStrings
	case reflect.TypeFor[[]time.Duration]():
		return toIntervals
	case reflect.TypeFor[[]netip.Addr]():
		return toAddrs
	}
	switch t.Kind() {
	case reflect.String:
		return toString
	case reflect.Bool:
		return toBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return toInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return toUint
	case reflect.Float32, reflect.Float64:
		return toFloat
	}
	return nowhere
}
