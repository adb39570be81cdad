package sqlitedb

import "github.com/liwanag/liwanag/internal/groupcommit"

// Stats returns the writer's counters since Open.
func (db *DB) Stats() groupcommit.Stats { return db.writer.stats.Stats() }
