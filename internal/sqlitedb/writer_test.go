package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

func insert(id int) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t (id) VALUES (?)", id)
		return err
	}
}

// together queues fifty changes for one group, the insert of ids 0 to 49 but
// for number 25, calls queued when all are, and returns their errors.
func together(t *testing.T, db *DB, odd func(id int) error, queued func()) []error {
	t.Helper()
	release := hold(t, db)
	errs := make([]error, 50)
	var wg sync.WaitGroup
	for id := range errs {
		wg.Go(func() {
			if id == 25 {
				errs[id] = odd(id)
			} else if id%2 == 0 {
				errs[id] = db.Write(context.Background(), insert(id))
			} else {
				errs[id] = db.Apply(context.Background(), insert(id))
			}
		})
	}
	awaitQueued(t, db, 50)
	queued()
	release()
	wg.Wait()
	return errs
}

var errBoom = errors.New("boom")

// oddChanges are ways in which one change of a group fails, and how that is told.
var oddChanges = map[string]struct {
	odd  func(db *DB, id int) error
	want func(error) bool
}{
	"constraint": {
		func(db *DB, id int) error {
			return db.Write(context.Background(), func(tx *Tx) error {
				if err := insert(id)(tx); err != nil {
					return err
				}
				return insert(id)(tx)
			})
		}, IsUnique,
	},
	"returned error": {
		func(db *DB, id int) error {
			return db.Write(context.Background(), func(tx *Tx) error { return errors.Join(insert(id)(tx), errBoom) })
		}, func(err error) bool { return errors.Is(err, errBoom) },
	},
	"panic": {
		func(db *DB, id int) error {
			return db.Write(context.Background(), func(tx *Tx) error {
				if err := insert(id)(tx); err != nil {
					return err
				}
				panic(errBoom)
			})
		}, func(err error) bool {
			var p *PanicError
			return errors.As(err, &p) && errors.Is(err, errBoom) && len(p.Stack) > 0
		},
	},
	"schema change undone": {
		func(db *DB, id int) error {
			return db.Write(context.Background(), func(tx *Tx) error {
				_, err := tx.Exec("CREATE TABLE gone (id)")
				return errors.Join(err, errBoom)
			})
		}, func(err error) bool { return errors.Is(err, errBoom) },
	},
	"applied, its RETURNING without a row": {
		func(db *DB, id int) error {
			return db.Apply(context.Background(), func(tx *Tx) error {
				err := tx.QueryRow("UPDATE t SET body = 1 WHERE id = -1 RETURNING id").Scan(&id)
				return errors.Join(err, errBoom)
			})
		}, func(err error) bool { return errors.Is(err, errBoom) && errors.Is(err, sql.ErrNoRows) },
	},
	"applied without having written": {
		func(db *DB, id int) error {
			return db.Apply(context.Background(), func(tx *Tx) error {
				if n, err := tx.Exec("UPDATE t SET body = 1 WHERE id = -1"); n != 0 || err != nil {
					return fmt.Errorf("%d, %w", n, err)
				}
				return errBoom
			})
		}, func(err error) bool { return errors.Is(err, errBoom) },
	},
}

func TestOneOfFiftyGroupedChangesFailsAlone(t *testing.T) {
	for name, c := range oddChanges {
		t.Run(name, func(t *testing.T) {
			db := openTable(t, Config{GroupHold: time.Minute})
			before := db.Stats().Groups
			errs := together(t, db, func(id int) error { return c.odd(db, id) }, func() {})
			checkNeighbors(t, db, errs, c.want)
			if n := db.Stats().Groups - before; n != 2 {
				t.Errorf("the fifty changes took %d groups", n-1)
			}
			if n := db.Stats().Undone; n != 0 {
				t.Errorf("%d groups were undone", n)
			}
			if err := db.Reader().QueryRow("SELECT 1 FROM sqlite_schema WHERE name = 'gone'").Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("the table of the failed change: %v", err)
			}
		})
	}
}

func TestAGroupedChangeThatIsCancelledWhileQueuedFailsAlone(t *testing.T) {
	db := openTable(t, Config{GroupHold: time.Minute})
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	errs := together(t, db, func(id int) error {
		defer close(left)
		return db.Write(ctx, insert(id))
	}, func() {
		cancel()
		<-left
	})
	checkNeighbors(t, db, errs, func(err error) bool { return errors.Is(err, context.Canceled) })
}

func checkNeighbors(t *testing.T, db *DB, errs []error, want func(error) bool) {
	t.Helper()
	var landed []int
	for id, err := range errs {
		switch {
		case id == 25 && !want(err):
			t.Errorf("the odd change: %v", err)
		case id != 25 && err != nil:
			t.Errorf("neighbor %d: %v", id, err)
		case id != 25:
			landed = append(landed, id)
		}
	}
	if got := ids(t, db); !slices.Equal(got, landed) {
		t.Errorf("the table holds %v", got)
	}
}

func TestAnApplyThatFailsAfterWritingIsUndoneAndItsNeighborsLand(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("boom") },
		"panic": func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			db := openTable(t, Config{GroupHold: time.Minute})
			errs := together(t, db, func(id int) error {
				return db.Apply(context.Background(), func(tx *Tx) error {
					if err := tx.QueryRow("INSERT INTO t (id) VALUES (?) RETURNING id", id).Scan(new(int)); err != nil {
						return err
					}
					return fail()
				})
			}, func() {})
			// Those before the failed change ran again alone, the others in the
			// next group.
			var landed []int
			for id, err := range errs {
				if (err != nil) != (id == 25) {
					t.Errorf("%d: %v", id, err)
				}
				if id != 25 {
					landed = append(landed, id)
				}
			}
			if got := ids(t, db); !slices.Equal(got, landed) {
				t.Errorf("the table holds %v", got)
			}
		})
	}
}

func TestAChangeThatWasPickedUpIgnoresItsContext(t *testing.T) {
	db := openTable(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx *Tx) error {
		cancel()
		return insert(1)(tx)
	})
	if err != nil {
		t.Errorf("Write: %v", err)
	}
	if err := db.Write(ctx, insert(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write with a cancelled context: %v", err)
	}
	if got := ids(t, db); !slices.Equal(got, []int{1}) {
		t.Errorf("the table holds %v", got)
	}
}

func TestAFullDiskFailsOnlyWhatDoesNotFit(t *testing.T) {
	for _, swallowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("error swallowed %v", swallowed), func(t *testing.T) {
			db := open(t, Config{PageSize: 1024, GroupHold: time.Minute})
			// No key: a change that lands twice is seen.
			exec1(t, db, "CREATE TABLE t (id INTEGER, body BLOB)")
			exec1(t, db, "PRAGMA max_page_count = 12")
			release := hold(t, db)
			errs := make([]error, 30)
			var wg sync.WaitGroup
			for id := range errs {
				wg.Go(func() {
					errs[id] = db.Write(context.Background(), func(tx *Tx) error {
						size := 10
						if id%3 == 0 {
							size = 4000
						}
						_, err := tx.Exec("INSERT INTO t (id, body) VALUES (?, zeroblob(?))", id, size)
						if swallowed {
							return nil
						}
						return err
					})
				})
			}
			awaitQueued(t, db, 30)
			release()
			wg.Wait()
			if db.Stats().Undone == 0 {
				t.Fatal("the disk never was full")
			}
			var landed []int
			full := 0
			for id, err := range errs {
				if err == nil {
					landed = append(landed, id)
				} else if full++; !IsFull(err) {
					t.Errorf("%d: %v", id, err)
				}
			}
			if got := ids(t, db); !slices.Equal(got, landed) {
				t.Errorf("acknowledged %v, stored %v", landed, got)
			}
			if full == 0 || len(landed) < 20 {
				t.Errorf("%d failed, %d landed", full, len(landed))
			}
			exec1(t, db, "PRAGMA max_page_count = 1000000")
			exec1(t, db, "INSERT INTO t (id, body) VALUES (100, zeroblob(9000))")
		})
	}
}

func TestACommitThatCannotBeWrittenIsNotAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if out, err := role(t, "file size limit", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestABusyFileIsReportedAfterTheTimeout(t *testing.T) {
	db := openTable(t, Config{BusyTimeout: 20 * time.Millisecond})
	raw, err := connect(t.Context(), db.dsn)
	if err != nil {
		t.Fatal(err)
	}
	other := newConn(raw)
	defer other.close()
	if err := other.run("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), insert(1)); primaryCode(err) != lib.SQLITE_BUSY {
		t.Errorf("Write: %v", err)
	}
	if err := other.run("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Errorf("Write after the lock was released: %v", err)
	}
}

func TestAChangeThatReadsFirstHoldsTheWriteLock(t *testing.T) {
	db := openTable(t, Config{BusyTimeout: time.Millisecond})
	raw, err := connect(t.Context(), db.dsn)
	if err != nil {
		t.Fatal(err)
	}
	other := newConn(raw)
	defer other.close()
	err = db.Write(t.Context(), func(tx *Tx) error {
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
			return err
		}
		if err := other.run("INSERT INTO t (id) VALUES (1)"); primaryCode(err) != lib.SQLITE_BUSY {
			t.Errorf("another writer came between: %v", err)
		}
		return insert(2)(tx)
	})
	if err != nil {
		t.Errorf("Write: %v", err)
	}
}

func TestASchemaChangeCountsAsWritten(t *testing.T) {
	db := open(t, Config{})
	boom := errors.New("boom")
	err := db.Apply(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE gone (id)")
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		t.Errorf("Apply: %v", err)
	}
	exec1(t, db, "CREATE TABLE gone (id)")
}

func TestAGroupIsBounded(t *testing.T) {
	queueAndRun := func(t *testing.T, c Config, change func(id int) func(*Tx) error) groupcommit.Stats {
		db := openTable(t, c)
		before := db.Stats().Groups
		release := hold(t, db)
		var wg sync.WaitGroup
		for id := range 20 {
			wg.Go(func() {
				if err := db.Write(context.Background(), change(id)); err != nil {
					t.Error(err)
				}
			})
		}
		awaitQueued(t, db, 20)
		release()
		wg.Wait()
		if n := len(ids(t, db)); n != 20 {
			t.Errorf("%d of 20 changes landed", n)
		}
		s := db.Stats()
		s.Groups -= before + 1
		return s
	}
	t.Run("by number", func(t *testing.T) {
		if s := queueAndRun(t, Config{GroupSize: 5, GroupHold: time.Minute}, insert); s.Groups != 4 {
			t.Errorf("20 changes took %d groups of 5", s.Groups)
		}
	})
	t.Run("by time", func(t *testing.T) {
		s := queueAndRun(t, Config{GroupHold: time.Nanosecond}, func(id int) func(*Tx) error {
			return func(tx *Tx) error {
				for began := time.Now(); time.Since(began) < time.Microsecond; {
				}
				return insert(id)(tx)
			}
		})
		if s.Groups != 20 {
			t.Errorf("20 changes that each fill the hold took %d groups", s.Groups)
		}
	})
}

func TestCloseCommitsWhatWasQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openTable(t, Config{Path: path})
	release := hold(t, db)
	var wg sync.WaitGroup
	for id := range 10 {
		wg.Go(func() {
			if err := db.Write(context.Background(), insert(id)); err != nil {
				t.Error(err)
			}
		})
	}
	awaitQueued(t, db, 10)
	wg.Go(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	release()
	wg.Wait()
	if n := len(ids(t, open(t, Config{Path: path}))); n != 10 {
		t.Errorf("%d of 10 queued changes landed", n)
	}
}

func TestTheWriterLivesInABubble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		db, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		exec1(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
		for hour := range 24 {
			time.Sleep(time.Hour)
			exec1(t, db, "INSERT INTO t (id) VALUES (?)", hour)
		}
		if n := len(ids(t, db)); n != 24 || time.Since(began) != 24*time.Hour {
			t.Errorf("%d rows after %v", n, time.Since(began))
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestStatsCount(t *testing.T) {
	db := openTable(t, Config{})
	exec1(t, db, "INSERT INTO t (id) VALUES (1)")
	s := db.Stats()
	if s.Groups != 2 || s.Changes != 2 || s.GroupSize.Counts[0] != 2 || s.GroupSize.Sum != 2 || s.LongestHold <= 0 || s.Hold.Sum <= 0 {
		t.Errorf("%+v", s)
	}
}
