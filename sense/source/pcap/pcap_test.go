package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/sense/source"
)

func TestClassic(t *testing.T) {
	for name, o := range orders {
		extra := string(o.AppendUint32(nil, 3)) + string(o.AppendUint16(nil, 8)) + "\x04\x00"
		tests := map[string]struct {
			file []byte
			want []shot
		}{
			"microseconds": {
				slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 7, 5, 3, 60, "abc"), record(o, 8, 6, 0, 0, "")),
				[]shot{{7_000_005_000, 1, "abc", 60}, {8_000_006_000, 1, "", 0}},
			},
			"nanoseconds": {
				slices.Concat(fileHead(o, magicNano, 4, 113), record(o, 7, 5, 3, 3, "abc")),
				[]shot{{7_000_000_005, 113, "abc", 3}},
			},
			"modified": {
				slices.Concat(fileHead(o, magicModified, 4, 1), record(o, 7, 5, 3, 3, extra+"abc")),
				[]shot{{7_000_005_000, 1, "abc", 3}},
			},
			"lengths the other way round": {
				slices.Concat(fileHead(o, magicMicro, 3, 1), record(o, 1, 0, 9, 3, "abc"), record(o, 1, 0, 3, 9, "abc")),
				[]shot{{1e9, 1, "abc", 9}, {1e9, 1, "abc", 9}},
			},
			"old version":                {slices.Concat(fileHead(o, magicMicro, 2, 1), record(o, 1, 0, 9, 3, "abc")), []shot{{1e9, 1, "abc", 9}}},
			"wire shorter than captured": {slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 1, 0, 3, 2, "abc")), []shot{{1e9, 1, "abc", 3}}},
			"frame check length in link": {slices.Concat(fileHead(o, magicMicro, 4, 0x24000001), record(o, 1, 0, 1, 1, "a")), []shot{{1e9, 1, "a", 1}}},
			"after 2038":                 {slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 0xffffffff, 0, 1, 1, "a")), []shot{{0xffffffff * 1e9, 1, "a", 1}}},
			"no frames":                  {fileHead(o, magicMicro, 4, 1), nil},
		}
		for test, tt := range tests {
			t.Run(name+"/"+test, func(t *testing.T) { compare(t, tt.file, tt.want) })
		}
	}
}

func compare(t *testing.T, file []byte, want []shot) {
	t.Helper()
	for pack, b := range map[string][]byte{
		"plain": file, "gzip": gzipped(t, file), "zstd": zstandard(t, file),
		"members": slices.Concat(gzipped(t, file[:20]), gzipped(t, file[20:])),
		"twice":   gzipped(t, zstandard(t, file)),
	} {
		got, err := readAll(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v", pack, got, err, want)
		}
		if !Sniff(b) {
			t.Errorf("%s: Sniff says it is no capture", pack)
		}
	}
	r, err := New("slow", iotest.OneByteReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := drain(r); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("byte by byte: got %v, %v; want %v", got, err, want)
	}
}

func TestSections(t *testing.T) {
	for name, o := range orders {
		var other order = binary.BigEndian
		if name == "big" {
			other = binary.LittleEndian
		}
		head := slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0))
		tests := map[string]struct {
			file []byte
			want []shot
		}{
			"one packet": {slices.Concat(head, packetBlock(o, 0, 1_000_005, 60, "abcde")), []shot{{1_000_005_000, 1, "abcde", 60}}},
			"other blocks": {
				slices.Concat(head, block(o, 4, make([]byte, 80)), block(o, 5, make([]byte, 8)), block(o, 0xbad, make([]byte, 100_000)),
					packetBlock(o, 0, 1, 1, "a"), block(o, 10, make([]byte, 16)), packetBlock(o, 0, 2, 1, "b")),
				[]shot{{1000, 1, "a", 1}, {2000, 1, "b", 1}},
			},
			"obsolete packet": {slices.Concat(head, oldPacketBlock(o, 0, 3, 3, "abc")), []shot{{3000, 1, "abc", 3}}},
			"simple packet": {
				slices.Concat(head, packetBlock(o, 0, 9, 1, "x"), simpleBlock(o, 3, "abc")),
				[]shot{{9000, 1, "x", 1}, {9000, 1, "abc", 3}},
			},
			"simple packet snapped": {slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 2), simpleBlock(o, 300, "ab")), []shot{{0, 1, "ab", 300}}},
			"two interfaces": {slices.Concat(head, interfaceBlock(o, 113, 0, option(o, 2, []byte("eth1")), option(o, 9, []byte{9}), option(o, 0, nil)),
				packetBlock(o, 1, 5, 1, "a"), packetBlock(o, 0, 5, 1, "b")), []shot{{5, 113, "a", 1}, {5000, 1, "b", 1}}},
			"sections of both orders": {slices.Concat(head, packetBlock(o, 0, 1, 1, "a"), sectionBlock(other), interfaceBlock(other, 101, 0),
				packetBlock(other, 0, 2, 1, "b")), []shot{{1000, 1, "a", 1}, {2000, 101, "b", 1}}},
			"offset": {
				slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0, option(o, 14, o.AppendUint64(nil, 100))), packetBlock(o, 0, 1, 1, "a")),
				[]shot{{100_000_001_000, 1, "a", 1}},
			},
			"powers of two": {
				slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0, option(o, 9, []byte{0x80 | 10})), packetBlock(o, 0, 1024+512, 1, "a")),
				[]shot{{1_500_000_000, 1, "a", 1}},
			},
		}
		for test, tt := range tests {
			t.Run(name+"/"+test, func(t *testing.T) { compare(t, tt.file, tt.want) })
		}
	}
}

func TestInterfaceTime(t *testing.T) {
	tests := []struct {
		resol  uint8
		offset int64
		ts     uint64
		want   testudo.Time
	}{
		{6, 0, 1_700_000_000_000_001, 1_700_000_000_000_001_000},
		{0, 0, 1_700_000_000, 1_700_000_000_000_000_000},
		{9, 0, 7, 7},
		{3, 0, 7, 7_000_000},
		{12, 0, 7_999, 7},
		{28, 0, 1 << 63, 0},
		{29, 0, 1 << 63, 0},
		{127, 0, 1 << 63, 0},
		{6, 0, 1 << 63, 1<<63 - 1},
		{0, 0, 1 << 40, 1<<63 - 1},
		{0x80, 0, 3, 3e9},
		{0x80 | 32, 0, 3<<32 | 1<<31, 3_500_000_000},
		{0x80 | 63, 0, 1 << 63, 1e9},
		{0x80 | 64, 0, 1 << 63, 5e8},
		{0x80 | 127, 0, ^uint64(0), 0},
		{6, -1, 2_000_000, 1e9},
		{6, -3, 1_000_000, -2e9},
		{6, 1 << 62, 1 << 40, 1<<63 - 1},
		{6, -1 << 63, 0, -9223372036000000000},
	}
	for _, tt := range tests {
		i := iface{resol: tt.resol, offset: tt.offset}
		if got := i.time(tt.ts); got != tt.want {
			t.Errorf("resolution %#x offset %d: %d units are %d, want %d", tt.resol, tt.offset, tt.ts, got, tt.want)
		}
	}
}

// TestCut cuts captures at every byte: all whole frames before must come, and
// the error must say that the rest is missing.
func TestCut(t *testing.T) {
	o := binary.LittleEndian
	files := map[string]struct {
		file []byte
		ends []int // lengths at which it is whole
	}{}
	a := slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 1, 0, 3, 3, "abc"))
	b := slices.Concat(a, record(o, 2, 0, 5, 5, "abcde"))
	files["pcap"] = struct {
		file []byte
		ends []int
	}{b, []int{24, len(a), len(b)}}
	s := sectionBlock(o)
	c := slices.Concat(s, interfaceBlock(o, 1, 0))
	d := slices.Concat(c, packetBlock(o, 0, 1, 3, "abc"))
	e := slices.Concat(d, simpleBlock(o, 4, "abcd"))
	files["pcapng"] = struct {
		file []byte
		ends []int
	}{e, []int{len(s), len(c), len(d), len(e)}}
	for name, f := range files {
		for n := 12; n <= len(f.file); n++ {
			_, err := readAll(f.file[:n])
			if slices.Contains(f.ends, n) {
				if err != nil {
					t.Errorf("%s of %d bytes: %v", name, n, err)
				}
			} else if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut after %d bytes: got error %v", name, n, err)
			}
		}
	}
	_, err := readAll(b[:len(b)-1])
	wantPartial(t, err, 1, io.ErrUnexpectedEOF)
	if want := "capture test: read only in part, 1 frames in 43 bytes: unexpected EOF"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	z := gzipped(t, bytes.Repeat(b, 10))
	_, err = readAll(z[:len(z)-9])
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut gzip: got error %v", err)
	}
}

func TestDamage(t *testing.T) {
	o := binary.LittleEndian
	head := slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0), packetBlock(o, 0, 1, 1, "a"))
	trailer := packetBlock(o, 0, 1, 1, "a")
	trailer[len(trailer)-4]++
	long := packetBlock(o, 0, 1, 1, "a")
	o.PutUint32(long[20:], 200)
	tests := map[string]struct {
		file   []byte
		frames int64
		says   string
	}{
		"pcap frame too long":    {slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 1, 0, 1, 1, "a"), record(o, 1, 0, 0xffffffff, 0xffffffff, "a")), 1, "a frame of 4294967295 bytes"},
		"pcap version":           {slices.Concat([]byte{0xd4, 0xc3, 0xb2, 0xa1, 9}, make([]byte, 40)), 0, "version 9.0"},
		"block too long":         {slices.Concat(head, o.AppendUint32(o.AppendUint32(nil, 77), 0xfffffffc), make([]byte, 100)), 1, "type 0x4d has the length 4294967292"},
		"block too short":        {slices.Concat(head, o.AppendUint32(o.AppendUint32(nil, 77), 8)), 1, "has the length 8"},
		"block of odd length":    {slices.Concat(head, o.AppendUint32(o.AppendUint32(nil, 77), 13), make([]byte, 9)), 1, "has the length 13"},
		"lengths that differ":    {slices.Concat(head, trailer), 2, "at its end"},
		"packet longer":          {slices.Concat(head, long), 1, "packet of 200 bytes"},
		"no such interface":      {slices.Concat(head, packetBlock(o, 1, 1, 1, "a")), 1, "interface 1"},
		"no interface":           {slices.Concat(sectionBlock(o), simpleBlock(o, 1, "a")), 0, "before any interface"},
		"short interface":        {slices.Concat(head, block(o, blockInterface, make([]byte, 4))), 1, "length 16"},
		"short packet":           {slices.Concat(head, block(o, blockPacket, make([]byte, 8))), 1, "length 20"},
		"too many interfaces":    {slices.Concat(head, bytes.Repeat(interfaceBlock(o, 1, 0), maxInterfaces)), 1, "more than 65536"},
		"section without order":  {slices.Concat(head, []byte{10, 13, 13, 10, 28, 0, 0, 0}, make([]byte, 20)), 1, "without a byte order"},
		"section that is short":  {slices.Concat(head, []byte{10, 13, 13, 10, 16, 0, 0, 0}, o.AppendUint32(nil, orderMagic), make([]byte, 4)), 1, "length 16"},
		"section of new version": {slices.Concat(head, []byte{10, 13, 13, 10, 28, 0, 0, 0}, o.AppendUint32(nil, orderMagic), []byte{2, 0, 0, 0}, make([]byte, 12)), 1, "version 2.0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(tt.file)
			wantPartial(t, err, tt.frames, nil)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestNotCapture(t *testing.T) {
	for name, tt := range map[string]struct{ file, says string }{
		"empty": {"", "it is empty"}, "text": {"{\"ts\":1}\n", `text "{\"ts\":1}\n"`}, "zip": {"PK\x03\x04\x00\x00", "(zip)"}, "short": {"\xd4\xc3", "bytes d4 c3"},
		"gzip of text": {string(gzipped(t, []byte("hello"))), `text "hello"`},
	} {
		_, err := readAll([]byte(tt.file))
		if !errors.Is(err, ErrNotCapture) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got error %v", name, err)
		}
		if Sniff([]byte(tt.file)) {
			t.Errorf("%s: Sniff says it is a capture", name)
		}
	}
}

// TestBomb reads a gigabyte of nothing out of a small file.
func TestBomb(t *testing.T) {
	o := binary.LittleEndian
	var file bytes.Buffer
	file.Write(gzipped(t, slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0))))
	empty := gzipped(t, block(o, 99, make([]byte, maxBlock-12)))
	for range 64 {
		file.Write(empty)
	}
	r, err := New("bomb", &file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := drain(r); err != nil || len(got) != 0 {
		t.Errorf("got %d frames, %v", len(got), err)
	}
	if len(r.win.buf) > firstWindow {
		t.Errorf("the window grew to %d bytes", len(r.win.buf))
	}
}

func TestOpen(t *testing.T) {
	o := binary.LittleEndian
	file := slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 1, 0, 3, 3, "abc"))
	path := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := drain(in)
	if err != nil || len(got) != 1 || got[0].data != "abc" {
		t.Errorf("got %v, %v", got, err)
	}
	if r, n := in.Progress(); in.Name() != path || r != int64(len(file)) || n != r {
		t.Errorf("name %q, progress %d of %d", in.Name(), r, n)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if in, err = Open("-", bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if got, err := drain(in); err != nil || len(got) != 1 {
		t.Errorf("stdin: got %v, %v", got, err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got error %v for a file that is not there", err)
	}
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("a folder was opened as a capture")
	}
	if in, err = Open(path, nil); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := in.Next(new(source.Frame)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: got error %v", err)
	}
}

func TestMerge(t *testing.T) {
	o := binary.LittleEndian
	dir := t.TempDir()
	open := func(name string, file []byte) source.Frames {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	capture := func(name string, secs ...uint32) source.Frames {
		file := fileHead(o, magicMicro, 4, 1)
		for _, s := range secs {
			file = append(file, record(o, s, 0, 1, 1, name)...)
		}
		return open(name, file)
	}
	for _, empty := range []int{0, 16} { // the second makes inputs park
		inputs := []source.Frames{
			capture("a", 1, 4, 4), capture("b", 2, 4), capture("c"), capture("d", 9, 3),
			open("e", slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 2, 0, 1, 1, "e"), []byte("cut"))),
		}
		for range empty {
			inputs = append(inputs, capture("z"))
		}
		m := source.Merge(inputs...)
		got, err := drain(m)
		var line string
		for _, s := range got {
			line += s.data
		}
		if err != nil || line != "abeaabdd" {
			t.Errorf("merged to %q, %v", line, err)
		}
		if s := m.Skipped(); len(s) != 1 || !strings.HasSuffix(s[0].Input, "e") || !strings.Contains(s[0].Reason, "1 frames") {
			t.Errorf("skipped %v", s)
		}
		if r, n := m.Progress(); r != n {
			t.Errorf("progress %d of %d", r, n)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := source.Merge().Next(new(source.Frame)); err != io.EOF {
		t.Errorf("nothing merged: got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		f.Add(slices.Concat(fileHead(o, magicMicro, 4, 1), record(o, 1, 0, 3, 3, "abc")))
		f.Add(slices.Concat(fileHead(o, magicModified, 3, 1), record(o, 1, 0, 9, 3, "abcdefghijkl")))
		f.Add(slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0, option(o, 9, []byte{0x8a}), option(o, 14, o.AppendUint64(nil, 3))),
			packetBlock(o, 0, 1, 3, "abc"), simpleBlock(o, 3, "abc"), oldPacketBlock(o, 0, 1, 3, "abc"), block(o, 4, nil)))
	}
	f.Add(gzipped(f, fileHead(binary.LittleEndian, magicNano, 4, 1)))
	f.Add(zstandard(f, fileHead(binary.LittleEndian, magicNano, 4, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		Sniff(b)
		r, err := New("fuzz", bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.Close()
		var fr source.Frame
		for err = r.Next(&fr); err == nil; err = r.Next(&fr) {
			if len(fr.Data) > MaxFrame || fr.Length < len(fr.Data) {
				t.Fatalf("frame of %d bytes, %d on the wire", len(fr.Data), fr.Length)
			}
		}
		if len(r.win.buf) > 2*MaxFrame {
			t.Fatalf("window of %d bytes", len(r.win.buf))
		}
	})
}

func BenchmarkNext(b *testing.B) {
	o := binary.LittleEndian
	frame := strings.Repeat("x", 700)
	classicFile := fileHead(o, magicMicro, 4, 1)
	sections := slices.Concat(sectionBlock(o), interfaceBlock(o, 1, 0))
	for i := range uint32(10_000) {
		classicFile = append(classicFile, record(o, i, 0, 700, 700, frame)...)
		sections = append(sections, packetBlock(o, 0, uint64(i), 700, frame)...)
	}
	for name, file := range map[string][]byte{"pcap": classicFile, "pcapng": sections} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(file) / 10_000))
			in := bytes.NewReader(file)
			r, err := New("bench", in)
			var f source.Frame
			for i := 0; i < b.N; i++ {
				if err == nil {
					err = r.Next(&f)
				}
				if err == io.EOF {
					in.Reset(file)
					r, err = New("bench", in)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
