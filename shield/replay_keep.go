package shield

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/engine"
	"github.com/testudo-shield/testudo/keep/state"
)

// keeping is what a replay does for its memory.
type keeping struct {
	memory *Memory
	note   func(string)
	inputs []state.Input
	known  bool // all of them were read before
	*recorder
}

// keep begins to remember a replay. Inputs go by the hash of their content:
// what was read before is not recorded again.
func (r Replay) keep(in *inputs) (*keeping, error) {
	k := &keeping{memory: r.Memory, note: r.Note, known: true}
	all := sha256.New()
	var again []string
	for _, path := range slices.Sorted(slices.Values(in.files)) {
		sum, err := r.contentHash(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		k.inputs = append(k.inputs, state.Input{Hash: sum, Name: path})
		switch _, err := r.Memory.State.InputOf(sum); {
		case err == nil:
			again = append(again, path)
		case errors.Is(err, state.ErrNotFound):
			k.known = false
		default:
			return nil, err
		}
	}
	slices.SortFunc(k.inputs, func(a, b state.Input) int { return cmp.Compare(a.Hash, b.Hash) })
	for _, i := range k.inputs {
		io.WriteString(all, i.Hash) // a hash takes all
	}
	switch {
	case k.known:
		k.tell("read before, so nothing of it is recorded again; its incidents follow")
		return k, nil
	case len(again) > 0:
		k.tell(fmt.Sprintf("%s was read before; together with what is new its records are kept a second time", again[0]))
	}
	k.recorder = r.Memory.record(hex.EncodeToString(all.Sum(nil)), false, k.tell)
	return k, nil
}

func (k *keeping) tell(text string) {
	if k.note != nil {
		k.note(text)
	}
}

// tap returns a Tap that records beside another, which may be nil.
func (k *keeping) tap(other func(testudo.Record) error) func(testudo.Record) error {
	if k.recorder == nil {
		return other
	}
	return bothTaps(other, k.take)
}

// bothTaps gives every record to both; the first may be nil.
func bothTaps(first, second func(testudo.Record) error) func(testudo.Record) error {
	if first == nil {
		return second
	}
	return func(r testudo.Record) error { return errors.Join(first(r), second(r)) }
}

// end remembers what was found. A run that was interrupted or lost records
// is told but not noted as read, so that it can be read again.
func (k *keeping) end(ctx context.Context, res *engine.Result) error {
	s := &res.Summary
	var lost int64
	if k.recorder != nil {
		var err error
		if lost, err = k.close(ctx); lost > 0 {
			s.Shed = append(s.Shed, testudo.Shed{Cause: notRemembered, Count: lost})
		}
		if err != nil {
			return err
		}
	}
	told, allowed, err := k.memory.tell(res.Incidents)
	if err != nil {
		return err
	}
	res.Incidents = told
	clear(s.BySeverity[:])
	for i := range told {
		s.BySeverity[told[i].Severity]++
	}
	if allowed > 0 {
		k.tell(fmt.Sprintf("the allow list keeps %d sightings from being incidents:  testudo allow list", allowed))
	}
	if lost > 0 {
		k.tell("not all of it could be recorded, so it does not count as read: free space and replay it again")
	}
	if ctx.Err() != nil || k.known || lost > 0 {
		return nil
	}
	beats := make([]state.Heartbeat, 0, len(k.inputs))
	for _, in := range k.inputs {
		in.First, in.Last, in.Packets, in.Read = s.First, s.Last, s.Packets, k.memory.Now()
		if _, err := k.memory.State.HaveRead(in); err != nil {
			return err
		}
		beats = append(beats, state.Heartbeat{Sensor: replaySensor, Link: in.Name, First: s.First, Last: s.Last + 1, Lost: unremembered(s.Shed)})
	}
	if len(beats) == 1 {
		beats[0].Packets = s.Packets
	}
	return k.memory.State.Beat(beats)
}

// notRemembered is the cause of a loss that concerns what can be asked later.
const notRemembered = "records not remembered"

// unremembered is what was lost to those who ask later; what detectors could
// not hold is recorded all the same.
func unremembered(shed []testudo.Shed) (lost []testudo.Shed) {
	for _, s := range shed {
		if s.Cause == notRemembered {
			lost = append(lost, s)
		}
	}
	return lost
}

// contentHash is the SHA-256 of a file, in hexadecimal.
func (r Replay) contentHash(path string) (string, error) {
	if path == "-" {
		return r.stdin, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", cmp.Or(err, errors.New("a pipe gives its bytes once: write them to a file first, or leave --dir out"))
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// nameStdin takes the hash of the beginning of stdin, which goes by it: its
// end is not known before it was read.
func (r *Replay) nameStdin() {
	b := bufio.NewReaderSize(cmp.Or[io.Reader](r.Stdin, strings.NewReader("")), stdinHead)
	head, _ := b.Peek(stdinHead) // less is all there is
	sum := sha256.Sum256(head)
	r.Stdin, r.stdin = b, hex.EncodeToString(sum[:])
}

const stdinHead = 1 << 20
