package enrichment_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to read all tables

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

func TestARetriedRunOrdersNothingForWhoLeftAfterItFailed(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		w.out = &refusingDial{n: 5, next: w.out}
		run := w.signUp(ana, ben)[0]
		w.sleep(time.Minute)
		w.wantRun(run, workflow.StatusFailed)
		w.suppress(ana)
		w.must(w.life.svc.RetryRun(context.Background(), run.String(), ""))
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		w.wantRun(run, workflow.StatusCompleted)
		w.wantAccepted(0, ana)
		w.wantAccepted(1, ben)
		w.wantBooks()
	})
}

func TestAResultThatComesTooLateIsNotAppliedToWhoLeft(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		topics := w.listen()
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 26 * time.Hour, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 24*time.Hour + 10*time.Minute})
		w.signUp(ana)
		w.sleep(25 * time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.suppress(ana)
		w.sleep(2 * time.Hour)
		w.wantFired(simulator.ActionWebhookLate)
		if job := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout); job.Credits != 1 {
			t.Errorf("the lookup cost %d, and 1 was charged", job.Credits)
		}
		if p := w.subscriber(ana); !p.EnrichedAt.IsZero() || p.Summary.FullName != "" {
			t.Error("a profile was applied to a person who had left")
		}
		w.wantTopics(topics(), liwanag.TopicEnrichmentFailed, liwanag.TopicUnsubscribed) // the timeout, the departure
		w.wantBooks()
	})
}

func TestWhatIsKeptForReviewNamesNobodyWhoWasErased(t *testing.T) {
	for _, action := range []simulator.Action{simulator.ActionRowsExtra, simulator.ActionShapeV1} {
		t.Run(string(action), func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
				ctx := context.Background()
				w.fault(simulator.Fault{Action: action, Where: simulator.WhereWebhook, Count: 1})
				w.signUp(ana, ben)
				w.sleep(10 * time.Second)
				w.must(errOf(w.life.svc.Erase(ctx, w.subscriber(ana).ID)))
				w.sleep(3 * time.Hour)
				w.wantFired(action)
				kept := 0
				for _, d := range w.deliveries() {
					if d.State != liwanag.DeliveryQuarantined {
						continue
					}
					kept++
					if d, err := w.life.store.Deliveries.Get(ctx, d.Digest); err != nil || strings.Contains(string(d.Raw), ana) {
						t.Errorf("%s, %v", d.Raw, err)
					}
				}
				if kept == 0 {
					t.Error("nothing was kept for review")
				}
				w.must(w.life.store.Scrub(ctx))
				w.wantNoTrace(ana)
				w.wantJob(ben, liwanag.JobNotFound, "")
			})
		})
	}
}

func TestWhatCannotBeReadNamesNobodyWhoWasErased(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		run := w.signUp(ana, ben)[0]
		w.sleep(10 * time.Second)
		w.must(errOf(w.life.svc.Erase(ctx, w.subscriber(ana).ID)))
		d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, State: liwanag.DeliveryStored, ReceivedAt: time.Now(),
			SubmissionID: w.submissions(run)[0].ID, Raw: []byte(`"cut off after ` + ana)}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error { _, err := tx.Deliveries.Insert(d); return err }))
		w.sleep(2 * time.Minute)
		kept, err := w.life.store.Deliveries.Get(ctx, d.Digest)
		w.must(err)
		if kept.State != liwanag.DeliveryQuarantined || strings.Contains(string(kept.Raw), ana) {
			t.Errorf("it is %s: %s", kept.State, kept.Raw)
		}
	})
}

func TestWhatFitsNoJobNamesNobodyWhoWasErased(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		w.fault(simulator.Fault{Action: simulator.ActionTokenWrong})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: time.Hour})
		run := w.signUp(ana, ben)[0]
		w.sleep(10 * time.Second)
		w.must(w.life.svc.CancelRun(ctx, run.String(), "not wanted"))
		w.sleep(time.Second)
		w.must(errOf(w.life.svc.Erase(ctx, w.subscriber(ana).ID)))
		w.sleep(5 * time.Minute)
		d, err := w.life.store.Deliveries.Get(ctx, w.deliveries()[0].Digest)
		w.must(err)
		if d.State != liwanag.DeliveryUnmatched || strings.Contains(string(d.Raw), ana) || !strings.Contains(string(d.Raw), ben) {
			t.Errorf("it is %s: %s", d.State, d.Raw)
		}
	})
}

func TestWhatComesInWhileAPersonIsErasedIsGoneToo(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana, ben)
		w.sleep(2 * time.Hour)
		late := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, State: liwanag.DeliveryQuarantined,
			ReceivedAt: time.Now(),
			Raw:        []byte(`{"data":[{"input":{"email":"` + ana + `"}}]}`)}
		between := sync.OnceFunc(func() { // right before the next transaction
			w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error { _, err := tx.Deliveries.Insert(late); return err }))
		})
		cameIn := false
		store := datastoretest.Watch(w.life.store.Store, func() error { between(); cameIn = true; return nil }, nil)
		work, err := enrichment.NewEnricher(store, nil, enrichment.Config{})
		w.must(err)
		w.must(errOf(enrichment.NewService(work, nil, nil).Erase(ctx, w.subscriber(ana).ID)))
		if !cameIn {
			t.Error("nothing came in")
		}
		w.wantNoTrace(ana)
	})
}

func TestErasingOnPostgresLeavesNoRowThatNamesThePerson(t *testing.T) {
	ctx, url := context.Background(), pgtest.Database(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url})
	must(err)
	t.Cleanup(db.Close)
	store, err := postgres.New(ctx, db)
	must(err)
	work, err := enrichment.NewEnricher(store, nil, enrichment.Config{})
	must(err)
	svc := enrichment.NewService(work, nil, nil) // erasing concerns no run

	person, err := fileEverywhere(ctx, store, svc)
	must(err)

	rows, err := sql.Open("pgx", url)
	must(err)
	t.Cleanup(func() { _ = rows.Close() })
	everything := func() string {
		bodies := texts(t, rows, `SELECT encode(raw, 'escape') FROM delivery UNION ALL SELECT encode(body, 'escape') FROM receipt`)
		return strings.ToLower(rowsOf(t, rows, `SELECT relname FROM pg_stat_user_tables`, `SELECT to_json(t) FROM %s t`) + fmt.Sprint(bodies))
	}
	traces := []string{ana, "ana souza"}
	before := everything()
	must(errOf(svc.Erase(ctx, person)))
	after := everything()
	for _, text := range traces {
		if n := strings.Count(before, text); n < 4 {
			t.Errorf("%q was there %d times to begin with: this proves nothing", text, n)
		}
		if strings.Contains(after, text) {
			t.Errorf("the database still holds %q", text)
		}
	}
	if !strings.Contains(after, ben) {
		t.Error("the record of another person is gone")
	}
	for _, row := range texts(t, rows,
		`SELECT relname, vacuum_count FROM pg_stat_user_tables WHERE relname IN ('subscriber', 'profile', 'delivery', 'receipt')`) {
		if row[1] == "0" {
			t.Errorf("%s was not vacuumed: its dead rows hold the person", row[0])
		}
	}
}

// fileEverywhere stores ana wherever a person may be named, beside ben in the body of a delivery.
func fileEverywhere(ctx context.Context, store *datastore.Store, svc *enrichment.Service) (liwanag.ID, error) {
	now := time.Now()
	person := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), Email: ana, EmailKey: ana, EmailType: liwanag.Personal,
		Source: "ana souza", Sources: []string{"Ana Souza's list"}, Tags: []string{"ana souza"}, TagsOf: "ana souza",
		Stated: liwanag.Statement{FullName: "Ana Souza"}, Metadata: []byte(`{"note": "Ana Souza"}`), At: now}
	source := liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), CreatedAt: now, UpdatedAt: now}
	return person.ID, store.Write(ctx, func(tx *datastore.Tx) error {
		if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{person}); err != nil {
			return err
		}
		if _, err := svc.Enroll(tx, []enrichment.Enrollment{{SubscriberID: person.ID}}); err != nil {
			return err
		}
		_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: person.ID, Found: liwanag.Finding{FullName: "Ana Souza"},
			Profile: []byte(`{"full_name": "Ana Souza"}`), ResultAt: now, At: now}})
		if err != nil {
			return err
		}
		_, err = tx.Deliveries.Insert(liwanag.Delivery{Source: liwanag.FromWebhook, State: liwanag.DeliveryQuarantined, ReceivedAt: now,
			Raw: []byte(`{"data":[{"input":{"email":"` + ana + `"},"profile":{"full_name":"Ana Souza"}},{"input":{"email":"` + ben + `"}}]}`)})
		return errors.Join(err, tx.Sources.Insert(source), tx.Receipts.Insert(liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind),
			SourceID: source.ID, State: liwanag.ReceiptAccepted, Body: []byte(`{"email":"` + ana + `","name":"Ana Souza"}`), ReceivedAt: now}))
	})
}
