package exfil

import (
	"fmt"
	"math"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/judge/detector"
)

// evidence adds up what one family says, so that it makes one addend.
type evidence struct {
	weight float64
	text   string
}

func (e *evidence) note(w float64, format string, args ...any) {
	e.weight += w
	if e.text != "" {
		e.text += "; "
	}
	e.text += fmt.Sprintf(format, args...)
}

func (e evidence) addTo(v *detector.Verdict, f testudo.Family, limit float64) {
	v.Add(f, detector.Cap(e.weight, limit), "%s", e.text)
}

// weighRarity says what it means that a destination is new: much after a long
// watch, nothing in a short one; and that others or habit vouch for it. That
// nobody else uses it counts the more the more hosts there are, up to alone.
func weighRarity(v *detector.Verdict, c *testudo.Context, now testudo.Time, alone float64) {
	began := now.Add(-c.Known)
	switch {
	case c.Known >= longWatch && c.PeerSince.Sub(began) >= longWatch:
		v.Add(testudo.Rarity, 2, "used for the first time after %.0f days of watching", max(1, c.PeerSince.Sub(began).Hours()/24))
	case now.Sub(c.HostSince) >= 2*longWatch:
		v.Add(testudo.Rarity, -1.5, "used by this host for %.0f days", now.Sub(c.HostSince).Hours()/24)
	}
	if c.PeerHosts >= 2 {
		v.Add(testudo.Company, -min(3, 1.2*math.Log2(float64(c.PeerHosts))), "%d hosts here use it", c.PeerHosts)
	} else if c.HostsSeen >= 8 {
		v.Add(testudo.Company, min(alone, 0.35*math.Log2(float64(c.HostsSeen)/3)), "no other of %d hosts here uses it", c.HostsSeen)
	}
}

func bytes(n int64) detector.Amount {
	return detector.Amount{In: func(x float64) string { return size(int64(x)) }, Of: float64(n)}
}

func size(n int64) string {
	switch {
	case n < 10000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.0f KB", float64(n)/1000)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

func lasting(d time.Duration) detector.Amount {
	return detector.Amount{In: func(x float64) string { return span(time.Duration(x)) }, Of: float64(d)}
}

func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
