package intel

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A Stream walks through JSON of any length, holding one value at a time.
type Stream struct {
	dec *json.Decoder
	in  *meter
}

// MaxObject bounds a value that is held whole, in bytes; maxDepth how deep
// values that are passed over may be nested.
const (
	MaxObject = 8 << 20
	maxDepth  = 200
)

// ErrTooLarge says that a value is larger than MaxObject; ErrTooDeep that one
// is nested too deep.
var (
	ErrTooLarge = errors.New("a value larger than 8 MiB")
	ErrTooDeep  = errors.New("values nested deeper than 200")
)

// NewStream returns a Stream over r.
func NewStream(r io.Reader) *Stream {
	b := bufio.NewReader(r)
	if mark, _ := b.Peek(3); string(mark) == "\uFEFF" {
		_, _ = b.Discard(3)
	}
	in := &meter{r: b, left: MaxObject, line: 1}
	return &Stream{json.NewDecoder(in), in}
}

// Line returns the line that the walk has come to.
func (s *Stream) Line() int { return s.in.at(s.dec.InputOffset()) }

// Decode reads the next value into v. What in it is of another type than v
// wants is left as it is.
func (s *Stream) Decode(v any) error {
	s.in.left = MaxObject
	err := s.dec.Decode(v)
	if other := (*json.UnmarshalTypeError)(nil); errors.As(err, &other) {
		return nil
	}
	return s.wrap(err)
}

// Pass reads over the next value.
func (s *Stream) Pass() error {
	for depth := 0; ; {
		t, err := s.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return s.wrap(ErrTooDeep)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
	}
}

// Object calls each for every key of the object that comes next. Each must
// read the value, with Decode, Pass, Object or Array. What is no object is
// passed over.
func (s *Stream) Object(each func(key string) error) error {
	return s.inside('{', func() error { return s.field(each) })
}

func (s *Stream) field(each func(key string) error) error {
	t, err := s.token()
	if err != nil {
		return err
	}
	key, _ := t.(string)
	return each(key)
}

// Array calls each for every element of the array that comes next. Each must
// read the element. What is no array is passed over.
func (s *Stream) Array(each func() error) error { return s.inside('[', each) }

// Each calls element for every element if an array comes next, and field for
// every key if an object does. What is neither is passed over.
func (s *Stream) Each(element func() error, field func(key string) error) error {
	t, err := s.token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		return s.until(element)
	case json.Delim('{'):
		return s.until(func() error { return s.field(field) })
	}
	return nil
}

func (s *Stream) inside(open json.Delim, each func() error) error {
	t, err := s.token()
	if err != nil {
		return err
	}
	if t != open {
		return s.rest(t)
	}
	return s.until(each)
}

// until calls each until the array or object ends that was begun.
func (s *Stream) until(each func() error) error {
	s.in.left = MaxObject
	for s.dec.More() {
		if err := each(); err != nil {
			return err
		}
		s.in.left = MaxObject
	}
	_, err := s.token()
	return err
}

// rest reads over what remains of a value that t began.
func (s *Stream) rest(t json.Token) error {
	if t != json.Delim('{') && t != json.Delim('[') {
		return nil
	}
	return s.until(s.Pass)
}

func (s *Stream) token() (json.Token, error) {
	s.in.left = MaxObject
	t, err := s.dec.Token()
	return t, s.wrap(err)
}

func (s *Stream) wrap(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("line %d: %w", s.Line(), err)
}

// meter counts lines and stops a value that is too large: the decoder beneath
// reads on until it has a value whole.
type meter struct {
	r        io.Reader
	left     int
	read     int64
	line     int     // at the last offset asked for
	newlines []int64 // offsets behind it
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	for i, c := range p[:n] {
		if c == '\n' {
			m.newlines = append(m.newlines, m.read+int64(i))
		}
	}
	m.read += int64(n)
	return n, err
}

// at returns the line of an offset not before the last one asked for.
func (m *meter) at(offset int64) int {
	n := 0
	for n < len(m.newlines) && m.newlines[n] < offset {
		n++
	}
	m.line += n
	m.newlines = m.newlines[:copy(m.newlines, m.newlines[n:])]
	return m.line
}
