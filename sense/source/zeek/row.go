package zeek

import (
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source/logs"
)

// row is one record being filled from one line.
type row struct {
	*form
	forms []*form // by kind
	words *logs.Words

	written testudo.Time // when the line was written, 0 where it does not say
	timed   bool         // ts was given

	orig, resp         netip.Addr
	origPort, respPort uint16

	fileID, chainID        string // file ids of a certificate and of a handshake's first one
	handshake              string
	origHW, respHW, upload string
}

// formOf returns the form of records of a kind.
func (r *row) formOf(k *kind) *form {
	for len(r.forms) <= k.index {
		r.forms = append(r.forms, nil)
	}
	if r.forms[k.index] == nil {
		r.forms[k.index] = k.form(r)
	}
	return r.forms[k.index]
}

// begin makes r ready for a line that is read by f.
func (r *row) begin(f *form) {
	f.clear()
	r.form = f
	// Field by field: a whole row would cost the collector's barriers.
	r.written, r.timed, r.origPort, r.respPort = 0, false, 0, 0
	r.orig, r.resp = netip.Addr{}, netip.Addr{}
	r.fileID, r.chainID, r.handshake = "", "", ""
	r.origHW, r.respHW, r.upload = "", "", ""
}

// of returns the column that a field of an object goes to.
func (f *form) of(p *logs.Pair) column {
	if p.Name == 0 {
		return f.columns[string(p.Key)]
	}
	for len(f.named) <= p.Name {
		f.named = append(f.named, nil)
	}
	if f.named[p.Name] == nil {
		c := f.columns[string(p.Key)]
		f.named[p.Name] = &c
	}
	return *f.named[p.Name]
}

// object fills r, which has begun, from an object. With an error it returns
// the field that could not be read.
func (r *row) object(o *logs.Object) (field string, err error) {
	for i := range o.Pairs {
		p := &o.Pairs[i]
		c := r.of(p)
		switch {
		case p.Sort == '0' && string(p.Raw) == "null":
		case c.list != nil:
			if items := o.List(*p); len(items) > 0 {
				err = c.list(items)
			}
		case c.one == nil:
		case p.Sort == '[':
			err = logs.ErrValue
		case p.Sort == '"' && len(p.Raw) == 0:
		default:
			err = c.one(o.Text(p.Raw, p.Sort))
		}
		if err != nil {
			return string(p.Key), err
		}
	}
	return "", nil
}
