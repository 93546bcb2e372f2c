package detector

import (
	"math"

	"github.com/testudo-shield/testudo"
)

// Verdict adds up what speaks for and against a claim. Most verdicts end in
// none, so words are only made where Telling is set: weigh once, and once more
// to tell.
type Verdict struct {
	Telling bool
	Reasons []testudo.Reason // with Telling set
	cents   int64
}

// Add adds an addend, told as Text does; one that prints as 0.00 is left out.
func (v *Verdict) Add(f testudo.Family, weight float64, format string, args ...any) {
	if math.Abs(weight) < 0.005 {
		return
	}
	text := ""
	if v.Telling {
		text = Text(format, args...)
	}
	v.Put(f, weight, text)
}

// Put adds an addend with its words; without Telling these are dropped.
func (v *Verdict) Put(f testudo.Family, weight float64, text string) {
	v.cents += int64(math.Round(weight * 100))
	if v.Telling {
		v.Reasons = append(v.Reasons, testudo.Reason{Family: f, Weight: weight, Text: text})
	}
}

// Logit returns the log-odds, what testudo.SumReasons gives for Reasons.
func (v Verdict) Logit() float64 { return float64(v.cents) / 100 }

// Evidence adds up what one family says, so that it makes one addend.
type Evidence struct {
	Weight  float64
	Text    string // with telling set, all that was said, joined by semicolons
	Said    bool   // whether anything was
	telling bool
}

// Evidence returns an empty one that tells if v does.
func (v *Verdict) Evidence() Evidence { return Evidence{telling: v.Telling} }

// Say adds to the weight, told as Text does.
func (e *Evidence) Say(weight float64, format string, args ...any) {
	e.Weight += weight
	e.Said = true
	if !e.telling {
		return
	}
	if e.Text != "" {
		e.Text += "; "
	}
	e.Text += Text(format, args...)
}
