package flow

// holders lists the streams that hold bytes, the one that began first at
// the head: when the budget is used up, it gives way.
type holders struct {
	eldest, youngest *stream
	squeezing        bool
}

func (s *Shard) hold(st *stream) {
	if st.held {
		return
	}
	l := &s.mem.holders
	st.held, st.elder, st.younger = true, l.youngest, nil
	if l.youngest != nil {
		l.youngest.younger = st
	} else {
		l.eldest = st
	}
	l.youngest = st
}

func (s *Shard) unhold(st *stream) {
	if !st.held {
		return
	}
	l := &s.mem.holders
	if st.elder != nil {
		st.elder.younger = st.younger
	} else {
		l.eldest = st.younger
	}
	if st.younger != nil {
		st.younger.elder = st.elder
	} else {
		l.youngest = st.elder
	}
	st.held, st.elder, st.younger = false, nil, nil
}

// squeeze makes the eldest holder but one give up its bytes. It returns
// false when there is none, or when one is already being made to.
func (s *Shard) squeeze(but *stream) bool {
	l := &s.mem.holders
	v := l.eldest
	if v == but && v != nil {
		v = v.younger
	}
	if v == nil || l.squeezing {
		return false
	}
	l.squeezing = true
	cur := s.dispatch.cur
	s.stats.Squeezes++
	for d := range v.half {
		s.plug(v, d)
	}
	if v.phase == phaseProbing {
		s.unclaimed(v)
	}
	for d := range v.half {
		if h := &v.half[d]; len(h.buf) > 0 && v.phase == phaseReading {
			s.gap(v, d, 0)
		}
		s.freeBuf(&v.half[d])
	}
	s.unhold(v)
	s.settle(v.conn)
	s.dispatch.cur = cur
	l.squeezing = false
	return true
}

// newBlock returns a block for st, squeezing others if it must; nil if that
// did not help.
func (s *Shard) newBlock(st *stream) *block {
	b := s.mem.block()
	for b == nil && s.squeeze(st) {
		b = s.mem.block()
	}
	if b != nil {
		s.hold(st)
	}
	return b
}

// keep appends data to what is kept of a direction; false over the budgets.
func (s *Shard) keep(st *stream, d int, data []byte) bool {
	h := &st.half[d]
	n := len(h.buf) + len(data)
	if n > s.cfg.FlowBytes {
		return false
	}
	if n > cap(h.buf) {
		b := s.mem.buf(n)
		for b == nil && s.squeeze(st) {
			b = s.mem.buf(n)
		}
		if b == nil {
			return false
		}
		b = append(b, h.buf...)
		s.freeBuf(h)
		h.buf = b
		s.hold(st)
	}
	h.buf = append(h.buf, data...)
	return true
}

func (s *Shard) freeBuf(h *half) {
	s.mem.free(h.buf)
	h.buf = nil
}
