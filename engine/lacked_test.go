package engine

import (
	"testing"

	"github.com/testudo-shield/testudo"
)

func TestLacked(t *testing.T) {
	wants := []testudo.Evidence{testudo.Bursts, testudo.Bodies, testudo.Keys}
	for want, lacks := range map[string][]testudo.Evidence{
		"":                          {testudo.Turns},
		"without bodies":            {testudo.Bodies},
		"without bursts and bodies": {testudo.Bodies, testudo.Bursts, testudo.Bodies},
		"without bursts, bodies and certificate keys": {testudo.Keys, testudo.Bodies, testudo.Bursts},
	} {
		if got := lacked(wants, lacks); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
