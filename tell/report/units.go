package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// grouped prints n with commas: 1,204,331.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	end := 0
	if n < 0 {
		end = 1
	}
	for i := len(s) - 3; i > end; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many prints a count with its noun: "1 host", "4,000 hosts", "18.4 M packets".
func many(n int64, one, more string) string {
	switch {
	case n == 1:
		return "1 " + one
	case n < 10_000_000:
		return grouped(n) + " " + more
	}
	return scaled(float64(n), " ") + " " + more
}

// size prints a number of bytes: 17 bytes, 3.1 MB. A kB is 1000 bytes.
func size(n int64) string {
	if n < 1000 {
		return many(n, "byte", "bytes")
	}
	return scaled(float64(n), " ") + "B"
}

// scaled prints f to two or three digits with its SI prefix.
func scaled(f float64, gap string) string {
	prefixes := [...]string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for ; f >= 999.5 && i < len(prefixes)-1; i++ {
		f /= 1000
	}
	if f < 99.95 {
		return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) + gap + prefixes[i]
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + gap + prefixes[i]
}

// lasted prints a duration as people say it, to its two largest units.
func lasted(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "no time"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Floor(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return two(int(d.Hours())/24, "days", int(d.Hours())%24, "h")
}

func two(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// between prints an interval of local time: the day once, the zone at the
// end, seconds where the interval is under an hour.
func between(a, b time.Time) string {
	const day, clock, second = "Mon 2 Jan 2006 ", "15:04", "15:04:05"
	form := clock
	if b.Sub(a) < time.Hour {
		form = second
	}
	from, to := a.Format(day+form), b.Format(form+" MST")
	switch ya, yb := a.Year(), b.Year(); {
	case ya != yb:
		to = b.Format(day + form + " MST")
	case a.YearDay() != b.YearDay():
		to = b.Format("Mon 2 Jan " + form + " MST")
	case a.Format(form) == b.Format(form):
		return b.Format(day + form + " MST")
	}
	if za, _ := a.Zone(); za != b.Format("MST") {
		from = a.Format(day + form + " MST")
	}
	return from + " to " + to
}

// confidence prints a probability with two digits, never as certain.
func confidence(p float64) string {
	switch {
	case math.IsNaN(p) || p < 0.01:
		return "<0.01"
	case p > 0.99:
		return ">0.99"
	}
	return strconv.FormatFloat(p, 'f', 2, 64)
}

// odds says what log-odds mean: "33 to 1 that it is real".
func odds(logit float64) string {
	side := "that it is real"
	if logit < 0 {
		side = "that it is innocent"
	}
	switch n := math.Exp(math.Abs(logit)); {
	case math.IsNaN(n):
		return "no odds"
	case n < 1.15:
		return "as likely real as innocent"
	case n < 9.5:
		return fmt.Sprintf("about %s to 1 %s", strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64), side)
	case n < 999.5:
		return fmt.Sprintf("about %d to 1 %s", int(math.Round(n)), side)
	}
	return "more than 1,000 to 1 " + side
}
