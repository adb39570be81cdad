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
	b.Run("driver", benchDriver)
	b.Run("database/sql", benchDatabaseSQL)
}

const (
	benchCreate = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, body BLOB)"
	benchUpdate = "UPDATE t SET n = ?, body = ? WHERE id = ?"
)

var benchBody = make([]byte, 210)

func benchFile(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "bench.db")
	if err := createFile(path); err != nil {
		b.Fatal(err)
	}
	return dsn(path, Config{}.withDefaults())
}

func benchDriver(b *testing.B) {
	raw, err := connect(b.Context(), benchFile(b))
	if err != nil {
		b.Fatal(err)
	}
	c := newConn(raw)
	defer c.close()
	for _, q := range []string{benchCreate, "INSERT INTO t (id) VALUES (1)", "BEGIN IMMEDIATE"} {
		if err := c.run(q); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, _, err := c.exec(background, benchUpdate, []any{n, benchBody, 1}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchDatabaseSQL(b *testing.B) {
	connector, err := sqlite.NewConnector(benchFile(b))
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
	for _, q := range []string{benchCreate, "INSERT INTO t (id) VALUES (1)", "BEGIN IMMEDIATE"} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
	s, err := c.PrepareContext(ctx, benchUpdate)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := s.ExecContext(ctx, n, benchBody, 1); err != nil {
			b.Fatal(err)
		}
	}
}
