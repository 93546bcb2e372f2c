package shield

import (
	"context"
	"errors"
	"net/netip"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/state"
)

// Upkeep brings the history into order and removes what is past its time, but
// for what open incidents rest on. It is to be called after a run and every
// few minutes within a long one; it may be cut off by ctx at any time.
func (m *Memory) Upkeep(ctx context.Context) (history.Report, error) {
	p := m.Keep
	var err error
	if p.Hold, err = m.hold(); err != nil {
		return history.Report{}, err
	}
	return m.History.Maintain(ctx, m.Now(), p)
}

// hold is what open incidents rest on: the conns that show their sightings,
// and the traffic of their servers at that time, or of their victims where no
// server is known. Of floods and scans it is the conns alone: their traffic is
// what fills disks.
func (m *Memory) hold() (h history.Hold, err error) {
	open, err := m.State.List(state.Filter{States: []state.Life{state.New, state.Confirmed, state.Contained}})
	if err != nil {
		return h, err
	}
	for i := range open {
		if k := open[i].Kind; k != testudo.Flood && k != testudo.Scan {
			h.Spans = append(h.Spans, spans(&open[i].Incident)...)
		}
		full, err := m.State.Get(open[i].ID)
		if err != nil {
			return h, err
		}
		for j := range full.Sightings {
			h.UIDs = append(h.UIDs, full.Sightings[j].UIDs...)
		}
	}
	return h, nil
}

// spans is the traffic that an incident is about.
func spans(in *testudo.Incident) (list []history.Span) {
	add := func(a netip.Addr) {
		if a.IsValid() {
			list = append(list, history.Span{Address: a, From: in.First, To: in.Last + 1})
		}
	}
	for i := range in.Servers {
		add(in.Servers[i].Address)
	}
	if len(list) == 0 {
		for _, v := range in.Victims {
			add(v.Address)
		}
	}
	return list
}

// A Keeping says what is remembered.
type Keeping struct {
	history.Report
	Coverage testudo.Coverage // of all the time there is anything of
	Inputs   int              // captures and logs that were read
	Open     int              // incidents that are not closed, whose traffic is held
	Closed   int
}

// Tell says what is remembered, without changing anything of it.
func (m *Memory) Tell(ctx context.Context) (k Keeping, err error) {
	s, ok := m.History.(interface {
		Sum(context.Context) (history.Report, error)
	})
	if !ok {
		return k, errors.New("this history cannot say what it holds")
	}
	if k.Report, err = s.Sum(ctx); err != nil {
		return k, err
	}
	if k.Coverage, err = m.Coverage(0, 0); err != nil {
		return k, err
	}
	inputs, err := m.State.Inputs()
	if err != nil {
		return k, err
	}
	k.Inputs = len(inputs)
	incidents, err := m.State.List(state.Filter{})
	for i := range incidents {
		if incidents[i].State == state.Closed {
			k.Closed++
		} else {
			k.Open++
		}
	}
	return k, err
}
