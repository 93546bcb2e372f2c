package state

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/state/body"
)

// one stores one told incident, which carries on the stored ones given, the
// first of them being the one that lasts.
func (t *telling) one(inc *testudo.Incident, stored []string) (told Told, err error) {
	told.As = inc.ID
	if len(stored) > 0 {
		told.ID, told.Merged = stored[0], stored[1:]
		return told, t.carry(inc, &told)
	}
	told.New, told.Changed, told.State = true, true, New
	if told.ID, err = t.freeID(inc.ID); err != nil {
		return told, err
	}
	if err := t.insert(inc, told.ID); err != nil {
		return told, err
	}
	if _, err := t.keepAll(inc, told.ID); err != nil {
		return told, err
	}
	if told.ID != told.As {
		err = t.alias(told.As, told.ID)
	}
	return told, err
}

// before is the stored incident as it was.
type before struct {
	state      Life
	severity   testudo.Severity
	closedLast testudo.Time
	counting   int // sightings that count
	told       []byte
}

// carry stores an incident that was known.
func (t *telling) carry(inc *testudo.Incident, told *Told) error {
	var was before
	err := t.tx.QueryRow(`SELECT state, severity, closed_last, (SELECT count(*) FROM sightings WHERE incident = id AND aside = 0),
		`+toldColumns+` FROM incidents WHERE id = ?`, told.ID).Scan(&was.state, &was.severity, &was.closedLast, &was.counting, &was.told)
	if err != nil {
		return err
	}
	told.State = was.state
	joined, err := t.merge(told, &was)
	if err != nil {
		return err
	}
	news, err := t.keepAll(inc, told.ID, told.Merged...)
	if err != nil {
		return err
	}
	if told.As != told.ID {
		if err := t.alias(told.As, told.ID); err != nil {
			return err
		}
	}
	if news.none() && !t.again && len(told.Merged) == 0 && len(inc.Sightings) < was.counting {
		return nil
	}
	if told.Changed, err = t.update(inc, told.ID, &was); err != nil {
		return err
	}
	return t.reopen(inc, told, &was, news, joined)
}

// toldColumns is all that Tell sets of an incident, as one value to compare.
const toldColumns = "cast(concat_ws(char(0), kind, severity, urgency, first, last, format, body) AS BLOB)"

// news is what the sightings of a told incident bring.
type news struct {
	fresh   int    // that no incident of its past had
	first   string // the title of the first such
	back    int    // that were set aside and count again
	changed int    // that say something new
}

func (n news) none() bool { return n.fresh+n.back+n.changed == 0 }

// keepAll stores the sightings and makes them the incident's.
func (t *telling) keepAll(inc *testudo.Incident, id string, merged ...string) (n news, err error) {
	lost := map[string]int{}
	for i := range inc.Sightings {
		s := &inc.Sightings[i]
		was, err := t.keep(s)
		if err != nil {
			return n, err
		}
		if was.changed {
			n.changed++
		}
		switch was.incident {
		case id:
			if !was.aside {
				continue
			}
			n.back++
		default:
			if n.fresh == 0 {
				n.first = s.Title
			}
			n.fresh++
			if was.incident != "" && !slices.Contains(merged, was.incident) {
				lost[was.incident]++
			}
		}
		if _, err := t.belong.Exec(id, s.Detector, s.Key); err != nil {
			return n, err
		}
	}
	return n, t.recordSplit(id, lost)
}

// recordSplit notes on both sides that sightings went from one incident to
// another.
func (t *telling) recordSplit(id string, lost map[string]int) error {
	from := make([]string, 0, len(lost))
	for f := range lost {
		from = append(from, f)
	}
	slices.Sort(from)
	for _, f := range from {
		why := fmt.Sprintf("%d of its sightings tell another story now: %s", lost[f], t.why)
		for _, of := range []string{f, id} {
			if err := record(t.tx, of, Change{t.now, "split", f, id, why, t.who}); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge makes the others part of the lasting incident, with their notes and
// the rows of their lives. It returns which of them were open.
func (t *telling) merge(told *Told, was *before) (open string, err error) {
	for _, other := range told.Merged {
		var state Life
		var closedLast testudo.Time
		if err := t.tx.QueryRow("SELECT state, closed_last FROM incidents WHERE id = ?", other).Scan(&state, &closedLast); err != nil {
			return "", err
		}
		if state != Closed && open == "" {
			open = other
		}
		was.closedLast = max(was.closedLast, closedLast)
		if err := t.absorb(told.ID, other); err != nil {
			return "", err
		}
	}
	return open, nil
}

func (t *telling) absorb(id, other string) error {
	for _, query := range []string{
		"UPDATE sightings SET incident = ?1 WHERE incident = ?2",
		"UPDATE changes SET incident = ?1 WHERE incident = ?2",
		"UPDATE notes SET incident = ?1 WHERE incident = ?2",
		"UPDATE aliases SET incident = ?1 WHERE incident = ?2",
		"UPDATE blocks SET incident = ?1 WHERE incident = ?2",
		"DELETE FROM parties WHERE ?1 <> '' AND incident = ?2",
		"DELETE FROM incidents WHERE ?1 <> '' AND id = ?2",
		"INSERT INTO aliases (alias, incident) VALUES (?2, ?1)",
	} {
		if _, err := t.tx.Exec(query, id, other); err != nil {
			return err
		}
	}
	return record(t.tx, id, Change{t.now, "merged", other, id, "they share evidence: " + t.why, t.who})
}

// nothingCounts begins the reason of a closing that Retell made.
const nothingCounts = "nothing of it counts any more: "

// closedByPerson tells whether somebody closed an incident, rather than that
// all of it was set aside.
func (t *telling) closedByPerson(id string) (bool, error) {
	var why string
	err := t.tx.QueryRow("SELECT why FROM changes WHERE incident = ? AND what = 'state' AND became = ? ORDER BY id DESC LIMIT 1", id, Closed).Scan(&why)
	return !strings.HasPrefix(why, nothingCounts), err
}

// reopen opens a closed incident again where there is reason to.
func (t *telling) reopen(inc *testudo.Incident, told *Told, was *before, n news, joined string) error {
	if was.state != Closed {
		return nil
	}
	switch {
	case joined != "":
		told.Reopened = "it is one story with " + joined + ", which was open"
	case n.fresh > 0:
		told.Reopened = fmt.Sprintf("%d new: %s", n.fresh, n.first)
	case n.back > 0:
		if byPerson, err := t.closedByPerson(told.ID); err != nil || byPerson {
			return err
		}
		told.Reopened = fmt.Sprintf("%d of its sightings count again", n.back)
	case inc.Last > was.closedLast:
		told.Reopened = "it went on until " + inc.Last.String()
	default:
		return nil
	}
	told.State = New
	return move(t.tx, t.now, told.ID, New, t.who, told.Reopened)
}

const idLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// freeID returns the ID for an incident that is new: its own, where it is
// not another's. An alias of that name, left by a merge, gives way.
func (t *telling) freeID(want string) (string, error) {
	for id, n := want, 0; ; n++ {
		var found int
		err := t.tx.QueryRow("SELECT 1 FROM incidents WHERE id = ?", id).Scan(&found)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = t.tx.Exec("DELETE FROM aliases WHERE alias = ?", id)
			return id, err
		}
		if err != nil {
			return "", err
		}
		id = nextID(want, n)
	}
}

// nextID derives another ID of the same form.
func nextID(id string, n int) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", id, n)
	x := h.Sum64()
	var out strings.Builder
	out.WriteString("INC-")
	for range 12 {
		out.WriteByte(idLetters[x&31])
		x >>= 5
	}
	return out.String()
}

// alias notes that an incident was once told under another ID, unless that
// ID already stands for something.
func (t *telling) alias(alias, id string) error {
	_, err := t.tx.Exec("INSERT INTO aliases (alias, incident) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM incidents WHERE id = ?1) ON CONFLICT DO NOTHING", alias, id)
	return err
}

func (t *telling) insert(inc *testudo.Incident, id string) error {
	data, err := body.Incident(inc)
	if err != nil {
		return err
	}
	_, err = t.tx.Exec(`INSERT INTO incidents (id, state, added, told, kind, severity, confidence, urgency, title, first, last, format, body)
		VALUES (?, 'new', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, t.now, t.now, inc.Kind, inc.Severity, inc.Confidence, inc.Urgency, inc.Title, inc.First, inc.Last, body.Format, string(data))
	if err != nil {
		return err
	}
	if err := bump(t.tx, "incidents"); err != nil {
		return err
	}
	return t.parties(inc, id)
}

// update writes the incident as it is told now, if that is otherwise than
// before, and a row of its life where its severity changed.
func (t *telling) update(inc *testudo.Incident, id string, was *before) (changed bool, err error) {
	data, err := body.Incident(inc)
	if err != nil {
		return false, err
	}
	if _, err := t.tx.Exec(`UPDATE incidents SET kind = ?, severity = ?, confidence = ?, urgency = ?, title = ?, first = ?, last = ?, format = ?, body = ? WHERE id = ?`,
		inc.Kind, inc.Severity, inc.Confidence, inc.Urgency, inc.Title, inc.First, inc.Last, body.Format, string(data), id); err != nil {
		return false, err
	}
	var told []byte
	if err := t.tx.QueryRow("SELECT "+toldColumns+" FROM incidents WHERE id = ?", id).Scan(&told); err != nil || bytes.Equal(told, was.told) {
		return false, err
	}
	if inc.Severity != was.severity {
		if err := record(t.tx, id, Change{t.now, "severity", was.severity.String(), inc.Severity.String(), t.why, t.who}); err != nil {
			return true, err
		}
	}
	if _, err := t.tx.Exec("UPDATE incidents SET told = ? WHERE id = ?", t.now, id); err != nil {
		return true, err
	}
	if err := bump(t.tx, "incidents"); err != nil {
		return true, err
	}
	return true, t.parties(inc, id)
}

// parties writes by whom the incident can be found.
func (t *telling) parties(inc *testudo.Incident, id string) error {
	if _, err := t.tx.Exec("DELETE FROM parties WHERE incident = ?", id); err != nil {
		return err
	}
	add := func(side, value string) error {
		if value == "" {
			return nil
		}
		_, err := t.tx.Exec("INSERT INTO parties VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id, side, strings.ToLower(value))
		return err
	}
	for _, v := range inc.Victims {
		if err := errors.Join(add("victim", address(v.Address)), add("victim", v.Name)); err != nil {
			return err
		}
	}
	for _, v := range inc.Servers {
		err := add("server", address(v.Address))
		for _, n := range v.Names {
			err = errors.Join(err, add("server", n))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
