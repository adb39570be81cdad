package sqlitedb

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
)

// BenchmarkStatement compares the driver's connection, which the writer uses,
// with a prepared statement of database/sql on a pinned connection.
func BenchmarkStatement(b *testing.B) {
	const create = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, body BLOB)"
	const update = "UPDATE t SET n = ?, body = ? WHERE id = ?"
	body := make([]byte, 210)
	open := func(b *testing.B) string {
		path := filepath.Join(b.TempDir(), "bench.db")
		if err := createFile(path); err != nil {
			b.Fatal(err)
		}
		return dsn(path, Config{}.withDefaults())
	}
	b.Run("driver", func(b *testing.B) {
		raw, err := connect(b.Context(), open(b))
		if err != nil {
			b.Fatal(err)
		}
		c := newConn(raw)
		defer c.close()
		for _, q := range []string{create, "INSERT INTO t (id) VALUES (1)", "BEGIN IMMEDIATE"} {
			if err := c.run(q); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if _, _, err := c.exec(update, []any{n, body, 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("database/sql", func(b *testing.B) {
		connector, err := sqlite.NewConnector(open(b))
		if err != nil {
			b.Fatal(err)
		}
		handle := sql.OpenDB(connector)
		defer handle.Close()
		ctx := context.Background()
		c, err := handle.Conn(ctx)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		for _, q := range []string{create, "INSERT INTO t (id) VALUES (1)", "BEGIN IMMEDIATE"} {
			if _, err := c.ExecContext(ctx, q); err != nil {
				b.Fatal(err)
			}
		}
		s, err := c.PrepareContext(ctx, update)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if _, err := s.ExecContext(ctx, n, body, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
