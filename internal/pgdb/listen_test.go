package pgdb

import (
	"sync/atomic"
	"testing"
)

func TestAListenerHearsAndComesBackByItself(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	var connected, heard atomic.Int64
	db.Listen(t.Context(), "some Channel", func(payload string, missed bool) {
		switch {
		case missed:
			connected.Add(1)
		case payload == "hello":
			heard.Add(1)
		}
	})
	await(t, "the first connection", func() bool { return connected.Load() == 1 })
	exec(t, db, `SELECT pg_notify('some Channel', 'hello')`)
	await(t, "the notification", func() bool { return heard.Load() == 1 })
	exec(t, db, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
	await(t, "the second connection", func() bool { return connected.Load() == 2 })
	exec(t, db, `SELECT pg_notify('some Channel', 'hello')`)
	await(t, "the notification after it", func() bool { return heard.Load() == 2 })
}
