package pgdb

import (
	"testing"
	"testing/fstest"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// Others queue behind a statement that waits for a lock: one that waits until it has it
// would stop all nodes for as long as somebody idles in a transaction.
func TestAMigrationThatWaitsForALockLetsOthersPass(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	if err := db.Migrate(t.Context(), versions(1), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	holder, err := db.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), "SELECT * FROM t"); err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"00001_initial.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n integer PRIMARY KEY);\n")},
		"00002_more.sql": {Data: []byte("-- +goose Up\nCREATE TABLE u (n integer);\nALTER TABLE t ADD COLUMN m integer;\n")}}
	migrated := make(chan error, 1)
	go func() { migrated <- db.MigrateUp(t.Context(), files, "app_migrations") }()
	for waits := false; !waits; {
		if err := db.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 't'::regclass)",
			nil, &waits); err != nil {
			t.Fatal(err)
		}
	}
	other := open(t, db.cfg.URL)
	if _, err := other.pool.Exec(t.Context(), "SELECT * FROM t"); err != nil { // it would hang: the holder ends behind it
		t.Fatal(err)
	}
	if err := holder.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	if _, err := other.pool.Exec(t.Context(), "SELECT m FROM t, u"); err != nil {
		t.Error(err)
	}
}
