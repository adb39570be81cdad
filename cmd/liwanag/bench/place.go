package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
)

// The stores that -store names.
const (
	onMemory   = "memory"
	onSQLite   = "sqlite"
	onPostgres = "postgres"
)

// place is a database of one measurement.
type place struct {
	store string
	at    string                                      // a file's path, or a database's URL
	opens func(context.Context) (closingStore, error) // nil: by itself
}

// place makes a new database. The name tells those of one benchmark apart.
func (s settings) place(ctx context.Context, name string) (p place, err error) {
	p.store = s.store
	switch s.store {
	case onSQLite:
		p.at = s.path(name + ".db")
	case onPostgres:
		p.at, err = s.cluster.create(ctx, strings.ReplaceAll(name, "-", "_"))
	}
	return p, err
}

type closingStore interface {
	store.Store
	Close() error
}

func (p place) open(ctx context.Context) (closingStore, error) {
	if p.opens != nil {
		return p.opens(ctx)
	}
	switch p.store {
	case onMemory:
		return memory.New(), nil
	case onSQLite:
		return sqlite.Open(ctx, p.at)
	case onPostgres:
		return postgres.Open(ctx, p.at)
	}
	return nil, fmt.Errorf("no store %q", p.store)
}

// size is the database's bytes on disk.
func (p place) size(ctx context.Context) (size int64, err error) {
	switch p.store {
	case onSQLite:
		info, err := os.Stat(p.at)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	case onPostgres:
		conn, err := pgx.Connect(ctx, p.at)
		if err != nil {
			return 0, err
		}
		err = conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
		return size, errors.Join(err, conn.Close(ctx))
	}
	return 0, nil
}
