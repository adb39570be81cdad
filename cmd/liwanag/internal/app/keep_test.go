package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// names are the files of a folder, in order.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		all = append(all, f.Name())
	}
	return all
}

// nightly runs the schedule of backups on two nodes for a while of virtual time, which
// begins at midnight UTC, and then what is left to do by hand.
func nightly(t *testing.T, kept int, nights int, then func(a *App)) (dir string) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "liwanag.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Synchronous: sqlitedb.Normal})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		rows, err := sqlite.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		a := &App{store: rows, storage: &storage{rows: rows, raw: keep.Database{SQLite: db}}, log: slog.New(slog.DiscardHandler),
			cfg: Config{Now: time.Now, Settings: config.Settings{Keep: config.Keep{BackupDir: dir, BackupSchedule: "15 3 * * *",
				BackupKeep: kept}}}}
		if _, err := a.BackUp(t.Context(), "by-hand.backup"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(nights)*24*time.Hour)
		defer cancel()
		backups, err := timed("backup", a.cfg.Settings.BackupSchedule, a.scheduledBackup)
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		ledger := memory.New().Ledger()
		for range 2 {
			s, err := schedule.New(schedule.Config{Runner: struct{ workflow.Runner }{}, Ledger: ledger,
				Schedules: []schedule.Schedule{backups}})
			if err != nil {
				t.Fatal(err)
			}
			both.Go(func() { _ = s.Run(ctx) })
		}
		both.Wait()
		then(a)
	})
	return dir
}

func TestTheScheduleMakesABackupANightOnOneNodeAndKeepsTheLast(t *testing.T) {
	dir := nightly(t, 3, 5, func(a *App) {
		all, err := Backups(context.Background(), a.store)
		if err != nil || len(all) != 4 || !all[0].Scheduled || all[3].Scheduled {
			t.Errorf("the database knows of %+v, %v", all, err)
		}
	})
	want := []string{"by-hand.backup", "liwanag-20000103T031500Z-scheduled.backup", "liwanag-20000104T031500Z-scheduled.backup",
		"liwanag-20000105T031500Z-scheduled.backup"}
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, want[1]))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOfBackupsThatAreAllKeptTheDatabaseForgetsWhatIsGone(t *testing.T) {
	dir := nightly(t, 0, 4, func(a *App) {
		all, err := Backups(context.Background(), a.store)
		if err != nil || len(all) != 5 {
			t.Fatalf("%d backups, %v", len(all), err)
		}
		if err := os.Remove(all[0].Path); err != nil {
			t.Fatal(err)
		}
		if left, err := Backups(context.Background(), a.store); err != nil || len(left) != 4 {
			t.Errorf("%d backups, %v", len(left), err)
		}
	})
	if n := len(names(t, dir)); n != 4 {
		t.Errorf("%d files", n)
	}
}
