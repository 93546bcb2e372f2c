package inquiry

import (
	"fmt"
	"io"

	"github.com/testudo-shield/testudo"
)

// Keeping is what is remembered.
type Keeping struct {
	Place          string       // where
	Oldest, Newest testudo.Time // of the traffic of the records, 0 where there are none
	Records, Files int64
	Bytes          int64
	Inputs         int // captures and logs that were read
	Open, Closed   int // incidents
	Damaged        []string
	Policy         string // how long records are kept, in words
	Coverage       testudo.Coverage
}

// Text writes it for people.
func (k *Keeping) Text(w io.Writer, o TextOptions) error {
	p := newPage(o)
	p.head("Remembered in " + k.Place)
	p.row("records", fmt.Sprintf("%s in %s, %s", grouped(k.Records), many(k.Files, "file", "files"), size(k.Bytes)))
	if k.Oldest != 0 {
		p.row("oldest", p.when(k.Oldest))
		p.row("newest", p.when(k.Newest))
	}
	p.row("kept", k.Policy)
	p.row("read", many(int64(k.Inputs), "capture or log", "captures and logs"))
	p.row("incidents", fmt.Sprintf("%s open, %s closed", grouped(int64(k.Open)), grouped(int64(k.Closed))))
	p.row("coverage", Words(k.Coverage, p.zone))
	for i := range k.Coverage.Links {
		l := &k.Coverage.Links[i]
		one := k.Coverage
		one.Links = k.Coverage.Links[i : i+1]
		p.row("", l.Sensor+" "+l.Name+": "+percent(Share(one)))
	}
	p.rows("damaged", k.Damaged)
	return p.to(w)
}

// size tells bytes in the unit a person would.
func size(n int64) string {
	switch {
	case n >= 10e9:
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f KB", float64(n+999)/1e3)
}

// JSON writes it as one line ("history").
func (k *Keeping) JSON(w io.Writer) error {
	if k.Damaged == nil {
		k.Damaged = []string{}
	}
	return writeLine(w, struct {
		Type      string        `json:"type"`
		Schema    int           `json:"schema"`
		Place     string        `json:"place"`
		Records   int64         `json:"records"`
		Files     int64         `json:"files"`
		Bytes     int64         `json:"bytes"`
		Oldest    *testudo.Time `json:"oldest,omitempty"`
		Newest    *testudo.Time `json:"newest,omitempty"`
		Inputs    int           `json:"inputs"`
		Open      int           `json:"incidents_open"`
		Closed    int           `json:"incidents_closed"`
		Damaged   []string      `json:"damaged"`
		Retention string        `json:"retention"`
		Coverage  coverageJSON  `json:"coverage"`
	}{
		"history", schema, k.Place, k.Records, k.Files, k.Bytes, optional(k.Oldest), optional(k.Newest), k.Inputs,
		k.Open, k.Closed, k.Damaged, k.Policy, newCoverageJSON(k.Coverage),
	})
}
