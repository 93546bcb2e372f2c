package history

import (
	"reflect"
	"strings"
	"unsafe"

	"github.com/testudo-shield/testudo"
)

// Type is how a column's values are kept.
type Type uint8

// The types. Lists hold any number, also none; an empty list and none are the
// same.
const (
	Int Type = iota
	Float
	Bool
	Text // escaped, see Escape
	Ints
	Texts
)

// String returns the type's word, which stands in files.
func (t Type) String() string {
	return [...]string{"int", "float", "bool", "text", "ints", "texts"}[t]
}

// Role is what a column's values can be looked for as.
type Role uint8

// The roles. A column may have several.
const (
	Address Role = 1 << iota
	Name
	Print
	Host    // the host part of a URL
	Private // removed when names are no longer to be kept
)

// Cell is a value of any type: the member named like the type holds it, Int
// also holds Bool as 0 or 1.
type Cell struct {
	Int   int64
	Float float64
	Text  string
	Ints  []int64
	Texts []string
}

// Column is one field of a kind of record. Times and durations are in
// microseconds.
type Column struct {
	Name string // Zeek's, or ours in the same spelling
	Type Type
	Role Role
	Time bool // microseconds; seconds in queries

	Short bool // a float that is kept to five digits

	get func(reflect.Value, *Cell)
	set func(reflect.Value, *Cell) // nil where the value follows from others
	ns  func(reflect.Value, *nanos)
	// raw, where not nil, does what get does, quicker: at a place in memory,
	// offset from the record's.
	raw    func(unsafe.Pointer, *Cell)
	offset uintptr
}

// Layout is the columns of one kind of record in a fixed order.
type Layout struct {
	Log     string
	Columns []Column
	Lead    int // the text column that similar records share, -1 for none
	typ     reflect.Type
}

// Layouts returns every kind of record there is, sorted by name. It is not to
// be changed.
func Layouts() []*Layout { return layouts }

// LayoutOf returns the layout of a log, nil for one that is not known.
func LayoutOf(log string) *Layout {
	for _, l := range layouts {
		if l.Log == log {
			return l
		}
	}
	return nil
}

var layouts = []*Layout{
	layoutOf(new(testudo.ARP), ""),
	connLayout(),
	layoutOf(new(testudo.DHCP), ""),
	layoutOf(new(testudo.DNS), "query"),
	layoutOf(new(testudo.FTP), ""),
	layoutOf(new(testudo.HTTP), "host"),
	layoutOf(new(testudo.ICMPEcho), ""),
	layoutOf(new(testudo.Load), ""),
	layoutOf(new(testudo.NTP), ""),
	layoutOf(new(testudo.Opaque), ""),
	layoutOf(new(testudo.QUIC), "server_name"),
	layoutOf(new(testudo.SMTP), ""),
	layoutOf(new(testudo.SSH), ""),
	layoutOf(new(testudo.TLS), "server_name"),
	layoutOf(new(testudo.Weird), "name"),
	layoutOf(new(testudo.X509), "fingerprint"),
}

// layoutOf derives a layout: what all records share, the fields of the
// record, and what is below a microsecond.
func layoutOf(r testudo.Record, lead string) *Layout {
	l := &Layout{Log: r.Log(), Columns: base(), Lead: -1, typ: reflect.TypeOf(r).Elem()}
	l.Columns = append(l.Columns, fields(l.typ, "")...)
	l.Columns = append(l.Columns, fraction(l.Columns))
	for i := range l.Columns {
		c := &l.Columns[i]
		c.Role |= roles(c.Name)
		if c.Name == lead {
			l.Lead = i
		}
	}
	return l
}

// Column returns the index of a column by its name, -1 for none.
func (l *Layout) Column(name string) int {
	for i := range l.Columns {
		if l.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// New returns an empty record of the kind, and the value that Get and Set
// work on.
func (l *Layout) New() (testudo.Record, reflect.Value) {
	v := reflect.New(l.typ)
	return v.Interface().(testudo.Record), v.Elem()
}

// Value returns the value that Get and Set work on.
func (l *Layout) Value(r testudo.Record) reflect.Value { return reflect.ValueOf(r).Elem() }

// Get stores a column's value in c. Only the member of the column's type is
// set.
func (l *Layout) Get(i int, v reflect.Value, c *Cell) {
	col := &l.Columns[i]
	if col.raw != nil {
		col.raw(unsafe.Add(v.Addr().UnsafePointer(), col.offset), c)
		return
	}
	col.get(v, c)
}

// Set puts a value back into a record. Columns must be set in their order;
// the cell's lists are copied. A value the record cannot hold is dropped.
func (l *Layout) Set(i int, v reflect.Value, c *Cell) {
	if l.Columns[i].set != nil {
		l.Columns[i].set(v, c)
	}
}

// Blank removes what is private from a record.
func (l *Layout) Blank(v reflect.Value) {
	var none Cell
	for i := range l.Columns {
		if l.Columns[i].Role&Private != 0 {
			l.Set(i, v, &none)
		}
	}
}

// Private tells whether the kind has anything that Blank removes.
func (l *Layout) Private() bool {
	for i := range l.Columns {
		if l.Columns[i].Role&Private != 0 {
			return true
		}
	}
	return false
}

// roles returns what a column can be looked for as, by its name.
func roles(name string) (r Role) {
	switch strings.TrimPrefix(name, "leaf.") {
	case "query", "server_name", "san.dns", "answers", "host_name", "client_fqdn":
		r = Name | Private
	case "host":
		r = Name | Host | Private
	case "ja3", "ja3s", "ja4", "ja4_again", "hassh", "hasshServer", "fingerprint", "cert_chain_fps":
		r = Print
	case "uri", "referrer", "origin", "username", "user", "password", "proxied", "certificate.subject", "subject",
		"helo", "mailfrom", "rcptto", "date", "from", "to", "reply_to", "msg_id", "last_reply", "arg", "reply_msg",
		"attachments", "file_name", "body_head", "request_head", "response_head", "orig_head", "resp_head", "head",
		"domain", "addl", "x_originating_ip":
		r = Private
	}
	return r
}
