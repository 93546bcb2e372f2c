package testudo

import "net/netip"

// A Query asks recorded history. A record answers it if it lies in the time,
// is of one of the logs, fits every term of Where and, where Values is set,
// holds one of them.
type Query struct {
	From, To Time     // of the records' own time, From <= t < To; 0 for open
	Logs     []string // "conn", "dns"; none for all
	Where    []Term
	Values   *Values
	Limit    int // of records given, 0 for all
}

// A Term is a condition on a field. A record without the field answers neither
// the term nor, with Not, its opposite.
type Term struct {
	Not   bool   // the condition must not hold, of a list for none of its values
	Field string // a Zeek name ("id.resp_h", "query"), or one of the words below
	Op    TermOp
	Text  string       // the value as written, in the field's own form
	Net   netip.Prefix // for addresses
}

// TermOp is how a term compares.
type TermOp string

// The comparisons. Like is equality with * for any characters; a name term
// "*.example" also means "example" itself.
const (
	Equal   TermOp = "="
	Like    TermOp = "~"
	Less    TermOp = "<"
	Greater TermOp = ">"
)

// Fields that stand for several: of any log, whichever of them it has.
const (
	AnyAddress = "address" // either end, an answer of DNS
	AnyName    = "name"    // query, server_name, host, a certificate's names
	AnyPrint   = "print"   // ja3, ja3s, ja4, hassh, a certificate's hash
	AnySize    = "bytes"   // orig_bytes, resp_bytes: what either end sent
)

// Values are many values looked for at once, as of a list of indicators.
type Values struct {
	Addresses []netip.Addr
	Prefixes  []netip.Prefix
	Names     []string // each with all names below it
	Prints    []string
	URLs      []string // host and path
}
