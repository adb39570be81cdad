package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMigrateCreatesAnEmptyDatabaseAndMayBeRepeated(t *testing.T) {
	for _, url := range []string{"sqlite:" + filepath.Join(t.TempDir(), "liwanag.db"), pgtest.Database(t)} {
		d := config.Database{DatabaseURL: url}
		first, err := Migrate(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Migrate(t.Context(), d)
		if err != nil || again != first {
			t.Errorf("%q, then %q, %v", first, again, err)
		}
		s, err := openStorage(t.Context(), d)
		if err != nil {
			t.Fatalf("what was migrated cannot be opened: %v", err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASchemaOfANewerReleaseIsRefused(t *testing.T) {
	for _, table := range []string{"app_migrations", "wf_migrations"} {
		d := config.Database{DatabaseURL: pgtest.Database(t)}
		if _, err := Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		pgtest.Shared(t).Exec(t, pgtest.Name(d.DatabaseURL), "INSERT INTO "+table+" (version_id, is_applied) VALUES (9999, true)")
		if _, err := Migrate(t.Context(), d); err == nil || !strings.Contains(err.Error(), "newer than this program") {
			t.Errorf("%s: %v", table, err)
		}
	}
}
