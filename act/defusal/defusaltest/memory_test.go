package defusaltest_test

import (
	"testing"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/act/defusal"
	"github.com/testudo-shield/testudo/act/defusal/defusaltest"
)

func TestMemory(t *testing.T) {
	for name, room := range map[string]int{"": 0, "small": 40} {
		t.Run("room"+name, func(t *testing.T) {
			defusaltest.Run(t, func(t *testing.T) defusaltest.Place {
				clock := &defusaltest.Clock{Wall: 1_800_000_000_000_000_000}
				m := &defusaltest.Memory{Clock: clock, Room: room}
				return defusaltest.Place{
					Enforcer: m, Now: clock.Now, Pass: clock.Pass, Room: room,
					Reopen: func(*testing.T) defusal.Enforcer { return m },
					Lose:   func(*testing.T) { m.Lose() },
					Cuts:   func(_ *testing.T, c *testudo.Course) bool { return m.Cuts(c) },
				}
			})
		})
	}
}
