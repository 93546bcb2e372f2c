// Package warninglist reads MISP's warning lists: values that are well known,
// shared or benign.
package warninglist

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/testudo-shield/testudo/judge/intel"
)

// Format is what this folder reads. It holds no indicators.
var Format = intel.Format{Name: "misp-warninglist", Sniff: Sniff, Warnings: Parse}

// Sniff tells a list by the fields that only it has.
func Sniff(head []byte, _ string) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\uFEFF")))
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	has := func(key string) bool { return bytes.Contains(head, []byte(key)) }
	return has(`"matching_attributes"`) || bytes.HasPrefix(head, []byte(`{"list":[`)) || has(`"list"`) && has(`"description"`) && !has(`"Event"`) && !has(`"objects"`)
}

// maxEntries bounds the values of one list.
const maxEntries = 4 << 20

// ErrTooMany says that a list holds more than is read.
var ErrTooMany = errors.New("more than 4,194,304 values in one warning list")

// Parse reads one list and gives it if it has a type. The source is its name
// if it has none.
func Parse(source string, r io.Reader, give func(intel.WarningList), skip intel.Skip) error {
	list := intel.WarningList{}
	s := intel.NewStream(r)
	err := s.Object(func(key string) error {
		switch key {
		case "name":
			return s.Decode(&list.Name)
		case "description":
			return s.Decode(&list.Description)
		case "type":
			return s.Decode(&list.Type)
		case "list":
			return s.Array(func() error {
				value := ""
				if err := s.Decode(&value); err != nil {
					return err
				}
				switch {
				case value == "":
					skip(s.Line(), "an empty value")
				case len(list.Values) == maxEntries:
					return ErrTooMany
				default:
					list.Values = append(list.Values, value)
				}
				return nil
			})
		}
		return s.Pass()
	})
	if err != nil {
		return err
	}
	switch list.Type {
	case "cidr", "hostname", "string", "substring", "regex":
	default:
		return fmt.Errorf("warning list %s: its type %s is none of cidr, hostname, string, substring, regex", source, intel.Word(list.Type))
	}
	list.Description = intel.Note(list.Description)
	if list.Name = intel.Note(list.Name); list.Name == "" {
		list.Name = source
	}
	give(list)
	return nil
}
