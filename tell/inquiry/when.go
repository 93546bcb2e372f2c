package inquiry

import (
	"strconv"
	"strings"
	"time"

	"github.com/testudo-shield/testudo"
)

// forms are the ways to write a moment, each with how long it lasts as a
// period.
var forms = [...]struct {
	layout string
	lasts  time.Duration
}{
	{"2006-01-02", 24 * time.Hour},
	{"2006-01-02T15", time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02T15:04Z07:00", time.Minute},
	{time.RFC3339Nano, time.Second},
}

// moment reads a date or a time, in UTC where it does not say, and how long
// it lasts as a period.
func moment(s string) (t testudo.Time, lasts time.Duration, ok bool) {
	for _, f := range forms {
		if std, err := time.Parse(f.layout, s); err == nil && std.Year() > 1970 && std.Year() < 2200 {
			return testudo.TimeOf(std), f.lasts, true
		}
	}
	return 0, 0, false
}

// duration reads 90s, 10m, 1h30m, 7d, 2w.
func duration(s string) (time.Duration, bool) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, d >= 0
	}
	if s == "" {
		return 0, false
	}
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	n, err := strconv.ParseFloat(strings.TrimSpace(s[:len(s)-1]), 64)
	if err != nil || unit == 0 || !(n >= 0 && n < 10_000) {
		return 0, false
	}
	return time.Duration(n * float64(unit)), true
}

// seconds writes a duration as fields of time are compared.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
