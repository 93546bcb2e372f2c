package misp

import (
	"bytes"
	"io"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/intel"
)

// The files of a feed that hold no indicator themselves: which events there
// are, and digests of their values. They are told apart from what does.
var (
	ManifestFormat = intel.Format{Name: "misp-manifest", Sniff: SniffManifest, Parse: parseManifest}
	HashesFormat   = intel.Format{Name: "misp-hashes", Sniff: SniffHashes, Parse: parseHashes}
)

// Entry is one event of a feed's manifest. Its file is its UUID and ".json".
type Entry struct {
	UUID      string
	Info      string
	Timestamp testudo.Time // of its last change
	Date      testudo.Time
	TLP       testudo.TLP
	Threats   []string
	Publisher string
}

// SniffManifest tells a manifest: an object of objects by UUID.
func SniffManifest(head []byte, _ string) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\uFEFF")), " \t\r\n{")
	return len(head) > 38 && head[0] == '"' && isUUID(string(head[1:37])) && head[37] == '"'
}

// maxEntries bounds the events of one manifest.
const maxEntries = 1 << 18

// Manifest reads a manifest.json and gives its events in the file's order.
func Manifest(r io.Reader, give func(Entry), skip intel.Skip) error {
	s := intel.NewStream(r)
	n := 0
	return s.Object(func(uuid string) error {
		var m struct {
			Info      string `json:"info"`
			Date      text   `json:"date"`
			Timestamp text   `json:"timestamp"`
			Tags      []tag  `json:"Tag"`
			Orgc      struct {
				Name string `json:"name"`
			} `json:"Orgc"`
		}
		if err := s.Decode(&m); err != nil {
			return err
		}
		if n++; n > maxEntries {
			return ErrTooMany
		}
		if !isUUID(uuid) {
			skip(s.Line(), "an entry that is not named by a UUID")
			return nil
		}
		var marks tags
		for _, t := range m.Tags {
			marks.add(t)
		}
		give(Entry{
			UUID: strings.ToLower(uuid), Info: intel.Note(m.Info), Publisher: intel.Note(m.Orgc.Name),
			Timestamp: intel.ParseTime(string(m.Timestamp)), Date: intel.ParseTime(string(m.Date)), TLP: marks.tlp, Threats: marks.threats,
		})
		return nil
	})
}

func parseManifest(_ string, r io.Reader, _ func(testudo.Indicator), skip intel.Skip) error {
	line := 0
	return Manifest(r, func(Entry) {
		line++
		skip(line, "an event that is named here and lies in a file of its own; import the feed's folder")
	}, skip)
}

// SniffHashes tells a hashes.csv by lines that are all an MD5 and a UUID.
func SniffHashes(head []byte, _ string) bool {
	lines := intel.HeadLines(head)
	for _, line := range lines {
		if _, _, ok := digest(line); !ok {
			return false
		}
	}
	return len(lines) > 0
}

// Hashes reads a hashes.csv: for each value of a feed the MD5 of its text and
// the UUID of its event. The values themselves are in the events.
func Hashes(r io.Reader, give func(md5, uuid string), skip intel.Skip) error {
	return intel.Lines(r, func(n int, line string) {
		if line = strings.TrimSpace(line); line == "" {
			return
		}
		md5, uuid, ok := digest(line)
		if !ok {
			skip(n, "a line that is not an MD5 and a UUID")
			return
		}
		give(md5, uuid)
	}, skip)
}

func parseHashes(_ string, r io.Reader, _ func(testudo.Indicator), skip intel.Skip) error {
	return intel.Lines(r, func(n int, line string) {
		if strings.TrimSpace(line) != "" {
			skip(n, "the digest of a value that is in an event; import the feed's folder")
		}
	}, skip)
}

func digest(line string) (md5, uuid string, ok bool) {
	md5, uuid, ok = strings.Cut(strings.ToLower(line), ",")
	return md5, uuid, ok && len(md5) == 32 && strings.Trim(md5, "0123456789abcdef") == "" && isUUID(uuid)
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && strings.IndexByte("0123456789abcdefABCDEF", s[i]) < 0 {
			return false
		}
	}
	return true
}
