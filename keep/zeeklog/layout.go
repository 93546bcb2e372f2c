package zeeklog

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// layout is what a log looks like: its columns in Zeek's order.
type layout struct {
	path    string
	columns []column
}

// column is one field of a log.
type column struct {
	name  string // Zeek's
	typ   string // Zeek's, for #types
	from  origin
	field int    // index in the record's struct where from is a struct field
	key   string // the name with its quotes and colon, for JSON
	// optional says that Zeek leaves a number out where it is not known, so
	// that zero is written as unset. unset says so for the whole record.
	optional bool
	unset    func(testudo.Record) bool
}

// origin says where a column's value comes from and how it is written.
type origin uint8

// The first block is taken from what all records share, the second from a
// tagged field of the record, by its Go type.
const (
	fromTime origin = iota
	fromUID
	fromUIDs
	fromOrigAddr
	fromOrigPort
	fromRespAddr
	fromRespPort
	fromProto
	fromProtoNumber
	fromOrigLocal
	fromRespLocal
	fromCommunityID

	fieldString
	fieldAddrString // a string that is only written if it is an address
	fieldInt
	fieldUint
	fieldFloat
	fieldBool
	fieldBoolPointer
	fieldAddr
	fieldInterval
	fieldTime
	fieldStrings
	fieldIntervals
	fieldAddrs
)

// layoutOf derives a record type's layout from its tags. It is nil for a
// type without tagged fields: such records are ours alone.
func layoutOf(t reflect.Type, path string) (*layout, error) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("record type %v is no pointer to a struct", t)
	}
	t = t.Elem()
	var own []column
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("log")
		if !ok || tag == "" || tag == "-" {
			continue
		}
		c, err := columnOf(f, tag)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		c.field = i
		habits(path, &c)
		own = append(own, c)
	}
	if own == nil {
		return nil, nil
	}
	l := &layout{path: path, columns: slices.Concat(head(path), own, tail(path))}
	arrange(l)
	for i := range l.columns {
		l.columns[i].key = `"` + l.columns[i].name + `":`
	}
	return l, nil
}

// columnOf reads one tag: the name and how it is written where the Go type
// does not say.
func columnOf(f reflect.StructField, tag string) (column, error) {
	name, how, _ := strings.Cut(tag, ",")
	c := column{name: name}
	switch f.Type {
	case reflect.TypeFor[netip.Addr]():
		c.typ, c.from = "addr", fieldAddr
		return c, nil
	case reflect.TypeFor[time.Duration]():
		c.typ, c.from = "interval", fieldInterval
		return c, nil
	case reflect.TypeFor[testudo.Time]():
		c.typ, c.from = "time", fieldTime
		return c, nil
	case reflect.TypeFor[*bool]():
		c.typ, c.from = "bool", fieldBoolPointer
		return c, nil
	case reflect.TypeFor[[]string]():
		c.typ, c.from = "vector[string]", fieldStrings
		if how == "set" {
			c.typ = "set[string]"
		}
		return c, nil
	case reflect.TypeFor[[]time.Duration]():
		c.typ, c.from = "vector[interval]", fieldIntervals
		return c, nil
	case reflect.TypeFor[[]netip.Addr]():
		c.typ, c.from = "vector[addr]", fieldAddrs
		return c, nil
	}
	switch f.Type.Kind() {
	case reflect.String:
		c.typ, c.from = "string", fieldString
	case reflect.Bool:
		c.typ, c.from = "bool", fieldBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.typ, c.from = "count", fieldInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		c.typ, c.from = "count", fieldUint
	case reflect.Float32, reflect.Float64:
		c.typ, c.from = "double", fieldFloat
	default:
		return c, fmt.Errorf("field %s: no Zeek form for %v", f.Name, f.Type)
	}
	if how == "port" || how == "int" || how == "enum" {
		c.typ = how
	}
	return c, nil
}

// head returns the columns a log begins with. Zeek's logs of certificates,
// leases and address resolution belong to no single conn.
func head(path string) []column {
	ts := column{name: "ts", typ: "time", from: fromTime}
	switch path {
	case "x509", "arp":
		return []column{ts}
	case "dhcp":
		return []column{ts, {name: "uids", typ: "set[string]", from: fromUIDs}}
	}
	h := []column{
		ts,
		{name: "uid", typ: "string", from: fromUID},
		{name: "id.orig_h", typ: "addr", from: fromOrigAddr},
		{name: "id.orig_p", typ: "port", from: fromOrigPort},
		{name: "id.resp_h", typ: "addr", from: fromRespAddr},
		{name: "id.resp_p", typ: "port", from: fromRespPort},
	}
	if path == "conn" || path == "dns" {
		h = append(h, column{name: "proto", typ: "enum", from: fromProto})
	}
	return h
}

// tail returns the columns that no tagged field stands for.
func tail(path string) []column {
	if path != "conn" {
		return nil
	}
	return []column{
		{name: "local_orig", typ: "bool", from: fromOrigLocal},
		{name: "local_resp", typ: "bool", from: fromRespLocal},
		{name: "ip_proto", typ: "count", from: fromProtoNumber},
		{name: "community_id", typ: "string", from: fromCommunityID},
	}
}

// arrange puts the columns in Zeek's order where the struct has another.
func arrange(l *layout) {
	switch l.path {
	case "conn":
		l.move("local_orig", "conn_state")
		l.move("local_resp", "local_orig")
		l.move("ip_proto", "resp_ip_bytes")
	case "dhcp":
		l.move("client_addr", "uids")
		l.move("server_addr", "client_addr")
		l.move("msg_types", "lease_time")
	}
}

// move puts the column called name right behind the one called after.
func (l *layout) move(name, after string) {
	by := func(n string) func(column) bool { return func(c column) bool { return c.name == n } }
	i := slices.IndexFunc(l.columns, by(name))
	if i < 0 || !slices.ContainsFunc(l.columns, by(after)) {
		return
	}
	c := l.columns[i]
	l.columns = slices.Delete(l.columns, i, i+1)
	l.columns = slices.Insert(l.columns, slices.IndexFunc(l.columns, by(after))+1, c)
}

// habits sets what Zeek leaves unset in a log, and the one type that differs
// from the Go type.
func habits(path string, c *column) {
	switch path + "." + c.name {
	case "conn.duration", "conn.vlan", "dns.rtt", "http.status_code", "ssh.version", "ftp.file_size",
		"ftp.reply_code", "dhcp.lease_time", "x509.certificate.key_length":
		c.optional = true
	case "conn.orig_bytes", "conn.resp_bytes":
		c.unset = func(r testudo.Record) bool {
			c, ok := r.(*testudo.Conn)
			return ok && c.Duration == 0 && c.OrigBytes == 0 && c.RespBytes == 0
		}
	case "dns.qclass", "dns.qtype":
		c.unset = func(r testudo.Record) bool {
			d, ok := r.(*testudo.DNS)
			return ok && d.Query == "" && d.QType == 0
		}
	case "dns.rcode":
		c.unset = func(r testudo.Record) bool {
			d, ok := r.(*testudo.DNS)
			return ok && !d.Answered && d.RCode == 0
		}
	case "ftp.data_channel.passive", "ftp.data_channel.resp_p":
		c.unset = func(r testudo.Record) bool {
			f, ok := r.(*testudo.FTP)
			return ok && !f.DataResp.IsValid()
		}
	case "smtp.x_originating_ip":
		c.typ, c.from = "addr", fieldAddrString
	}
}
