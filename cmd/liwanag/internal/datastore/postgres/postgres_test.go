package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestStore(t *testing.T) {
	datastoretest.Run(t, datastoretest.Harness{
		Open: func(t *testing.T) *datastore.Store {
			_, store := openEmpty(t)
			return store
		},
		OpenClosed: func(t *testing.T) *datastore.Store {
			db, store := openEmpty(t)
			db.Close()
			return store
		},
	})
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123_456_000, time.UTC)

func signUp(key string) liwanag.SignUp {
	return liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: key, Email: key, EmailType: liwanag.Personal, At: noon}
}

func write(t *testing.T, s *datastore.Store, fn func(tx *datastore.Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func upsert(ups ...liwanag.SignUp) func(tx *datastore.Tx) error {
	return func(tx *datastore.Tx) error {
		_, err := tx.Subscribers.Upsert(ups)
		return err
	}
}

func TestRowsOutliveTheProcess(t *testing.T) {
	db, store := openEmpty(t)
	up := signUp("mara@gmail.com")
	write(t, store, upsert(up))
	db.Close()
	_, store = open(t, sharedURL)
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

func TestTheSchemaIsCreatedOnRequestAndANewerOneRefused(t *testing.T) {
	location := pgtest.Database(t)
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: location})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := postgres.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	open(t, location) // what is up to date is taken as it is
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO app_migrations (version_id, is_applied) VALUES (99, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.New(t.Context(), db); !errors.Is(err, pgdb.ErrSchemaNewer) {
		t.Errorf("got %v, want ErrSchemaNewer", err)
	}
}

// A database that cannot be reached is not one in which nothing is.
func TestAnUnreachableDatabaseIsToldAndComesBackWithoutARestart(t *testing.T) {
	proxy := pgtest.NewProxy(t, pgtest.Shared(t), nameOf(t, emptied(t)))
	_, store := open(t, proxy.URL)
	up := signUp("mara@gmail.com")
	write(t, store, upsert(up))

	proxy.Refuse(true)
	_, reading := store.Subscribers.Get(t.Context(), up.ID)
	_, missing := store.Jobs.Get(t.Context(), liwanag.NewID(liwanag.JobKind))
	writing := store.Write(t.Context(), upsert(signUp("jon@gmail.com")))
	for what, err := range map[string]error{"read": reading, "read of nothing": missing, "write": writing} {
		if !errors.Is(err, liwanag.ErrDatabase) || errors.Is(err, liwanag.ErrNotFound) || liwanag.ClassOf(err) != liwanag.Unavailable {
			t.Errorf("%s: got %v, want ErrDatabase", what, err)
		}
	}

	proxy.Refuse(false)
	write(t, store, upsert(signUp("jon@gmail.com")))
	if _, err := store.Subscribers.Get(t.Context(), up.ID); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatAnswersTooLateIsNotOneInWhichNothingIs(t *testing.T) {
	_, store := openEmpty(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Jobs.Get(ctx, liwanag.NewID(liwanag.JobKind))
	if !errors.Is(err, liwanag.ErrDatabase) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The server says that its disk is full: a trigger says so in its stead.
func TestAFullDiskIsToldAndGoesAwayWithoutARestart(t *testing.T) {
	db, store := openEmpty(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE 'could not extend file "base/1/2": No space left on device' USING ERRCODE = 'disk_full';
		END $$;
		CREATE TRIGGER full_disk BEFORE INSERT ON delivery EXECUTE FUNCTION full_disk()`)
	t.Cleanup(func() {
		if _, err := db.Pool().Exec(context.Background(), `DROP FUNCTION IF EXISTS full_disk CASCADE`); err != nil {
			t.Error(err)
		}
	})
	d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, State: liwanag.DeliveryStored, ReceivedAt: noon}
	insert := func(tx *datastore.Tx) error {
		_, err := tx.Deliveries.Insert(d)
		return err
	}
	if err := store.Write(t.Context(), insert); !errors.Is(err, liwanag.ErrDiskFull) || liwanag.ClassOf(err) != liwanag.DiskFull {
		t.Fatalf("got %v, want ErrDiskFull", err)
	}
	if _, err := store.Deliveries.Get(t.Context(), d.Digest); !errors.Is(err, liwanag.ErrNotFound) {
		t.Fatalf("the refused delivery: %v", err)
	}
	exec(`DROP TRIGGER full_disk ON delivery`)
	write(t, store, insert)
}

func TestAProfileGoesWithItsSubscriber(t *testing.T) {
	db, store := openEmpty(t)
	up := signUp("mara@gmail.com")
	write(t, store, func(tx *datastore.Tx) error {
		if err := upsert(up)(tx); err != nil {
			return err
		}
		_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: up.ID, Profile: []byte(`{}`), ResultAt: up.At, At: up.At}})
		return err
	})
	if _, err := store.Subscribers.Profile(t.Context(), up.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), `DELETE FROM subscriber`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Subscribers.Profile(t.Context(), up.ID); !errors.Is(err, liwanag.ErrNotFound) {
		t.Fatalf("the profile of a subscriber that is gone: %v", err)
	}
}

// A body that was settled is in no table any more, and vacuum gives its place in
// the files back.
func TestADroppedBodyIsGoneFromItsTableWithTheNextVacuum(t *testing.T) {
	db, store := openEmpty(t)
	bodies := func() (size int64) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), `VACUUM delivery`); err != nil {
			t.Fatal(err)
		}
		if err := db.Pool().QueryRow(t.Context(),
			`SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'delivery'::regclass`).Scan(&size); err != nil {
			t.Fatal(err)
		}
		return size
	}
	raw := []byte(strings.Repeat("mara.ilagan@example.net lives here. ", 1000))
	d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, Raw: raw, Size: len(raw),
		State: liwanag.DeliveryStored, ReceivedAt: noon}
	write(t, store, func(tx *datastore.Tx) error {
		_, err := tx.Deliveries.Insert(d)
		return err
	})
	if size := bodies(); size < int64(len(raw)) {
		t.Fatalf("bodies take %d bytes: they are kept elsewhere", size)
	}
	write(t, store, func(tx *datastore.Tx) error {
		_, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest,
			From: []liwanag.DeliveryState{liwanag.DeliveryStored}, To: liwanag.DeliverySettled})
		return err
	})
	if size := bodies(); size != 0 {
		t.Errorf("bodies still take %d bytes", size)
	}
}

// One statement writes many rows, yet rows of one key in one call follow each
// other as if each had a call of its own.
func TestRowsOfOneKeyInOneCallFollowEachOther(t *testing.T) {
	_, store := openEmpty(t)
	up := func(name, title, metadata string, at time.Duration) liwanag.SignUp {
		s := signUp("mara@gmail.com")
		s.Stated, s.Metadata, s.At = liwanag.Statement{FirstName: name, CompanyName: title}, []byte(metadata), noon.Add(at)
		return s
	}
	write(t, store, upsert(up("A", "a", `{"a":1}`, 0)))
	write(t, store, upsert(up("B", "b", `{"b":1}`, 1e9), up("C", "", `{"b":2,"c":1}`, 2e9), up("", "d", "", 3e9)))
	person, err := store.Subscribers.ByEmail(t.Context(), "mara@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := person.Summary; got != (liwanag.Summary{FirstName: "C", FullName: "C", CompanyName: "d"}) ||
		!person.UpdatedAt.Equal(noon.Add(3e9)) ||
		string(person.Metadata) != `{"a":1,"b":2,"c":1}` {
		t.Errorf("three updates of a person made %+v, %s at %v", got, person.Metadata, person.UpdatedAt)
	}
	job := func(status liwanag.JobStatus) liwanag.Job {
		return liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: person.ID, Status: status, CreatedAt: noon}
	}
	first := job(liwanag.JobPending)
	profile := func(name string, resultAt time.Duration) liwanag.Enriched {
		return liwanag.Enriched{SubscriberID: person.ID, Found: liwanag.Finding{FirstName: name}, Profile: []byte(name),
			ResultAt: noon.Add(resultAt), At: noon}
	}
	write(t, store, func(tx *datastore.Tx) error {
		_, inserting := tx.Jobs.Insert([]liwanag.Job{first, job(liwanag.JobNotFound), job(liwanag.JobEnriched)})
		settling := tx.Jobs.Settle([]liwanag.JobResult{{ID: first.ID, Status: liwanag.JobFailed, At: noon},
			{ID: first.ID, Status: liwanag.JobCanceled, At: noon}})
		changed, enriching := tx.Subscribers.Enrich([]liwanag.Enriched{profile("D", 2e9), profile("old", 1e9), profile("E", 3e9)})
		if len(changed) != 2 {
			t.Errorf("profiles changed %v", changed)
		}
		return errors.Join(inserting, settling, enriching)
	})
	if person, err = store.Subscribers.Get(t.Context(), person.ID); err != nil || person.EnrichmentStatus != liwanag.JobEnriched ||
		person.Summary.FirstName != "E" {
		t.Errorf("the latest job is %q, the latest profile %q, %v", person.EnrichmentStatus, person.Summary.FirstName, err)
	}
	if raw, err := store.Subscribers.Profile(t.Context(), person.ID); err != nil || string(raw) != "E" {
		t.Errorf("the profile is %q, %v", raw, err)
	}
	if got, err := store.Jobs.Get(t.Context(), first.ID); err != nil || got.Status != liwanag.JobCanceled {
		t.Errorf("the job settled twice is %s, %v", got.Status, err)
	}
	counts, err := store.Subscribers.Count(t.Context())
	if want := map[liwanag.JobStatus]int64{liwanag.JobEnriched: 1}; err != nil || !cmp.Equal(counts, want) {
		t.Errorf("counted %v, %v: one job of a person is the latest", counts, err)
	}
}
