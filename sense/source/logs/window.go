package logs

import "github.com/testudo-shield/testudo"

// Entry is a record with what puts it in order.
type Entry struct {
	// Record is nil where a line held nothing for us.
	Record testudo.Record
	// Written is when the other sensor knew it: the end of a conn, else the
	// record's time.
	Written testudo.Time
	// Key joins the entry with others of its format.
	Key string
	// Aside names what a line without a record held, where that is worth
	// counting.
	Aside string

	size int     // bytes of its line
	in   *origin // nil unless its file is followed
}

// origin is where an entry of a file that is followed comes from.
type origin struct {
	line
	with  []line // other lines that went into the record
	round int    // of the follower, in which it was read
}

// line is a place in a file that is followed.
type line struct {
	of     *generation
	offset int64
}

// Joined notes that what e says went into the record of into, so that a
// checkpoint counts both lines as read when that record is handed out.
func (e *Entry) Joined(into *Entry) {
	if e.in != nil && into.in != nil {
		into.in.with = append(append(into.in.with, e.in.line), e.in.with...)
	}
}

const (
	// window is how many records of a file are looked at ahead, to put them
	// in the order in which they were known: Zeek writes a conn when it
	// forgets it, and other programs sort its logs by the start.
	window    = 1024
	maxWeight = 1 << 20 // bytes of their lines, together
)

// ahead are the records of a file that were read and not handed out. Those
// that came in order stand in a run, the others in a heap.
type ahead struct {
	run    []Entry
	first  int    // of run that was not handed out
	late   []slot // a heap
	spare  []*Entry
	weight int
	number int // of the last entry
}

// slot is a place of the heap. What is moved and compared stays small.
type slot struct {
	at     testudo.Time // when the entry was written
	number int
	entry  *Entry
}

func (a *ahead) len() int { return len(a.run) - a.first + len(a.late) }

// full says that enough is read until some of it was given out.
func (a *ahead) full() bool { return a.len() >= window || a.weight >= maxWeight }

// next returns when the first entry was written; there must be one.
func (a *ahead) next() testudo.Time {
	if a.lateFirst() {
		return a.late[0].at
	}
	return a.run[a.first].Written
}

// lateFirst says that the next entry is one of the heap.
func (a *ahead) lateFirst() bool {
	return len(a.late) > 0 && (a.first == len(a.run) || a.late[0].at < a.run[a.first].Written)
}

func (a *ahead) push(e *Entry) {
	a.weight += e.size
	a.number++
	if a.first == len(a.run) {
		a.run, a.first = a.run[:0], 0
	}
	if n := len(a.run); n == 0 || a.run[n-1].Written <= e.Written {
		if n == cap(a.run) && a.first > n/2 {
			n = copy(a.run, a.run[a.first:])
			clear(a.run[n:])
			a.run, a.first = a.run[:n], 0
		}
		a.run = append(a.run, *e)
		return
	}
	var late *Entry
	if n := len(a.spare); n > 0 {
		late, a.spare = a.spare[n-1], a.spare[:n-1]
	} else {
		late = &Entry{}
	}
	*late = *e
	a.up(slot{e.Written, a.number, late})
}

// pop returns the first entry; there must be one.
func (a *ahead) pop() (e Entry) {
	if a.lateFirst() {
		late := a.late[0].entry
		a.down()
		e, *late = *late, Entry{}
		a.spare = append(a.spare, late)
	} else {
		e, a.run[a.first] = a.run[a.first], Entry{}
		a.first++
	}
	a.weight -= e.size
	return e
}

func (s *slot) before(t *slot) bool {
	return s.at < t.at || s.at == t.at && s.number < t.number
}

func (a *ahead) up(s slot) {
	a.late = append(a.late, s)
	i := len(a.late) - 1
	for ; i > 0; i = (i - 1) / 2 {
		parent := a.late[(i-1)/2]
		if !s.before(&parent) {
			break
		}
		a.late[i] = parent
	}
	a.late[i] = s
}

// down takes the first slot off the heap.
func (a *ahead) down() {
	n := len(a.late) - 1
	s := a.late[n]
	a.late[n] = slot{}
	a.late = a.late[:n]
	i := 0
	for child := 1; child < n; child = 2*i + 1 {
		if child+1 < n && a.late[child+1].before(&a.late[child]) {
			child++
		}
		if !a.late[child].before(&s) {
			break
		}
		a.late[i] = a.late[child]
		i = child
	}
	if n > 0 {
		a.late[i] = s
	}
}
