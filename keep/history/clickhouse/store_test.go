package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/testudo-shield/testudo/keep/history"
	"github.com/testudo-shield/testudo/keep/history/historytest"
)

var _ history.Store = (*Store)(nil)

func open(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore holds one server, then two that share the records, to the
// contract.
func TestStore(t *testing.T) {
	hosts := startServers(t, 2)
	var n atomic.Int64
	for _, c := range []struct{ name, hosts, cluster string }{{"one server", hosts[0], ""}, {"two servers", strings.Join(hosts, ","), "?cluster=testudo"}} {
		t.Run(c.name, func(t *testing.T) {
			historytest.Run(t, func(t *testing.T, dsn string) history.Store { return open(t, dsn) },
				func(*testing.T) string {
					return fmt.Sprintf("clickhouse://default@%s/t%d%s", c.hosts, n.Add(1), c.cluster)
				})
		})
	}
}

// TestShards holds that both servers have a share of the records.
func TestShards(t *testing.T) {
	hosts := startServers(t, 2)
	s := open(t, "clickhouse://default@"+strings.Join(hosts, ",")+"/shards?cluster=testudo")
	defer s.Close()
	m := historytest.NewMonth(100, 3_000_000)
	if err := s.Append(context.Background(), history.Ingest{ID: "x"}, m.Hour(12)); err != nil {
		t.Fatal(err)
	}
	var counts [3]uint64
	for i, table := range []string{"conn", "conn", "every_conn"} {
		if err := s.shards[i%2].QueryRow(context.Background(), "SELECT count() FROM "+table).Scan(&counts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if counts[0] == 0 || counts[1] == 0 || counts[0]+counts[1] != counts[2] {
		t.Errorf("the servers hold %d and %d conns, together %d", counts[0], counts[1], counts[2])
	}
	t.Logf("the servers hold %d and %d conns", counts[0], counts[1])
}
