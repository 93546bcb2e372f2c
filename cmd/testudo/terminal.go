package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/tell/report"
)

// terminal makes foreign text safe to print.
func terminal(s string) string { return report.Clean(s) }

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widest is the widest useful line.
const widest = 100

// width is how many columns a page may take: those of the terminal, or
// $COLUMNS off one, at most 100. A terminal that says 0 does not know.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			if n <= 0 {
				return widest
			}
			return max(40, min(n, widest))
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 40 {
		return min(n, widest)
	}
	return widest
}

func colour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// meter shows progress on stderr.
type meter struct {
	w     io.Writer
	label string
	line  bool // rewrite one line
	off   bool
	start time.Time
	last  time.Time
	shown bool
}

// meter returns the display for --progress.
func (a *app) meter(how string, paths []string) (*meter, error) {
	m := &meter{w: a.stderr, start: time.Now(), label: paths[0]}
	if len(paths) > 1 {
		m.label = fmt.Sprintf("%d inputs", len(paths))
	}
	m.label = terminal(m.label)
	switch how {
	case "auto":
		m.line = true
		m.off = !isTerminal(a.stderr)
	case "plain":
	case "none":
		m.off = true
	default:
		return nil, exitError{exitUsage, fmt.Errorf("--progress %s: want auto, plain or none", how)}
	}
	return m, nil
}

// update shows how far the run is, from the second second on.
func (m *meter) update(p engine.Progress) {
	now := time.Now()
	every := 200 * time.Millisecond
	if !m.line {
		every = 2 * time.Second
	}
	if m.off || now.Sub(m.start) < time.Second || now.Sub(m.last) < every {
		return
	}
	m.last = now
	elapsed := now.Sub(m.start).Seconds()
	text := fmt.Sprintf("%s  %s packets  %s/s", m.label, count(float64(p.Frames)), count(float64(p.Frames)/elapsed))
	if p.Total > 0 {
		share := min(1, float64(p.Read)/float64(p.Total))
		bar := strings.Repeat("█", int(share*16)) + strings.Repeat("░", 16-int(share*16))
		if !m.line {
			bar = ""
		}
		left := time.Duration(elapsed * (1 - share) / max(share, 0.001) * float64(time.Second))
		text = fmt.Sprintf("%s  %s  %.0f %%  %s packets  %s/s  %s left", m.label, bar, 100*share,
			count(float64(p.Frames)), count(float64(p.Frames)/elapsed), left.Round(time.Second))
	}
	if p.Sightings > 0 {
		text += fmt.Sprintf("  %d sightings", p.Sightings)
	}
	if m.line {
		fmt.Fprintf(m.w, "\r\x1b[K%s", text)
		m.shown = true
		return
	}
	fmt.Fprintln(m.w, text)
}

// done takes the line away again.
func (m *meter) done() {
	if m.shown {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

func count(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", n/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.0f k", n/1e3)
	}
	return fmt.Sprintf("%.0f", n)
}

// counted is a small number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
