package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

func TestStore(t *testing.T) {
	datastoretest.Run(t, datastoretest.Harness{
		Open: func(t *testing.T) *datastore.Store {
			_, store := open(t, sqlitedb.Config{Synchronous: sqlitedb.Normal})
			return store
		},
		OpenClosed: func(t *testing.T) *datastore.Store {
			db, store := open(t, sqlitedb.Config{Synchronous: sqlitedb.Normal})
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return store
		},
	})
}

func TestRowsOutliveTheProcess(t *testing.T) {
	config := sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db")}
	up := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: "mara@gmail.com", Email: "mara@gmail.com",
		EmailType: liwanag.Personal,
		At:        time.Now().UTC().Truncate(time.Microsecond)}
	db, store := open(t, config)
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		_, err := tx.Subscribers.Upsert([]liwanag.SignUp{up})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, store = open(t, config)
	got, err := store.Subscribers.ByEmail(t.Context(), "mara@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	want := liwanag.Subscriber{ID: up.ID, EmailKey: up.EmailKey, Email: up.Email, EmailType: up.EmailType, CreatedAt: up.At, UpdatedAt: up.At}
	want.Settle()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); diff != "" {
		t.Fatal(diff)
	}
}

// A file of the first release has uploads that nobody owns.
func TestAFileOfTheFirstSchemaKeepsItsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "liwanag.db")
	initial, err := os.ReadFile("migrations/00001_initial.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), fstest.MapFS{"00001_initial.sql": &fstest.MapFile{Data: initial}}, "app_migrations"); err != nil {
		t.Fatal(err)
	}
	up := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadImporting, Position: 7,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(`INSERT INTO upload (id, file_name, status, rows, new, known, duplicate, corporate, invalid, size, position, created_at)
			VALUES (?, ?, ?, 0, 0, 0, 0, 0, 0, 0, ?, ?)`, up.ID.Bytes(), up.FileName, string(up.Status), up.Position, up.CreatedAt.UnixMicro())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, store := open(t, sqlitedb.Config{Path: path})
	got, err := store.Uploads.Get(t.Context(), up.ID)
	if diff := cmp.Diff(up, got, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		ok, err := tx.Uploads.Claim(liwanag.UploadClaim{ID: up.ID, Owner: "a", Now: up.CreatedAt, Until: up.CreatedAt})
		if err == nil && !ok {
			return errors.New("it cannot be claimed")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskIsToldAndGoesAwayWithoutARestart(t *testing.T) {
	db, store := open(t, sqlitedb.Config{})
	insert := func(n byte) error {
		return store.Write(t.Context(), func(tx *datastore.Tx) error {
			_, err := tx.Deliveries.Insert(liwanag.Delivery{Digest: liwanag.Digest{n}, Source: liwanag.FromWebhook, Raw: make([]byte, 1<<20),
				Size: 1 << 20, State: liwanag.DeliveryStored, ReceivedAt: time.Now()})
			return err
		})
	}
	limit := func(pages string) {
		if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
			var n int
			return tx.QueryRow("PRAGMA max_page_count = " + pages).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
	}
	limit("100")
	var err error
	stored := byte(0)
	for n := byte(1); n < 10 && err == nil; n++ {
		if err = insert(n); err == nil {
			stored = n
		}
	}
	if !errors.Is(err, liwanag.ErrDiskFull) || liwanag.ClassOf(err) != liwanag.DiskFull {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	if _, err := store.Deliveries.Get(t.Context(), liwanag.Digest{stored + 1}); !errors.Is(err, liwanag.ErrNotFound) {
		t.Fatalf("the refused delivery: %v", err)
	}
	limit("100000")
	if err := insert(stored + 1); err != nil {
		t.Fatal(err)
	}
}

// A body that was settled or pruned must not lie around in the file.
func TestADroppedBodyLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "liwanag.db")
	db, store := open(t, sqlitedb.Config{Path: path})
	secret := []byte("mara.ilagan@example.net lives here")
	d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, Raw: secret, Size: len(secret),
		State: liwanag.DeliveryStored, ReceivedAt: time.Now()}
	for _, fn := range []func(tx *datastore.Tx) error{
		func(tx *datastore.Tx) error { _, err := tx.Deliveries.Insert(d); return err },
		func(tx *datastore.Tx) error {
			_, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest,
				From: []liwanag.DeliveryState{liwanag.DeliveryStored}, To: liwanag.DeliverySettled})
			return err
		},
	} {
		if err := store.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil { // the log is copied into the file and removed
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, secret) {
		t.Fatal("the settled body is still in the file")
	}
}

// Who is erased leaves no word of theirs in the index of the search either.
func TestTheWordsOfSomebodyErasedLeaveNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "liwanag.db")
	db, store := open(t, sqlitedb.Config{Path: path})
	var ups []liwanag.SignUp
	for i := range 500 {
		address := fmt.Sprintf("quzzle%03dfrimp@gmail.com", i)
		ups = append(ups, liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: address, Email: address,
			EmailType: liwanag.Personal, Stated: liwanag.Statement{FullName: fmt.Sprintf("Vexlor%03dnam", i)}, At: time.Now()})
	}
	gone := ups[250]
	for _, fn := range []func(tx *datastore.Tx) error{
		func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(ups); return err },
		func(tx *datastore.Tx) error { _, err := tx.Subscribers.Index(len(ups)); return err },
		func(tx *datastore.Tx) error { return tx.Subscribers.Delete([]liwanag.ID{gone.ID}) },
	} {
		if err := store.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil { // the log is copied into the file and removed
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]bool{"quzzle250frimp": false, "vexlor250nam": false, "quzzle251frimp": true, "vexlor251nam": true} {
		if bytes.Contains(bytes.ToLower(file), []byte(word)) != want {
			t.Errorf("%s: in the file %v", word, !want)
		}
	}
}

func TestAProfileGoesWithItsSubscriber(t *testing.T) {
	db, store := open(t, sqlitedb.Config{})
	up := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: "mara@gmail.com", Email: "mara@gmail.com",
		EmailType: liwanag.Personal, At: time.Now()}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{up}); err != nil {
			return err
		}
		_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: up.ID, Profile: []byte(`{}`), ResultAt: up.At, At: up.At}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Subscribers.Profile(t.Context(), up.ID); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DELETE FROM subscriber WHERE id = ?", up.ID.Bytes())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Subscribers.Profile(t.Context(), up.ID); !errors.Is(err, liwanag.ErrNotFound) {
		t.Fatalf("the profile of a subscriber that is gone: %v", err)
	}
}

// open makes a store in a new file, or in that of c.
func open(t testing.TB, c sqlitedb.Config) (*sqlitedb.DB, *datastore.Store) {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "liwanag.db")
	}
	db, err := sqlitedb.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := sqlite.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return db, store
}
