package zeek

import (
	"math"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// row is one record being filled from one line.
type row struct {
	*kind
	words *logs.Words
	slabs [][]testudo.Record // by kind: records made and not used
	order [][]named          // by kind: fields as JSON objects have had them

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
	if r.slabs == nil {
		r.slabs, r.order = make([][]testudo.Record, k.count), make([][]named, k.count)
	}
	slab := r.slabs[k.index]
	if len(slab) == 0 {
		slab = k.slab()
	}
	rec := slab[0]
	r.slabs[k.index] = slab[1:]
	// Field by field: a whole row would cost the collector's barriers.
	r.kind, r.record, r.v, r.base = k, rec, reflect.ValueOf(rec).Elem(), rec.Base()
	r.written, r.timed, r.origPort, r.respPort = 0, false, 0, 0
	r.orig, r.resp = netip.Addr{}, netip.Addr{}
	r.fileID, r.chainID, r.handshake = "", "", ""
	r.origHW, r.respHW, r.upload = "", "", ""
	r.base.ID.Proto = k.proto
}

// set puts one value, b, where t says.
func (r *row) set(t target, b []byte) error {
	var err error
	switch t.to {
	case toTime:
		r.base.Time, err = logs.TrafficTime(b)
		r.timed = err == nil
	case toWritten:
		r.written, err = logs.TrafficTime(b)
	case toUID:
		r.base.UID = logs.ParseUID(b)
	case toOrigAddr:
		r.orig, err = logs.ParseAddr(b)
	case toRespAddr:
		r.resp, err = logs.ParseAddr(b)
	case toOrigPort:
		r.origPort, err = logs.ParsePort(b)
	case toRespPort:
		r.respPort, err = logs.ParsePort(b)
	case toProto, toProtoNumber:
		err = r.setProto(t, b)
	case toFileID:
		r.fileID = r.words.Intern(b)
	case toHandshake:
		r.handshake = r.words.Intern(b)
	case toOrigHW:
		r.origHW = r.words.Intern(b)
	case toRespHW:
		r.respHW = r.words.Intern(b)
	case toString:
		r.v.Field(t.field).SetString(r.words.Intern(b))
	default:
		return r.setField(r.v.Field(t.field), t.to, b)
	}
	return err
}

// setProto takes a transport's word or number; the number decides where the
// word says nothing.
func (r *row) setProto(t target, b []byte) error {
	if t.to == toProto {
		p, err := logs.ParseProto(b)
		if p != 0 {
			r.base.ID.Proto = p
		}
		return err
	}
	n, err := logs.ParseInt(b)
	if err != nil || n < 0 || n > math.MaxUint8 {
		return logs.ErrValue
	}
	r.base.ID.Proto = testudo.Proto(n)
	return nil
}

// setField puts a value into a tagged field that is no string.
func (r *row) setField(f reflect.Value, to place, b []byte) error {
	switch to {
	case toInt:
		n, err := logs.ParseInt(b)
		if err != nil || n < 0 || f.OverflowInt(n) { // a count
			return logs.ErrValue
		}
		f.SetInt(n)
	case toUint:
		n, err := logs.ParseInt(b)
		if err != nil || n < 0 || f.OverflowUint(uint64(n)) {
			return logs.ErrValue
		}
		f.SetUint(uint64(n))
	case toFloat:
		x, err := logs.ParseFloat(b)
		if err != nil {
			return err
		}
		f.SetFloat(x)
	case toBool, toBoolPointer:
		v, err := logs.ParseBool(b)
		if err != nil {
			return err
		}
		if to == toBool {
			f.SetBool(v)
		} else {
			f.Set(reflect.ValueOf(&v))
		}
	case toAddr:
		a, err := logs.ParseAddr(b)
		if err != nil {
			return err
		}
		*f.Addr().Interface().(*netip.Addr) = a
	case toInterval:
		ns, err := logs.Seconds(b)
		if err != nil {
			return err
		}
		f.SetInt(ns)
	case toTimeField:
		at, err := logs.ParseTime(b)
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
		r.base.UID = logs.ParseUID(items[0])
	case toChainIDs:
		r.chainID = r.words.Intern(items[0])
	case toFileNames:
		r.upload = r.words.Intern(items[0])
	case toStrings:
		s := make([]string, len(items))
		for i, b := range items {
			s[i] = r.words.Intern(b)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]string) = s
	case toIntervals:
		s := make([]time.Duration, len(items))
		for i, b := range items {
			ns, err := logs.Seconds(b)
			if err != nil {
				return err
			}
			s[i] = time.Duration(ns)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]time.Duration) = s
	case toAddrs:
		s := make([]netip.Addr, 0, len(items))
		for _, b := range items {
			a, err := logs.ParseAddr(b)
			if err != nil {
				return err
			}
			s = append(s, a)
		}
		*r.v.Field(t.field).Addr().Interface().(*[]netip.Addr) = s
	}
	return nil
}

// named is a field's name with where its value goes.
type named struct {
	name string
	target
}

const (
	// maxNamed bounds the names that are remembered of a kind's fields.
	maxNamed = 128
	// leap is how many fields an object may leave out at once before the
	// next is looked up.
	leap = 8
)

// find returns where the field called key goes and what follows it in the
// order of earlier objects, of which at is a place: writers keep one order and
// leave fields out.
func (r *row) find(key []byte, at int) (target, int) {
	order := r.order[r.index]
	for i := at; i < len(order) && i < at+leap; i++ {
		if order[i].name == string(key) {
			return order[i].target, i + 1
		}
	}
	t := r.targets[string(key)]
	if len(order) < maxNamed && len(key) <= maxName && !slices.ContainsFunc(order, func(n named) bool { return n.name == string(key) }) {
		r.order[r.index] = slices.Insert(order, min(at, len(order)), named{string(key), t})
		return t, at + 1
	}
	return t, at
}

// maxName is the longest name that is remembered.
const maxName = 64

// object fills r, which has begun, from an object. With an error it returns
// the field that could not be read.
func (r *row) object(o *logs.Object) (field string, err error) {
	at := 0
	for _, p := range o.Pairs {
		var t target
		if t, at = r.find(p.Key, at); t.to == nowhere || p.Sort == '0' && string(p.Raw) == "null" {
			continue
		}
		switch {
		case t.to.list():
			err = r.setList(t, o.List(p))
		case p.Sort == '[':
			err = logs.ErrValue
		case p.Sort == '"' && len(p.Raw) == 0:
		default:
			err = r.set(t, o.Text(p.Raw, p.Sort))
		}
		if err != nil {
			return string(p.Key), err
		}
	}
	return "", nil
}
