package state

import (
	"cmp"
	"database/sql"
	"slices"
	"time"

	"github.com/testudo-shield/testudo"
)

// Interval is a time from First until Last, which is not in it.
type Interval struct{ First, Last testudo.Time }

// Coverage is how much of a time one sensor recorded of one link.
type Coverage struct {
	Sensor, Link string
	Recorded     []Interval // in order, none touching the next
	Gaps         []Interval // likewise; together they are the time asked for
	Share        float64    // of the time that is recorded, 0 to 1; 1 of no time
	Packets      int64      // of the heartbeats that reach into the time
	Lost         []testudo.Shed
	Skew         time.Duration // the greatest, of either sign
}

// Coverage returns how much of the time from first to last was recorded, by
// sensor and link. A link that was watched before and not in that time is
// there too, as one gap.
func (s *State) Coverage(first, last testudo.Time) ([]Coverage, error) {
	beats, err := s.Heartbeats(first, last)
	if err != nil {
		return nil, err
	}
	links, err := s.links(last)
	if err != nil {
		return nil, err
	}
	for i := range links {
		c := &links[i]
		end, _ := slices.BinarySearchFunc(beats, c, func(h Heartbeat, c *Coverage) int {
			if cmp.Or(cmp.Compare(h.Sensor, c.Sensor), cmp.Compare(h.Link, c.Link)) <= 0 {
				return -1
			}
			return 1
		})
		c.cover(beats[:end], Interval{first, last})
		beats = beats[end:]
	}
	return links, nil
}

// links returns what was watched at any time before one.
func (s *State) links(before testudo.Time) (all []Coverage, err error) {
	// One step of the index a link, however many heartbeats it has.
	const next = "SELECT sensor, link FROM heartbeats WHERE (sensor, link) > (?, ?) ORDER BY sensor, link LIMIT 1"
	at := Coverage{}
	for {
		err := s.readers.QueryRow(next, at.Sensor, at.Link).Scan(&at.Sensor, &at.Link)
		if err == sql.ErrNoRows {
			return all, nil
		}
		var first testudo.Time
		if err == nil {
			err = s.readers.QueryRow("SELECT min(first) FROM heartbeats WHERE sensor = ? AND link = ?", at.Sensor, at.Link).Scan(&first)
		}
		if err != nil {
			return nil, s.fail("read heartbeats", err)
		}
		if first < before {
			all = append(all, at)
		}
	}
}

// cover sums one link's heartbeats, which come by time.
func (c *Coverage) cover(beats []Heartbeat, asked Interval) {
	lost := map[string]int64{}
	reached := asked.First
	for _, h := range beats {
		c.Packets += h.Packets
		if h.Skew.Abs() > c.Skew.Abs() {
			c.Skew = h.Skew
		}
		for _, l := range h.Lost {
			lost[l.Cause] += l.Count
		}
		from, to := max(h.First, reached), min(h.Last, asked.Last)
		if to <= from {
			continue
		}
		if from > reached {
			c.Gaps = append(c.Gaps, Interval{reached, from})
		}
		if n := len(c.Recorded); n > 0 && c.Recorded[n-1].Last == from {
			c.Recorded[n-1].Last = to
		} else {
			c.Recorded = append(c.Recorded, Interval{from, to})
		}
		reached = to
	}
	if reached < asked.Last {
		c.Gaps = append(c.Gaps, Interval{reached, asked.Last})
	}
	for cause, n := range lost {
		c.Lost = append(c.Lost, testudo.Shed{Cause: cause, Count: n})
	}
	slices.SortFunc(c.Lost, func(a, b testudo.Shed) int { return cmp.Compare(a.Cause, b.Cause) })
	c.Share = share(c.Recorded, asked)
}

func share(recorded []Interval, asked Interval) float64 {
	if asked.Last <= asked.First {
		return 1
	}
	var sum testudo.Time
	for _, r := range recorded {
		sum += r.Last - r.First
	}
	return float64(sum) / float64(asked.Last-asked.First)
}
