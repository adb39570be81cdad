package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// Stats returns the writer's counters since Open.
func (db *DB) Stats() groupcommit.Stats { return db.writer.stats.Stats() }

// Groups records the groups of changes.
func (db *DB) Groups() *groupcommit.Recorder { return &db.writer.stats }

// Size is how many bytes the database takes, its log included.
func (db *DB) Size(context.Context) (bytes int64, err error) {
	for _, file := range []string{db.path, db.path + "-wal"} {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("sqlitedb: %w", err)
		}
		bytes += info.Size()
	}
	return bytes, nil
}
