package zeek

import (
	"math"
	"net/netip"
	"reflect"
	"time"

	"github.com/testudo-shield/testudo"
)

// maxItems bounds the elements of one list.
const maxItems = 4096

// row is one record being filled from one line.
type row struct {
	*kind
	words *words

	record  testudo.Record
	v       reflect.Value // the struct record points to
	base    *testudo.Meta
	written testudo.Time // when the line was written, 0 where it does not say
	timed   bool         // ts was given

	orig, resp         netip.Addr
	origPort, respPort uint16

	fileID, chainID        string // file ids of a certificate and of a handshake's first one
	handshake              string
	origHW, respHW, upload string
}

// begin makes r ready for a line of kind k.
func (r *row) begin(k *kind) {
	v := reflect.New(k.typ)
	rec, _ := v.Interface().(testudo.Record) // kinds are made from records
	*r = row{kind: k, words: r.words, record: rec, v: v.Elem(), base: rec.Base()}
	r.base.ID.Proto = k.proto
}

// set puts one value, b, where t says.
func (r *row) set(t target, b []byte) error {
	var err error
	switch t.to {
	case toTime:
		r.base.Time, err = trafficTime(b)
		r.timed = err == nil
	case toWritten:
		r.written, err = trafficTime(b)
	case toUID:
		r.base.UID = parseUID(b)
	case toOrigAddr:
		r.orig, err = parseAddr(b)
	case toRespAddr:
		r.resp, err = parseAddr(b)
	case toOrigPort:
		r.origPort, err = parsePort(b)
	case toRespPort:
		r.respPort, err = parsePort(b)
	case toProto, toProtoNumber:
		err = r.setProto(t, b)
	case toFileID:
		r.fileID = r.words.intern(b)
	case toHandshake:
		r.handshake = r.words.intern(b)
	case toOrigHW:
		r.origHW = r.words.intern(b)
	case toRespHW:
		r.respHW = r.words.intern(b)
	case toString:
		r.v.Field(t.field).SetString(r.words.intern(b))
	default:
		return r.setField(r.v.Field(t.field), t.to, b)
	}
	return err
}

// setProto takes a transport's word or number; the number decides where the
// word says nothing.
func (r *row) setProto(t target, b []byte) error {
	if t.to == toProto {
		p, err := parseProto(b)
		if p != 0 {
			r.base.ID.Proto = p
		}
		return err
	}
	n, err := parseInt(b)
	if err != nil || n < 0 || n > math.MaxUint8 {
		return errValue
	}
	r.base.ID.Proto = testudo.Proto(n)
	return nil
}

// setField puts a value into a tagged field that is no string.
func (r *row) setField(f reflect.Value, to place, b []byte) error {
	switch to {
	case toInt:
		n, err := parseInt(b)
		if err != nil || n < 0 || f.OverflowInt(n) { // a count
			return errValue
		}
		f.SetInt(n)
	case toUint:
		n, err := parseInt(b)
		if err != nil || n < 0 || f.OverflowUint(uint64(n)) {
			return errValue
		}
		f.SetUint(uint64(n))
	case toFloat:
		x, err := parseFloat(b)
		if err != nil {
			return err
		}
		f.SetFloat(x)
	case toBool, toBoolPointer:
		v, err := parseBool(b)
		if err != nil {
			return err
		}
		if to == toBool {
			f.SetBool(v)
		} else {
			f.Set(reflect.ValueOf(&v))
		}
	case toAddr:
		a, err := parseAddr(b)
		if err != nil {
			return err
		}
		*f.Addr().Interface().(*netip.Addr) = a
	case toInterval:
		ns, err := parseSeconds(b)
		if err != nil {
			return err
		}
		f.SetInt(ns)
	case toTimeField:
		at, err := parseTime(b)
		if err != nil {
			return err
		}
		f.SetInt(int64(at))
	}
	return nil
}

// setList puts several values where t says.
func (r *row) setList(t target, items [][]byte) error {
	if len(items) == 0 {
		return nil
	}
	switch t.to {
	case toUIDs:
		r.base.UID = parseUID(items[0])
	case toChainIDs:
		r.chainID = r.words.intern(items[0])
	case toFileNames:
		r.upload = r.words.intern(items[0])
	case toStrings:
		s := make([]string, len(items))
		for i, b := range items {
			s[i] = r.words.intern(b)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]string) = s
	case toIntervals:
		s := make([]time.Duration, len(items))
		for i, b := range items {
			ns, err := parseSeconds(b)
			if err != nil {
				return err
			}
			s[i] = time.Duration(ns)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]time.Duration) = s
	case toAddrs:
		s := make([]netip.Addr, 0, len(items))
		for _, b := range items {
			a, err := parseAddr(b)
			if err != nil {
				return err
			}
			s = append(s, a)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]netip.Addr) = s
	}
	return nil
}

// words shares equal strings. It forgets everything when it is full, so that
// foreign text cannot make it grow.
type words struct{ known map[string]string }

const (
	maxWords   = 1 << 15
	maxWordLen = 64
)

// intern returns b as a string, an earlier equal one where there is one.
func (w *words) intern(b []byte) string {
	if len(b) > maxWordLen {
		return string(b)
	}
	if s, ok := w.known[string(b)]; ok {
		return s
	}
	if w.known == nil || len(w.known) >= maxWords {
		w.known = make(map[string]string)
	}
	s := string(b)
	w.known[s] = s
	return s
}
