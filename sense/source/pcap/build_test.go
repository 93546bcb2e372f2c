package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

// order writes numbers in either byte order.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var orders = map[string]order{"little": binary.LittleEndian, "big": binary.BigEndian}

// shot is a frame as tests compare it.
type shot struct {
	time   testudo.Time
	link   uint32
	data   string
	length int
}

func fileHead(o order, magic uint32, minor uint16, link uint32) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, minor)
	b = o.AppendUint64(b, 0)
	b = o.AppendUint32(b, 65535)
	return o.AppendUint32(b, link)
}

func record(o order, sec, frac, have, wire uint32, data string) []byte {
	b := o.AppendUint32(nil, sec)
	b = o.AppendUint32(b, frac)
	b = o.AppendUint32(b, have)
	b = o.AppendUint32(b, wire)
	return append(b, data...)
}

func block(o order, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(len(body) + 12)
	b := o.AppendUint32(nil, kind)
	b = o.AppendUint32(b, n)
	b = append(b, body...)
	return o.AppendUint32(b, n)
}

func sectionBlock(o order) []byte {
	b := o.AppendUint32(nil, orderMagic)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	return block(o, blockSection, o.AppendUint64(b, ^uint64(0)))
}

func option(o order, code uint16, value []byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func interfaceBlock(o order, link uint16, snap uint32, options ...[]byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint32(b, snap)
	for _, opt := range options {
		b = append(b, opt...)
	}
	return block(o, blockInterface, b)
}

func packetBlock(o order, id uint32, ts uint64, wire uint32, data string) []byte {
	b := o.AppendUint32(nil, id)
	b = o.AppendUint32(b, uint32(ts>>32))
	b = o.AppendUint32(b, uint32(ts))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return block(o, blockPacket, append(b, option(o, 2, []byte{0, 0, 0, 1})...))
}

func oldPacketBlock(o order, id uint16, ts uint64, wire uint32, data string) []byte {
	b := o.AppendUint16(nil, id)
	b = o.AppendUint16(b, 7) // drops
	b = o.AppendUint32(b, uint32(ts>>32))
	b = o.AppendUint32(b, uint32(ts))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	return block(o, blockOldPacket, append(b, data...))
}

func simpleBlock(o order, wire uint32, data string) []byte {
	return block(o, blockSimple, append(o.AppendUint32(nil, wire), data...))
}

func gzipped(t testing.TB, b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// drain reads all frames and the error that ended them, nil for io.EOF.
func drain(in source.Frames) (shots []shot, err error) {
	var f source.Frame
	for {
		if err := in.Next(&f); err != nil {
			if err == io.EOF {
				err = nil
			}
			return shots, err
		}
		shots = append(shots, shot{f.Time, f.Link, string(f.Data), f.Length})
	}
}

func readAll(b []byte) ([]shot, error) {
	r, err := New("test", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return drain(r)
}

func wantPartial(t *testing.T, err error, frames int64, cause error) {
	t.Helper()
	var p *PartialError
	if !errors.As(err, &p) {
		t.Fatalf("got error %v, want a *PartialError", err)
	}
	if p.Frames != frames {
		t.Errorf("error says %d frames were read, want %d", p.Frames, frames)
	}
	if cause != nil && !errors.Is(err, cause) {
		t.Errorf("got error %v, want one that wraps %v", err, cause)
	}
}
