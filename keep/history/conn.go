package history

import (
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// connLayout is the layout of conns, the kind there is most of. What nearly
// follows from another column is kept as the difference, which is nearly
// always 0: what was reported earlier instead of what came since, headers
// instead of headers and payload, and how far a mean is from that of all
// bytes. Statistics of bursts are kept to five digits.
func connLayout() *Layout {
	l := layoutOf(new(testudo.Conn), "")
	for i := range l.Columns {
		c := &l.Columns[i]
		switch c.Name {
		case "orig_ip_bytes":
			c.rest("orig_header_bytes", func(c *testudo.Conn) (*int64, int64) { return &c.OrigIPBytes, c.OrigBytes })
		case "resp_ip_bytes":
			c.rest("resp_header_bytes", func(c *testudo.Conn) (*int64, int64) { return &c.RespIPBytes, c.RespBytes })
		case "delta.orig_bytes":
			c.earlier(func(c *testudo.Conn) (*int64, int64) { return &c.Delta.OrigBytes, c.OrigBytes })
		case "delta.resp_bytes":
			c.earlier(func(c *testudo.Conn) (*int64, int64) { return &c.Delta.RespBytes, c.RespBytes })
		case "delta.orig_pkts":
			c.earlier(func(c *testudo.Conn) (*int64, int64) { return &c.Delta.OrigPkts, c.OrigPkts })
		case "delta.resp_pkts":
			c.earlier(func(c *testudo.Conn) (*int64, int64) { return &c.Delta.RespPkts, c.RespPkts })
		case "delta.duration":
			c.earlierTime()
		case "pulses.size_mean":
			c.beyond("pulses.size_over", func(c *testudo.Conn) (*testudo.Pulse, int64) { return &c.Pulses, c.OrigBytes })
		case "replies.size_mean":
			c.beyond("replies.size_over", func(c *testudo.Conn) (*testudo.Pulse, int64) { return &c.Replies, c.RespBytes })
		}
		c.Short = c.Type == Float
	}
	return l
}

func connAt(v reflect.Value) *testudo.Conn { return v.Addr().Interface().(*testudo.Conn) }

// rest keeps a number as what it is more than another.
func (c *Column) rest(name string, of func(*testudo.Conn) (*int64, int64)) {
	c.Name = name
	c.raw, c.offset = nil, 0
	c.get = func(v reflect.Value, x *Cell) { n, other := of(connAt(v)); x.Int = *n - other }
	c.set = func(v reflect.Value, x *Cell) { n, other := of(connAt(v)); *n = x.Int + other }
}

// earlier keeps a part as what is missing to the whole.
func (c *Column) earlier(of func(*testudo.Conn) (*int64, int64)) {
	c.Name = strings.Replace(c.Name, "delta.", "earlier.", 1)
	c.raw, c.offset = nil, 0
	c.get = func(v reflect.Value, x *Cell) { n, whole := of(connAt(v)); x.Int = whole - *n }
	c.set = func(v reflect.Value, x *Cell) { n, whole := of(connAt(v)); *n = whole - x.Int }
}

// earlierTime does so for the duration. What is below a microsecond is
// carried for the part itself.
func (c *Column) earlierTime() {
	c.Name, c.raw = "earlier.duration", nil
	c.get = func(v reflect.Value, x *Cell) {
		x.Int = micros(int64(connAt(v).Duration)) - micros(int64(connAt(v).Delta.Duration))
	}
	c.set = func(v reflect.Value, x *Cell) {
		d := connAt(v)
		d.Delta.Duration = d.Duration - 1000*time.Duration(x.Int)
	}
}

// beyond keeps the mean size of bursts as what it is more than the payload
// divided by their number.
func (c *Column) beyond(name string, of func(*testudo.Conn) (*testudo.Pulse, int64)) {
	c.Name, c.raw = name, nil
	share := func(p *testudo.Pulse, bytes int64) float64 { return float64(bytes) / float64(max(p.Count, 1)) }
	c.get = func(v reflect.Value, x *Cell) {
		p, bytes := of(connAt(v))
		x.Float = p.SizeMean - share(p, bytes)
		if math.Abs(x.Float) <= 1e-7*p.SizeMean {
			x.Float = 0
		}
	}
	c.set = func(v reflect.Value, x *Cell) { p, bytes := of(connAt(v)); p.SizeMean = x.Float + share(p, bytes) }
}
