package engine

// sorter puts items in the order of time, then uid. What is equal, such as
// the records of one conversation at one moment, stays as it was written: by
// shard, then in the shard's order. It merges the runs that are in order
// already, as each shard's are nearly.
type sorter struct {
	ends []int // of the runs
	buf  []item
}

func (x *item) before(y *item) bool {
	return x.at < y.at || x.at == y.at && x.uid < y.uid
}

func (s *sorter) sort(items []item) {
	s.runs(items)
	if len(s.ends) <= 1 {
		return
	}
	if cap(s.buf) < len(items) {
		s.buf = make([]item, len(items), len(items)+len(items)/4)
	}
	from, to := items, s.buf[:len(items)]
	for len(s.ends) > 1 {
		start, n := 0, 0
		for i := 0; i < len(s.ends); i += 2 {
			mid, end := s.ends[i], s.ends[min(i+1, len(s.ends)-1)]
			merge(to[start:end], from[start:mid], from[mid:end])
			s.ends[n] = end
			start, n = end, n+1
		}
		s.ends = s.ends[:n]
		from, to = to, from
	}
	if &from[0] != &items[0] {
		copy(items, from)
	}
	clear(s.buf[:len(items)])
}

// runs notes where what is in order already ends. Short runs are made longer
// by hand.
func (s *sorter) runs(items []item) {
	const short = 12
	s.ends = s.ends[:0]
	for start := 0; start < len(items); {
		end := start + 1
		for ; end < len(items); end++ {
			if !items[end].before(&items[end-1]) {
				continue
			}
			if end-start >= short {
				break
			}
			it, k := items[end], end
			for ; k > start && it.before(&items[k-1]); k-- {
				items[k] = items[k-1]
			}
			items[k] = it
		}
		s.ends = append(s.ends, end)
		start = end
	}
}

// merge fills to with a and b, of equals those of a first.
func merge(to, a, b []item) {
	for len(a) > 0 && len(b) > 0 {
		if b[0].before(&a[0]) {
			to[0], b = b[0], b[1:]
		} else {
			to[0], a = a[0], a[1:]
		}
		to = to[1:]
	}
	copy(to[copy(to, a):], b)
}
