// Package zeeklog writes records as Zeek-compatible logs: conn.log, dns.log,
// ssl.log and so on, in Zeek's own TSV form or as JSON Lines, so that
// zeek-cut, RITA, pandas and every tool that reads Zeek reads them too.
//
// What a log holds is derived once per record type from the `log` tags of
// package testudo; only what Zeek does differently from one log to the next
// is listed here (layout.go). The same records give the same bytes: the
// #open and #close lines carry traffic time, never the wall clock.
package zeeklog

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/testudo-shield/testudo"
)

const (
	maxLogs   = 64 // kinds of log one Writer keeps open
	fileBlock = 64 << 10
	keepLine  = 1 << 20 // a longer line's buffer is not kept for the next
)

// Writer writes a directory of logs. It is not safe for concurrent use.
type Writer struct {
	dir    string
	json   bool
	closed bool
	buf    []byte
	logs   map[reflect.Type]*log
	order  []*log // as they were opened
}

// log is one file. A log whose layout is nil stands for a record type that
// has no Zeek log.
type log struct {
	*layout
	file *os.File
	out  *bufio.Writer
	last testudo.Time
}

// New returns a Writer of logs below dir, which is made if it is missing.
// The format is "tsv" or "json". A log's file is made, or emptied, when its
// first record comes.
func New(dir, format string) (*Writer, error) {
	if format != "tsv" && format != "json" {
		return nil, fmt.Errorf("zeeklog: format %q: want tsv or json", format)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("zeeklog: make directory: %w", err)
	}
	return &Writer{dir: dir, json: format == "json", logs: map[reflect.Type]*log{}}, nil
}

// Write appends r to its log. Reports of conns that still live are not
// written, nor records of types that have no Zeek log. An error is of the
// file system and names the file.
func (w *Writer) Write(r testudo.Record) error {
	if w.closed {
		return errors.New("zeeklog: write after close")
	}
	if c, ok := r.(*testudo.Conn); ok && c.Interim {
		return nil
	}
	t := reflect.TypeOf(r)
	l := w.logs[t]
	if l == nil {
		var err error
		if l, err = w.open(t, r); err != nil {
			return err
		}
	}
	if l.layout == nil {
		return nil
	}
	v := reflect.ValueOf(r).Elem()
	if w.json {
		w.buf = l.appendJSON(w.buf[:0], r, v)
	} else {
		w.buf = l.appendTSV(w.buf[:0], r, v)
	}
	l.last = max(l.last, r.Base().Time)
	_, err := l.out.Write(w.buf)
	if cap(w.buf) > keepLine {
		w.buf = nil
	}
	if err != nil {
		return fmt.Errorf("zeeklog: write %s: %w", l.file.Name(), err)
	}
	return nil
}

// open makes the log of a record type with r, its first record.
func (w *Writer) open(t reflect.Type, r testudo.Record) (*log, error) {
	lay, err := layoutOf(t, r.Log())
	if err != nil {
		return nil, fmt.Errorf("zeeklog: %w", err)
	}
	l := &log{layout: lay, last: r.Base().Time}
	if lay == nil {
		w.logs[t] = l
		return l, nil
	}
	if len(w.order) == maxLogs {
		return nil, fmt.Errorf("zeeklog: %s.log would be log number %d", lay.path, maxLogs+1)
	}
	for _, o := range w.order {
		if o.path == lay.path {
			return nil, fmt.Errorf("zeeklog: two record types claim %s.log", lay.path)
		}
	}
	name := filepath.Join(w.dir, lay.path+".log")
	if l.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640); err != nil {
		return nil, fmt.Errorf("zeeklog: %w", err)
	}
	l.out = bufio.NewWriterSize(l.file, fileBlock)
	w.logs[t] = l
	w.order = append(w.order, l)
	if !w.json {
		// A failing Write shows at the next one: bufio keeps its error.
		_, _ = l.out.Write(lay.appendHeader(nil, r.Base().Time))
	}
	return l, nil
}

// Close completes and closes the files and returns every error it met.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	var errs []error
	for _, l := range w.order {
		if !w.json {
			_, _ = l.out.Write(appendStamp([]byte("#close\t"), l.last))
		}
		if err := errors.Join(l.out.Flush(), l.file.Close()); err != nil {
			errs = append(errs, fmt.Errorf("zeeklog: close %s: %w", l.file.Name(), err))
		}
	}
	return errors.Join(errs...)
}
