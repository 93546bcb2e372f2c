package intel

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// MaxLine bounds a line of text, in bytes. A longer one is skipped whole.
const MaxLine = 64 << 10

// ErrUTF16 says that a text is in UTF-16, as some spreadsheets save it.
var ErrUTF16 = errors.New("the text is UTF-16; save it as UTF-8")

// Lines calls each for every line of r, counted from 1, without its end and
// without a byte order mark. A line of more than MaxLine is told to skip.
func Lines(r io.Reader, each func(n int, line string), skip Skip) error {
	b := bufio.NewReaderSize(r, MaxLine)
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = b.ReadSlice('\n')
			}
			skip(n, "a line longer than 64 KiB")
		} else if len(line) > 0 {
			text := string(line)
			if n == 1 {
				if text = strings.TrimPrefix(text, "\uFEFF"); isUTF16(text) {
					return ErrUTF16
				}
			}
			each(n, strings.TrimRight(text, "\r\n"))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isUTF16(s string) bool {
	return strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff")
}

// HeadLines returns the lines of a head that can be judged: without blanks
// around them and without empty ones; the last is left out where head may have
// been cut in it.
func HeadLines(head []byte) []string {
	text := strings.TrimPrefix(string(head), "\uFEFF")
	if len(head) >= Head {
		text = text[:strings.LastIndexByte(text, '\n')+1]
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
