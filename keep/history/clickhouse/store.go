// Package clickhouse keeps history in a ClickHouse database, for those whom
// one machine no longer holds: a table for each kind of record, spread over as
// many servers as are named. DESIGN.md says how it is made.
package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/testudo-shield/testudo"
	"github.com/testudo-shield/testudo/keep/history"
)

// Store is a history in a database. It fulfils history.Store.
type Store struct {
	shards []driver.Conn
	read   string // what stands before a table's name where all shards are read

	mu     sync.Mutex // one Append at a time: a part is looked up, then written
	closed bool
}

// Open connects to clickhouse://user:password@host:9000,host2:9000/database
// and makes the database and the tables where there are none. Several hosts
// share the records; they must know each other as the cluster that
// ?cluster=NAME names.
func Open(ctx context.Context, dsn string) (*Store, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "clickhouse" || u.Host == "" {
		return nil, fmt.Errorf("history: want clickhouse://user:password@host:9000/database, got %q", dsn)
	}
	hosts, database, cluster := strings.Split(u.Host, ","), strings.Trim(u.Path, "/"), u.Query().Get("cluster")
	if database == "" {
		database = "testudo"
	}
	if len(hosts) > 1 && cluster == "" {
		return nil, errors.New("history: several hosts need ?cluster=NAME, as which they know each other")
	}
	s := &Store{}
	for _, host := range hosts {
		if err = s.join(ctx, host, u.User, database); err != nil {
			return nil, errors.Join(fmt.Errorf("history: %s: %w", host, err), s.Close())
		}
	}
	if cluster == "" {
		return s, nil
	}
	s.read = "every_"
	if err = s.spread(ctx, database, cluster); err != nil {
		return nil, errors.Join(fmt.Errorf("history: cluster %s: %w", cluster, err), s.Close())
	}
	return s, nil
}

func dial(host, user, password, database string) (driver.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{
		Addr: []string{host}, Auth: clickhouse.Auth{Database: database, Username: user, Password: password},
		DialTimeout: 10 * time.Second, Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4},
	})
}

// join connects to a shard and makes its tables.
func (s *Store) join(ctx context.Context, host string, who *url.Userinfo, database string) error {
	user, password := "default", ""
	if who != nil {
		user = who.Username()
		password, _ = who.Password()
	}
	first, err := dial(host, user, password, "default")
	if err != nil {
		return err
	}
	err = errors.Join(first.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+name(database)), first.Close())
	if err != nil {
		return err
	}
	c, err := dial(host, user, password, database)
	if err != nil {
		return err
	}
	s.shards = append(s.shards, c)
	for _, l := range history.Layouts() {
		if err = c.Exec(ctx, tableOf(l)); err != nil {
			return err
		}
	}
	return c.Exec(ctx, "CREATE TABLE IF NOT EXISTS parts (ingest String, part Int64, at Int64, attempt UInt64) ENGINE = MergeTree PARTITION BY tuple() ORDER BY (ingest, part)")
}

// spread makes the tables that read from all shards.
func (s *Store) spread(ctx context.Context, database, cluster string) error {
	for _, c := range s.shards {
		for _, t := range logs() {
			err := c.Exec(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s AS %s ENGINE = Distributed(%s, %s, %s)",
				name("every_"+t), name(t), name(cluster), name(database), name(t)))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func logs() (names []string) {
	for _, l := range history.Layouts() {
		names = append(names, l.Log)
	}
	return names
}

// name quotes an identifier.
func name(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

// tableOf returns the statement that makes a kind's table: partitions of a
// day, ordered by hour and what is asked for most.
func tableOf(l *history.Layout) string {
	cols := []string{"`hour` Int64", "`attempt` UInt64", "`ingested` Int64", "`blank` UInt8"}
	for i := range l.Columns {
		cols = append(cols, name(l.Columns[i].Name)+" "+typeOf(l.Columns[i].Type))
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s) ENGINE = MergeTree PARTITION BY intDiv(hour, 86400) ORDER BY (hour, `id.resp_h`, `id.orig_h`, ts)",
		name(l.Log), strings.Join(cols, ", "))
}

func typeOf(t history.Type) string {
	return map[history.Type]string{
		history.Int: "Int64", history.Float: "Float64", history.Bool: "UInt8", history.Text: "String",
		history.Ints: "Array(Int64)", history.Texts: "Array(String)",
	}[t]
}

// Append implements history.Store. Each attempt marks its rows with a number
// of its own; they count once the part is noted with it, which comes last. So
// an attempt that was cut off leaves rows that nobody sees.
func (s *Store) Append(ctx context.Context, in history.Ingest, records []testudo.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	var n uint64
	if err := s.shards[0].QueryRow(ctx, "SELECT count() FROM parts WHERE ingest = ? AND part = ?", in.ID, in.Part).Scan(&n); err != nil || n > 0 {
		return wrap("append", err)
	}
	attempt := binary.LittleEndian.Uint64([]byte(rand.Text())[:8]) ^ uint64(time.Now().UnixNano())
	if err := s.insert(ctx, attempt, in, records); err != nil {
		return wrap("append", err)
	}
	b, err := s.shards[0].PrepareBatch(ctx, "INSERT INTO parts (ingest, part, at, attempt)")
	if err == nil {
		err = b.Append(in.ID, in.Part, int64(in.At), attempt)
	}
	if err == nil {
		err = b.Send()
	}
	return wrap("append", err)
}

// wrap says what was tried; a server without room is ErrFull.
func wrap(what string, err error) error {
	var ex *clickhouse.Exception
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ex) && (ex.Code == 243 || strings.Contains(ex.Message, "No space left")):
		return fmt.Errorf("history: %s: %w (%w)", what, history.ErrFull, err)
	}
	return fmt.Errorf("history: %s: %w", what, err)
}

// place is a table of a shard.
type place struct {
	log   string
	shard int
}

// insert writes the records, each to the shard that its conn falls on.
func (s *Store) insert(ctx context.Context, attempt uint64, in history.Ingest, records []testudo.Record) error {
	sorted := map[place][]testudo.Record{}
	for _, r := range records {
		p := place{r.Log(), int(uint64(r.Base().UID) * 0x9e3779b97f4a7c15 >> 32 % uint64(len(s.shards)))}
		sorted[p] = append(sorted[p], r)
	}
	for p, part := range sorted {
		l := history.LayoutOf(p.log)
		if l == nil {
			return fmt.Errorf("records of kind %s cannot be remembered", p.log)
		}
		b, err := s.shards[p.shard].PrepareBatch(ctx, "INSERT INTO "+name(l.Log)+" (`hour`, `attempt`, `ingested`, `blank`, "+columnList(l)+")")
		if err != nil {
			return err
		}
		for _, r := range part {
			if err = b.Append(row(l, r, attempt, in)...); err != nil {
				return errors.Join(err, b.Abort())
			}
		}
		if err = b.Send(); err != nil {
			return err
		}
	}
	return nil
}

func columnList(l *history.Layout) string {
	var names []string
	for i := range l.Columns {
		names = append(names, name(l.Columns[i].Name))
	}
	return strings.Join(names, ", ")
}

// hourOf returns the start of a time's hour in Unix seconds.
func hourOf(t testudo.Time) int64 { return t.Std().Truncate(time.Hour).Unix() }

// row returns a record's values in the order of columnList.
func row(l *history.Layout, r testudo.Record, attempt uint64, in history.Ingest) []any {
	values := []any{hourOf(r.Base().Time), attempt, int64(in.At), uint8(0)}
	v := l.Value(r)
	for i := range l.Columns {
		var c history.Cell
		l.Get(i, v, &c)
		switch l.Columns[i].Type {
		case history.Int:
			values = append(values, c.Int)
		case history.Bool:
			values = append(values, uint8(c.Int))
		case history.Float:
			values = append(values, c.Float)
		case history.Text:
			values = append(values, c.Text)
		case history.Ints:
			values = append(values, c.Ints)
		case history.Texts:
			values = append(values, c.Texts)
		}
	}
	return values
}

// Close implements history.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, c := range s.shards {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
