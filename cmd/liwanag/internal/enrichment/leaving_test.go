package enrichment_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// suppress is what a source does when people unsubscribe.
func (w *world) suppress(emails ...string) {
	w.t.Helper()
	var ids []liwanag.ID
	for _, email := range emails {
		ids = append(ids, w.subscriber(email).ID)
	}
	w.must(w.life.store.Write(context.Background(), func(tx *datastore.Tx) error {
		return w.life.work.Suppress(tx, liwanag.Departure{IDs: ids, At: time.Now()})
	}))
}

// everythingIn is the database with its log, byte by byte, and every row of it: what
// lies on several pages is whole in its row only.
func (w *world) everythingIn() string {
	w.t.Helper()
	var all strings.Builder
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(w.path + suffix)
		w.must(err)
		all.Write(raw)
	}
	all.WriteString(rowsOf(w.t, w.life.db.Reader(), `SELECT name FROM sqlite_schema WHERE type = 'table'`, `SELECT * FROM "%s"`))
	return strings.ToLower(all.String())
}

// rowsOf are the rows of all tables of a database, as text.
func rowsOf(t *testing.T, db *sql.DB, tables, rows string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range texts(t, db, tables) {
		for _, row := range texts(t, db, fmt.Sprintf(rows, name[0])) {
			fmt.Fprintln(&all, name[0], row)
		}
	}
	return all.String()
}

func texts(t *testing.T, db *sql.DB, query string) (all [][]string) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		raw, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range raw {
			into[i] = &raw[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(raw))
		for i, r := range raw {
			row[i] = string(r)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (w *world) wantNoTrace(texts ...string) {
	w.t.Helper()
	all := w.everythingIn()
	for _, text := range texts {
		if strings.Contains(all, strings.ToLower(text)) {
			w.t.Errorf("the database still holds %q", text)
		}
	}
}

func TestWhoUnsubscribesBeforeTheBatchIsSentCostsNothing(t *testing.T) {
	inWorld(t, enrichment.Config{BatchWindow: time.Minute}, simulator.Config{FoundShare: 1}, func(w *world) {
		run := w.signUp(ana, ben)[0]
		w.suppress(ana)
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantAccepted(0, ana)
		w.wantAccepted(1, ben)
		w.enrich(ana, true, enrichment.EnrichLeft)
		w.wantBooks()
	})
}

func TestWhoUnsubscribesWhileTheLookupIsPaidForIsNotEnriched(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		w.signUp(ana, ben)
		w.sleep(10 * time.Second)
		w.wantJob(ana, liwanag.JobSubmitted, "")
		w.suppress(ana)
		w.sleep(2 * time.Hour)
		if job := w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeUnsubscribed); job.Credits != 1 {
			t.Errorf("the lookup cost %d, and 1 was charged", job.Credits)
		}
		if p := w.subscriber(ana); !p.EnrichedAt.IsZero() {
			t.Error("a profile was applied to a person who had left")
		}
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantBooks()
	})
}

func TestWhoUnsubscribedGetsNoFurtherJobAfterAFailure(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.out = &refusingDial{n: 5, next: w.out}
		w.signUp(ana)
		w.sleep(time.Minute)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.suppress(ana)
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.wantAccepted(0, ana)
	})
}

// Row 24 of the failure table.
func TestRow24ErasedWhileWaitingTheRecordIsDroppedAndItsCostRecorded(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		run := w.signUp(ana, ben)[0]
		w.sleep(10 * time.Second)
		job := w.job(ana)
		w.must(errOf(w.life.svc.Erase(context.Background(), w.subscriber(ana).ID)))
		w.wantNoTrace(ana)
		w.sleep(2 * time.Hour)
		got, err := w.life.store.Jobs.Get(context.Background(), job.ID)
		w.must(err)
		if got.Status != liwanag.JobCanceled || got.Failure.Code != liwanag.CodeErased || got.Credits != 1 {
			t.Errorf("the job is %s (%s), %d credits", got.Status, got.Failure.Code, got.Credits)
		}
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantRun(run, workflow.StatusCompleted)
		if sub := w.wantSubmissions(run, liwanag.SubmissionSettled)[0]; sub.Credits != 1 {
			t.Errorf("the submission cost %d, and 1 was charged", sub.Credits)
		}
		w.must(w.life.store.Scrub(context.Background()))
		w.wantNoTrace(ana)
	})
}

func TestErasingAnEnrichedPersonLeavesNoByteOfThem(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana, ben)
		w.sleep(2 * time.Hour)
		p := w.subscriber(ana)
		if p.Summary.FullName == "" {
			t.Fatal("nothing is known of the person")
		}
		w.must(errOf(w.life.svc.Erase(ctx, p.ID)))
		w.wantNoTrace(ana, p.Summary.FullName, p.Summary.LinkedinURL)
		if _, err := w.life.svc.Erase(ctx, p.ID); !errors.Is(err, liwanag.ErrNotFound) {
			t.Errorf("erasing again: %v", err)
		}
		w.wantJob(ben, liwanag.JobNotFound, "")
	})
}

func TestErasingTakesThePersonOutOfBodiesThatAreKept(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana, ben)
		w.sleep(10 * time.Second)
		for i, raw := range []string{`{"id":"x","data":[{"input":{"email":"` + ana + `"}},{"input":{"email":"` + ben +
			`"}}]}`, `no result, and it names ` + strings.ToUpper(ana)} {
			w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
				_, err := tx.Deliveries.Insert(liwanag.Delivery{Digest: liwanag.Digest{byte(i + 1)}, Source: liwanag.FromWebhook, Raw: []byte(raw),
					State: liwanag.DeliveryQuarantined, ReceivedAt: time.Now()})
				return err
			}))
		}
		source := liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), CreatedAt: time.Now(), UpdatedAt: time.Now()}
		receipt := liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind), SourceID: source.ID, State: liwanag.ReceiptAccepted,
			Body: []byte("email=" + strings.ReplaceAll(ana, "@", "%40")), ReceivedAt: time.Now()}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			return errors.Join(tx.Sources.Insert(source), tx.Receipts.Insert(receipt))
		}))
		w.must(errOf(w.life.svc.Erase(ctx, w.subscriber(ana).ID)))
		w.wantNoTrace(ana, strings.ReplaceAll(ana, "@", "%40"))
		kept, err := w.life.store.Deliveries.Get(ctx, liwanag.Digest{1})
		w.must(err)
		if !strings.Contains(string(kept.Raw), ben) {
			t.Errorf("the record of another person is gone: %s", kept.Raw)
		}
	})
}

// listen gives the topics that were announced to a sink that asks for all.
func (w *world) listen() (topics func() []liwanag.Topic) {
	w.t.Helper()
	sink := liwanag.Sink{ID: liwanag.NewID(liwanag.SinkKind), Name: "all", CreatedAt: time.Now(), UpdatedAt: time.Now()}
	w.must(w.life.store.Write(context.Background(), func(tx *datastore.Tx) error { return tx.Sinks.Insert(sink) }))
	return func() (all []liwanag.Topic) {
		rows, _, err := w.life.store.Messages.List(context.Background(), liwanag.MessageFilter{}, liwanag.Page{Limit: 500})
		w.must(err)
		for _, m := range rows {
			if strings.Contains(m.Facts, "@") {
				w.t.Errorf("a message holds an address: %s", m.Facts)
			}
			all = append(all, m.Topic)
		}
		slices.Sort(all)
		return all
	}
}

func (w *world) wantTopics(got []liwanag.Topic, want ...liwanag.Topic) {
	w.t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("announced %v, want %v", got, want)
	}
}

func TestWhatBecameOfALookupIsAnnouncedOnce(t *testing.T) {
	t.Run("found", func(t *testing.T) {
		inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
			topics := w.listen()
			w.signUp(ana)
			w.sleep(2 * time.Hour)
			w.wantTopics(topics(), liwanag.TopicEnriched)
		})
	})
	t.Run("not found", func(t *testing.T) {
		inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
			topics := w.listen()
			nobody := "nobody+notfound@gmail.com"
			w.signUp(nobody)
			w.sleep(2 * time.Hour)
			w.wantJob(nobody, liwanag.JobNotFound, "")
			w.wantTopics(topics(), liwanag.TopicEnrichmentFailed)
		})
	})
}

func TestAFailureThatIsTriedAgainIsNoNews(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		topics := w.listen()
		w.out = &refusingDial{n: 5, next: w.out}
		w.signUp(ana)
		w.sleep(time.Minute)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.wantTopics(topics())
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantTopics(topics(), liwanag.TopicEnriched)
	})
}

func TestAHeldSubmissionIsAnnounced(t *testing.T) {
	inWorld(t, enrichment.Config{OnAmbiguous: enrichment.Hold}, simulator.Config{}, func(w *world) {
		topics := w.listen()
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting})
		w.signUp(ana)
		w.sleep(3 * time.Hour)
		w.wantJob(ana, liwanag.JobHeld, "policy")
		w.wantTopics(topics(), liwanag.TopicSubmissionHeld)
	})
}

func TestALowBalanceIsAnnouncedOnceADay(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{CreditsLow: 100, BatchWindow: time.Second}, simulator.Config{Balance: 50}, func(w *world) {
		topics := w.listen()
		for range 30 {
			w.signUp(strings.Repeat("x", len(topics())+1) + time.Now().Format("150405") + "@gmail.com")
			w.sleep(time.Hour)
		}
		days := 0
		for _, topic := range topics() {
			if topic == liwanag.TopicCreditsLow {
				days++
			}
		}
		if days != 2 {
			t.Errorf("announced %d times in 30 hours, over two UTC days", days)
		}
	})
}
