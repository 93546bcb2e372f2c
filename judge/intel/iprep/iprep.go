// Package iprep reads Suricata's IP reputation: lists of address, category
// and score, and the file that names the categories.
package iprep

import (
	"io"
	"strconv"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// Format reads lists, CategoryFormat the files of categories, which hold no
// indicator but are told apart from what does.
var (
	Format         = intel.Format{Name: "suricata-iprep", Sniff: Sniff, Parse: Parse}
	CategoryFormat = intel.Format{Name: "suricata-iprep-categories", Sniff: SniffCategories, Parse: parseCategories}
)

// Sniff tells a list by lines that are all an address, a category and a score.
func Sniff(head []byte, _ string) bool {
	return all(head, func(line string) bool {
		_, _, why := entry(line)
		return why == "" || why == nothingKnown
	})
}

// SniffCategories tells a file of categories by lines that are all a number,
// a short name and a description.
func SniffCategories(head []byte, _ string) bool {
	return all(head, func(line string) bool {
		_, _, ok := category(line)
		return ok
	})
}

func all(head []byte, fits func(line string) bool) bool {
	n := 0
	for _, line := range intel.HeadLines(head) {
		if line[0] == '#' {
			continue
		}
		if !fits(line) {
			return false
		}
		n++
	}
	return n > 0
}

// Parse gives the addresses of a list, with the number of their category in
// the note.
func Parse(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
	return Named(nil)(source, r, give, skip)
}

// Named returns a parser of lists whose categories have names. A score of 1
// to 127 becomes confidence; one of 0 says that nothing is known.
func Named(categories map[int]string) intel.Parser {
	return func(source string, r io.Reader, give func(testudo.Indicator), skip intel.Skip) error {
		return intel.Lines(r, func(n int, line string) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				return
			}
			in, number, why := entry(line)
			if why != "" {
				skip(n, why)
				return
			}
			in.Source = source
			in.Note = "category " + strconv.Itoa(number)
			if name, ok := categories[number]; ok {
				in.Note = intel.Note(name)
			}
			give(in)
		}, skip)
	}
}

const nothingKnown = "a score of 0: nothing is known of the address"

// entry reads a line of a list.
func entry(line string) (in testudo.Indicator, number int, why string) {
	cells := strings.Split(line, ",")
	if len(cells) != 3 {
		return in, 0, "a line that is not address, category and score"
	}
	number, err := strconv.Atoi(strings.TrimSpace(cells[1]))
	if err != nil || number < 1 || number > 60 {
		return in, 0, "a category that is no number from 1 to 60"
	}
	score, err := strconv.Atoi(strings.TrimSpace(cells[2]))
	if err != nil || score < 0 || score > 127 {
		return in, 0, "a score that is no number from 0 to 127"
	}
	in, ok := intel.Typed("", testudo.AddressIndicator, cells[0])
	if !ok || in.Type != testudo.AddressIndicator && in.Type != testudo.PrefixIndicator {
		return in, 0, "no address"
	}
	if score == 0 {
		return in, 0, nothingKnown
	}
	in.Confidence = score * 100 / 127
	return in, number, ""
}

// Categories reads a file of categories: their names by number.
func Categories(r io.Reader, skip intel.Skip) (map[int]string, error) {
	names := map[int]string{}
	err := intel.Lines(r, func(n int, line string) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			return
		}
		number, name, ok := category(line)
		if !ok {
			skip(n, "a line that is not number, name and description")
			return
		}
		names[number] = name
	}, skip)
	return names, err
}

func category(line string) (number int, name string, ok bool) {
	cells := strings.SplitN(line, ",", 3)
	if len(cells) < 2 {
		return 0, "", false
	}
	number, err := strconv.Atoi(strings.TrimSpace(cells[0]))
	if err != nil || number < 1 || number > 60 {
		return 0, "", false
	}
	name = strings.TrimSpace(cells[1])
	if len(cells) == 3 && strings.TrimSpace(cells[2]) != "" {
		name += ": " + strings.TrimSpace(cells[2])
	}
	_, err = strconv.Atoi(strings.TrimSpace(cells[1]))
	return number, intel.Note(name), err != nil
}

func parseCategories(_ string, r io.Reader, _ func(testudo.Indicator), skip intel.Skip) error {
	return intel.Lines(r, func(n int, line string) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			skip(n, "the name of a category, used with the reputation list beside it")
		}
	}, skip)
}
