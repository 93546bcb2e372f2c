package shield

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/judge/annotate"
	"github.com/testudo-shield/testudo/judge/incident"
	"github.com/testudo-shield/testudo/keep/state"
)

const (
	beatEvery   = time.Minute
	upkeepEvery = 5 * time.Minute
)

// living is what a watch does for its memory, beside the judging, which never
// waits for it.
type living struct {
	memory *Memory
	*recorder
	links  []string
	sensor string
	views  chan []testudo.Incident // the latest, to be remembered
	stop   context.CancelFunc
	wait   sync.WaitGroup

	// Of the goroutine that judges.
	beaten   testudo.Time // until when heartbeats were given
	packets  int64
	dropped  int64
	unread   int64
	beats    chan []state.Heartbeat
	looked   time.Time // when the allow list was read
	revision int64     // of it
	allow    *state.Allowances
}

// live begins to remember what a watch sees.
func (m *Memory) live(links []string, event func(string)) *living {
	sensor, err := os.Hostname()
	if err != nil || sensor == "" {
		sensor = "sensor"
	}
	began := m.Now()
	ctx, stop := context.WithCancel(context.Background())
	l := &living{
		memory: m, links: links, sensor: sensor, stop: stop,
		recorder: m.record(fmt.Sprintf("%s@%d", sensor, began), true, event),
		views:    make(chan []testudo.Incident, 1), beats: make(chan []state.Heartbeat, 16),
	}
	l.wait.Go(func() { l.work(ctx) })
	return l
}

// look takes what a watch knows now: its incidents without what is allowed,
// and what was watched since the last look.
func (l *living) look(v *engine.View) {
	l.filter(v)
	select {
	case <-l.views: // nobody has come to it; the new one says more
	default:
	}
	select {
	case l.views <- v.Incidents:
	default:
	}
	l.beat(&v.Summary, false)
}

// beat gives the heartbeats of the minutes since the last.
func (l *living) beat(s *testudo.Summary, last bool) {
	now := l.memory.Now()
	if l.beaten == 0 {
		l.beaten, l.packets, l.dropped, l.unread = now, s.Packets, s.Dropped, s.Unread
		return
	}
	if now.Sub(l.beaten) < beatEvery && !last || now <= l.beaten {
		return
	}
	var list []state.Heartbeat
	for _, link := range l.links {
		b := state.Heartbeat{Sensor: l.sensor, Link: link, First: l.beaten, Last: now}
		if len(l.links) == 1 {
			b.Packets = s.Packets - l.packets
		}
		// Of several links nobody knows which one lost them.
		if n := s.Dropped - l.dropped; n > 0 {
			b.Lost = append(b.Lost, testudo.Shed{Cause: "lost by the kernel", Count: n})
		}
		if n := s.Unread - l.unread; n > 0 {
			b.Lost = append(b.Lost, testudo.Shed{Cause: "left out under load", Count: n})
		}
		list = append(list, b)
	}
	select {
	case l.beats <- list:
		l.beaten, l.packets, l.dropped, l.unread = now, s.Packets, s.Dropped, s.Unread
	default: // the disk is behind: the next one says it all
	}
}

// filter takes out of a view what the allow list covers.
func (l *living) filter(v *engine.View) {
	now := time.Now()
	if now.Sub(l.looked) >= 10*time.Second {
		l.looked = now
		if rev, err := l.memory.State.Revision("allowances"); err == nil && (rev != l.revision || l.allow == nil) {
			if allow, err := l.memory.State.Allowances(l.memory.Now(), state.Allow); err == nil {
				l.allow, l.revision = allow, rev
			}
		}
	}
	if l.allow == nil {
		return
	}
	names := map[netip.Addr]string{}
	for i := range v.Incidents {
		for _, c := range v.Incidents[i].Victims {
			names[c.Address] = c.Name
		}
	}
	nameOf := func(a netip.Addr) string { return names[a] }
	b := incident.New(incident.Config{Sightings: maxRemembered, NameOf: nameOf, DomainOf: annotate.RegisteredDomain})
	covered := false
	for i := range v.Incidents {
		for _, s := range v.Incidents[i].Sightings {
			if _, ok := l.allow.Covers(&s, nameOf, l.memory.Now()); ok {
				covered = true
				continue
			}
			b.Add(s)
		}
	}
	if !covered {
		return
	}
	v.Incidents = b.Incidents()
	clear(v.Summary.BySeverity[:])
	for i := range v.Incidents {
		v.Summary.BySeverity[v.Incidents[i].Severity]++
	}
}

// work writes to the state, one thing after the other.
func (l *living) work(ctx context.Context) {
	upkeep := time.NewTicker(upkeepEvery)
	defer upkeep.Stop()
	told := uint64(0)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case list := <-l.beats:
			err = l.memory.State.Beat(list)
		case found := <-l.views:
			if sum := sumOf(found); sum != told {
				if _, _, err = l.memory.tell(found); err == nil {
					told = sum
				}
			}
		case <-upkeep.C:
			_, err = l.memory.Upkeep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			l.event("memory: " + err.Error())
		}
	}
}

// sumOf tells whether incidents are the same as before.
func sumOf(found []testudo.Incident) uint64 {
	h := fnv.New64a()
	for i := range found {
		fmt.Fprintln(h, found[i].ID, found[i].Last, found[i].Score, len(found[i].Sightings))
	}
	return h.Sum64()
}

// end remembers the last of it. What could not be remembered is added to the
// summary.
func (l *living) end(v *engine.View) error {
	l.stop()
	l.wait.Wait()
	l.filter(v)
	l.beat(&v.Summary, true)
	lost, err := l.close(context.Background())
	if lost > 0 {
		v.Summary.Shed = append(v.Summary.Shed, testudo.Shed{Cause: "records not remembered", Count: lost})
	}
	for {
		select {
		case list := <-l.beats:
			err = errors.Join(err, l.memory.State.Beat(list))
			continue
		default:
		}
		break
	}
	_, _, told := l.memory.tell(v.Incidents)
	return errors.Join(err, told)
}
