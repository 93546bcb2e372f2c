package zeek

import (
	"math"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// shared are the columns that mean the same in every log.
func (r *row) shared(base *testudo.Meta) map[string]column {
	origAddr, origPort := addr(&r.orig), value(&r.origPort, logs.ParsePort)
	respAddr, respPort := addr(&r.resp), value(&r.respPort, logs.ParsePort)
	return map[string]column{
		"ts": {one: func(b []byte) (err error) {
			base.Time, err = logs.TrafficTime(b)
			r.timed = err == nil
			return err
		}},
		"_write_ts": value(&r.written, logs.TrafficTime),
		"uid": {one: func(b []byte) error {
			base.UID = logs.ParseUID(b)
			return nil
		}},
		"uids": {list: func(items [][]byte) error {
			base.UID = logs.ParseUID(items[0])
			return nil
		}},
		"id.orig_h": origAddr, "id_orig_h": origAddr,
		"id.orig_p": origPort, "id_orig_p": origPort,
		"id.resp_h": respAddr, "id_resp_h": respAddr,
		"id.resp_p": respPort, "id_resp_p": respPort,
		"proto": {one: func(b []byte) error {
			p, err := logs.ParseProto(b)
			if p != 0 {
				base.ID.Proto = p
			}
			return err
		}},
		// The number decides where the word says nothing.
		"ip_proto": {one: func(b []byte) error {
			n, err := logs.ParseInt(b)
			if err != nil || n < 0 || n > math.MaxUint8 {
				return logs.ErrValue
			}
			base.ID.Proto = testudo.Proto(n)
			return nil
		}},
	}
}

// tagged adds the columns of a record's tagged fields.
func (r *row) tagged(record reflect.Value, columns map[string]column) {
	for i := range record.NumField() {
		name, _, _ := strings.Cut(record.Type().Field(i).Tag.Get("log"), ",")
		if name != "" {
			columns[name] = r.column(record.Field(i).Addr().Interface())
		}
	}
}

// column is the column of the field that p points to.
func (r *row) column(p any) column {
	switch p := p.(type) {
	case *string:
		return r.text(p)
	case *int:
		return count(p)
	case *int64:
		return count(p)
	case *uint16:
		return count(p)
	case *bool:
		return value(p, logs.ParseBool)
	case **bool:
		return value(p, func(b []byte) (*bool, error) {
			v, err := logs.ParseBool(b)
			return &v, err
		})
	case *netip.Addr:
		return addr(p)
	case *time.Duration:
		return value(p, interval)
	case *testudo.Time:
		return value(p, logs.ParseTime)
	case *[]string:
		return list(p, func(b []byte) (string, error) { return r.words.Intern(b), nil })
	case *[]time.Duration:
		return list(p, interval)
	}
	return column{}
}

func value[V any](p *V, parse func([]byte) (V, error)) column {
	return column{one: func(b []byte) (err error) {
		*p, err = parse(b)
		return err
	}}
}

func list[V any](p *[]V, parse func([]byte) (V, error)) column {
	return column{list: func(items [][]byte) (err error) {
		s := make([]V, len(items))
		for i := range s {
			if s[i], err = parse(items[i]); err != nil {
				return err
			}
		}
		*p = s
		return nil
	}}
}

func count[N int | int64 | uint16](p *N) column {
	return column{one: func(b []byte) error {
		n, err := logs.ParseInt(b)
		if err != nil || n < 0 || int64(N(n)) != n {
			return logs.ErrValue
		}
		*p = N(n)
		return nil
	}}
}

func addr(p *netip.Addr) column { return value(p, logs.ParseAddr) }

func interval(b []byte) (time.Duration, error) {
	ns, err := logs.Seconds(b)
	return time.Duration(ns), err
}

// text shares equal texts of many lines.
func (r *row) text(p *string) column {
	return column{one: func(b []byte) error {
		*p = r.words.Intern(b)
		return nil
	}}
}

// first keeps the first of several texts.
func (r *row) first(p *string) column {
	return column{list: func(items [][]byte) error {
		*p = r.words.Intern(items[0])
		return nil
	}}
}
