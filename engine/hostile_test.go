package engine

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/test/wire"
)

// TestHostileCheckpoint holds that a checkpoint whose bytes are wrong though
// its checksum is right is refused or gone on from, but breaks nothing.
func TestHostileCheckpoint(t *testing.T) {
	var whole bytes.Buffer
	cfg := config(2, play(wire.Mixed(1, 200)))
	cfg.Checkpoint = func(_ testudo.Time, write func(io.Writer) error) {
		whole.Reset()
		if err := write(&whole); err != nil {
			t.Error(err)
		}
	}
	if _, err := Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		b := bytes.Clone(whole.Bytes())
		for range 1 + r.IntN(3) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
		c, err := ReadCheckpoint(bytes.NewReader(b))
		if err != nil {
			continue
		}
		cfg := config(1, play(wire.Mixed(2, 100)))
		cfg.Resume = c
		if _, err := Run(context.Background(), cfg); err != nil {
			t.Error(err)
		}
	}
}
