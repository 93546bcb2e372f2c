package parquet

import (
	"testing"

	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/historytest"
)

var _ history.Store = (*Store)(nil)

func TestStore(t *testing.T) {
	historytest.Run(t, func(t *testing.T, dir string) history.Store {
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, func(t *testing.T) string { return t.TempDir() })
}
