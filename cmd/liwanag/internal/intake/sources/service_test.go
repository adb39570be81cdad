package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// world is a service over a real database, with a clock that tests move.
type world struct {
	t       testing.TB
	store   *datastore.Store
	service *Service
	meter   meter
	mu      sync.Mutex
	ahead   time.Duration
	started []liwanag.ID
}

type meter struct {
	mu       sync.Mutex
	accepted []string
	refused  []string
}

func (m *meter) WebhookAccepted(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted = append(m.accepted, kind)
}

func (m *meter) WebhookRefused(kind, code string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = append(m.refused, kind+" "+code)
}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func onSQLite(t testing.TB) *datastore.Store {
	t.Helper()
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db"), Synchronous: sqlitedb.Normal})
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
	return store
}

func onPostgres(t testing.TB) *datastore.Store {
	t.Helper()
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	store, err := postgres.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// onBoth runs a test on each database.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	for name, open := range map[string]func(testing.TB) *datastore.Store{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) { test(t, newWorldOn(t, open(t))) })
	}
}

func newWorld(t testing.TB) *world { return newWorldOn(t, onSQLite(t)) }

func newWorldOn(t testing.TB, store *datastore.Store) *world {
	t.Helper()
	w := &world{t: t, store: store}
	people, err := intake.NewSignUps(store, w, intake.Config{Logger: slog.New(slog.DiscardHandler), Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.service = New(store, people, w, Config{PublicURL: "https://news.example", Now: w.now, Meter: &w.meter})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) advance(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += by
}

// Enroll makes real jobs.
func (w *world) Enroll(tx *datastore.Tx, people []enrichment.Enrollment) ([]liwanag.Opened, error) {
	return enrichment.Enroll(tx, people, enrichment.Config{}, w.now())
}

// Start remembers the runs.
func (w *world) Start(_ context.Context, runIDs ...liwanag.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = append(w.started, runIDs...)
	return nil
}

// Suppress notes who left, and leaves jobs to package enrichment's own tests.
func (w *world) Suppress(tx *datastore.Tx, d liwanag.Departure) error {
	_, err := tx.Subscribers.Suppress(d)
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(kind liwanag.SourceKind, settings string) (Made, string) {
	w.t.Helper()
	made, err := w.service.Create(w.t.Context(), Draft{Name: "Shop", Kind: kind, Settings: json.RawMessage(settings)})
	w.must(err)
	return made, made.URL[strings.LastIndexByte(made.URL, '/')+1:]
}

// send is a webhook of a source that proves nothing.
func (w *world) send(token, body string) Answer {
	w.t.Helper()
	answer, err := w.service.Receive(w.t.Context(), liwanag.SourceGeneric, token, http.Header{}, []byte(body))
	w.must(err)
	return answer
}

func (w *world) person(email string) liwanag.Subscriber {
	w.t.Helper()
	p, err := w.store.Subscribers.ByEmail(w.t.Context(), email)
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Subscriber{}
	}
	w.must(err)
	return p
}

func (w *world) receipts(states ...liwanag.ReceiptState) []liwanag.Receipt {
	w.t.Helper()
	rows, _, err := w.store.Receipts.List(w.t.Context(), liwanag.ReceiptFilter{States: states}, liwanag.Page{Limit: 500})
	w.must(err)
	return rows
}

const events = `{"proof":"path","event":{"at":"/type","subscribed":["in"],"updated":["new"],"unsubscribed":["out"]},"fields":{"email":"/email","firstName":"/name"},"eventId":"/event"}`

func TestTheLastEventOfAPersonSaysWhetherTheyAreIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, token := w.create(liwanag.SourceGeneric, events)
		answer := w.send(token, `[{"type":"in","email":"ann@gmail.com"},{"type":"out","email":"Ann@Gmail.com"},
		{"type":"out","email":"bob@gmail.com"},{"type":"in","email":"bob@gmail.com"},
		{"type":"new","email":"eve@gmail.com"},{"type":"in","email":"eve@gmail.com","name":"Eve"},
		{"type":"out","email":"stranger@gmail.com"},{"type":"out","email":"nobody"},{"type":"login","email":"who@gmail.com"}]`)
		if answer.State != liwanag.ReceiptAccepted || answer.Created != 3 || answer.Updated != 1 || answer.Unsubscribed != 1 ||
			answer.Failed != 1 {
			t.Errorf("%+v", answer)
		}
		for email, want := range map[string]liwanag.JobStatus{"ann@gmail.com": "", "bob@gmail.com": liwanag.JobPending,
			"eve@gmail.com": liwanag.JobPending} {
			if p := w.person(email); p.Email == "" || p.EnrichmentStatus != want || p.SuppressedAt.IsZero() != (want != "") {
				t.Errorf("%s: %+v", email, p)
			}
		}
		for _, email := range []string{"stranger@gmail.com", "who@gmail.com"} {
			if p := w.person(email); p.Email != "" {
				t.Errorf("%s is stored", email)
			}
		}
		if len(w.started) != 1 {
			t.Errorf("runs started: %v", w.started)
		}
		got := w.receipts()
		if len(got) != 1 || got[0].Code != liwanag.CodeInvalidEmail ||
			!strings.HasPrefix(got[0].Reason, "1 of 9 elements could not be taken") || strings.Contains(got[0].Reason, "nobody") {
			t.Errorf("%+v", got)
		}
	})
}

func TestSomebodyUnknownWhoLeavesIsNobody(t *testing.T) {
	w := newWorld(t)
	_, token := w.create(liwanag.SourceGeneric, events)
	if a := w.send(token, `{"type":"out","email":"ann@gmail.com"}`); a.State != liwanag.ReceiptIgnored {
		t.Errorf("%+v", a)
	}
	if a := w.send(token, `{"type":"login"}`); a.State != liwanag.ReceiptIgnored {
		t.Errorf("%+v", a)
	}
	if got := w.receipts(); len(got) != 2 || got[0].Code != codeNotASignUp || got[1].Code != codeNobody {
		t.Errorf("%+v", got)
	}
}

func TestTheSameDeliveryAtOnceIsTakenInOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, token := w.create(liwanag.SourceGeneric, `{"proof":"path"}`)
		answers := make([]Answer, 32)
		var calls sync.WaitGroup
		for i := range answers {
			calls.Go(func() {
				answer, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, token, http.Header{"Idempotency-Key": {"k"}},
					[]byte(`{"email":"ann@gmail.com"}`))
				if err != nil {
					t.Error(err)
				}
				answers[i] = answer
			})
		}
		calls.Wait()
		for _, a := range answers {
			if a != answers[0] || a.Created != 1 {
				t.Errorf("%+v beside %+v", a, answers[0])
			}
		}
		if got := w.receipts(); len(got) != 1 {
			t.Errorf("%d receipts", len(got))
		}
		if n := len(w.meter.accepted); n != 32 || w.meter.accepted[0] != "generic" {
			t.Errorf("%d are counted", n)
		}
	})
}

// failing fails a Write after its work was done.
type failing struct{ datastore.Database }

func (f failing) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	return f.Database.Write(ctx, func(w datastore.Writer) error { return errors.Join(fn(w), liwanag.ErrDatabase) })
}

func TestPeopleAndReceiptAreWrittenTogetherOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, token := w.create(liwanag.SourceGeneric, `{"proof":"path"}`)
		whole := w.service.store
		w.service.store = whole.Through(func(db datastore.Database) datastore.Database { return failing{db} })
		_, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, token, http.Header{}, []byte(`{"email":"ann@gmail.com"}`))
		if !errors.Is(err, liwanag.ErrDatabase) || w.person("ann@gmail.com").Email != "" || len(w.receipts()) != 0 || len(w.started) != 0 {
			t.Errorf("%v, %+v, started %v", err, w.receipts(), w.started)
		}
		w.service.store = whole
		if a := w.send(token, `{"email":"ann@gmail.com"}`); a.Created != 1 || len(w.started) != 1 {
			t.Errorf("%+v", a)
		}
	})
}

func TestAnEventsIDHoldsAcrossDeliveriesOfItsSource(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, one := w.create(liwanag.SourceGeneric, events)
		_, two := w.create(liwanag.SourceGeneric, events)
		first := `{"type":"in","email":"ann@gmail.com","event":7}`
		w.send(one, first)
		if a := w.send(one, `[`+first+`,{"type":"in","email":"bob@gmail.com","event":8}]`); a.Created != 1 || a.Updated != 0 {
			t.Errorf("%+v", a)
		}
		if a := w.send(two, first); a.Updated != 1 {
			t.Errorf("another source: %+v", a)
		}
		// What could not be taken is not remembered.
		if _, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, one, nil,
			[]byte(`{"type":"in","email":"x","event":9}`)); liwanag.CodeOf(err) != liwanag.CodeInvalidEmail {
			t.Error(err)
		}
		if a := w.send(one, `{"type":"in","email":"eve@gmail.com","event":9}`); a.Created != 1 {
			t.Errorf("%+v", a)
		}
	})
}

func TestAValueThatIsNoUseCostsNoSubscriber(t *testing.T) {
	w := newWorld(t)
	_, token := w.create(liwanag.SourceGeneric,
		`{"proof":"path","fields":{"email":"/e","companyDomain":"/d","linkedinUrl":"/l","timestamp":"/t"}}`)
	w.send(token, `{"e":"ann@gmail.com","d":"n/a","l":"https://example.com/ann","t":"yesterday"}`)
	if p := w.person("ann@gmail.com"); p.Summary.CompanyDomain != "" || p.Source != "Shop" ||
		string(p.Metadata) != `{"linkedinUrl":"https://example.com/ann","timestamp":"yesterday"}` {
		t.Errorf("%+v %s", p, p.Metadata)
	}
}

func TestKeepingNothingIsNotTheDefault(t *testing.T) {
	w := newWorld(t)
	made, _ := w.create(liwanag.SourceMailchimp, `{"keep":[]}`)
	stored, err := w.service.setUp(made.Source)
	if err != nil || len(stored.settings.Keep) != 0 || len(stored.settings.Fields) == 0 {
		t.Errorf("%+v, %v", stored.settings, err)
	}
}

// retain forgets piece by piece, until there is no more.
func (w *world) retain() {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.service.Retain(w.t.Context())
		w.must(err)
	}
}

func TestNothingIsKeptLongerThanItIsSaidToBe(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		made, token := w.create(liwanag.SourceGeneric, `{"proof":"path"}`)
		w.send(token, `{"email":"ann@gmail.com"}`)
		if _, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, token, nil,
			[]byte(`{}`)); liwanag.CodeOf(err) != liwanag.CodeInvalidEmail {
			t.Fatal(err)
		}
		kept := func() (out []string) {
			w.retain()
			for _, r := range w.receipts() {
				out = append(out, string(r.State)+map[bool]string{true: " with its body"}[r.Kept])
			}
			slices.Sort(out)
			return out
		}
		for _, c := range []struct {
			after time.Duration
			want  string
		}{{0, "accepted with its body, rejected with its body"}, {7*24*time.Hour - time.Hour, "accepted with its body, rejected with its body"},
			{2 * time.Hour, "accepted, rejected with its body"}, {23 * 24 * time.Hour, ""}} {
			w.advance(c.after)
			if got := strings.Join(kept(), ", "); got != c.want {
				t.Errorf("after %s more: %s, want %s", c.after, got, c.want)
			}
		}
		w.send(token, `{"email":"bob@gmail.com"}`)
		w.must(w.service.Delete(t.Context(), made.ID))
		if got := w.receipts(); len(got) != 0 {
			t.Errorf("of a source that was deleted: %+v", got)
		}
	})
}

func TestShorterRetentionKeepsLess(t *testing.T) {
	w := newWorld(t)
	w.service.cfg.Retention = 24 * time.Hour
	_, token := w.create(liwanag.SourceGeneric, `{"proof":"path"}`)
	w.send(token, `{"email":"ann@gmail.com"}`)
	w.advance(25 * time.Hour)
	w.retain()
	if got := w.receipts(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if more, err := w.service.Retain(t.Context()); more || err != nil {
		t.Errorf("there is more where there is nothing: %v", err)
	}
}

func TestRefusalsAreCountedByKindAndCode(t *testing.T) {
	w := newWorld(t)
	_, ghost := w.create(liwanag.SourceGhost, "")
	for _, c := range []struct {
		kind  liwanag.SourceKind
		token string
	}{{liwanag.SourceGhost, ghost}, {liwanag.SourceKit, ghost}, {"anything " + liwanag.SourceKind(ghost), ghost}} {
		if _, err := w.service.Receive(t.Context(), c.kind, c.token, http.Header{}, []byte("{}")); err == nil {
			t.Errorf("%+v was taken in", c)
		}
	}
	if want := []string{"ghost signature_missing", "kit unknown_source", "unknown unknown_source"}; !slices.Equal(w.meter.refused, want) ||
		w.meter.accepted != nil {
		t.Errorf("%q, %q", w.meter.refused, w.meter.accepted)
	}
}

func TestTheTokenAndTheAddressesOfPeopleAreNotAmongWhatIsRemembered(t *testing.T) {
	for _, what := range []string{"delivery", "event", "rejected 17"} {
		if got := nameOf(what, "mailchimp subscribe ann@gmail.com"); strings.Contains(got, "@") || len(got) > len(what)+65 {
			t.Error(got)
		}
	}
	w := newWorld(t)
	made, token := w.create(liwanag.SourceMailchimp, "")
	stored, err := w.store.Sources.Get(t.Context(), made.ID)
	w.must(err)
	if raw, err := json.Marshal(stored); err != nil || strings.Contains(string(raw), token) || len(token) != 43 {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestOldSecretsAreForgottenAfterTwoMore(t *testing.T) {
	w := newWorld(t)
	made, _ := w.create(liwanag.SourceGhost, "")
	for range 4 {
		rotated, err := w.service.Rotate(t.Context(), made.ID, Rotation{MakeSecret: true})
		if err != nil || rotated.Secrets[0] != rotated.Secret || len(rotated.Secrets) > maxSecrets {
			t.Errorf("%+v, %v", rotated, err)
		}
	}
	stored, err := w.store.Sources.Get(t.Context(), made.ID)
	if err != nil || len(stored.Secrets) != maxSecrets || slices.Contains(stored.Secrets, made.Secret) {
		t.Errorf("%+v, %v", stored, err)
	}
}

func BenchmarkReceive(b *testing.B) {
	w := newWorld(b)
	_, token := w.create(liwanag.SourceGeneric, `{"proof":"path","fields":{"email":"/email"},"keep":["/*"]}`)
	var n atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := fmt.Sprintf(`{"email":"p%d@gmail.com","plan":"gold"}`, n.Add(1))
			if _, err := w.service.Receive(b.Context(), liwanag.SourceGeneric, token, http.Header{}, []byte(body)); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestASecretThatIsSentAsItIsIsStoredAsItsHash(t *testing.T) {
	w := newWorld(t)
	made, token := w.create(liwanag.SourceGeneric, `{"proof":"bearer"}`)
	stored, err := w.store.Sources.Get(t.Context(), made.ID)
	w.must(err)
	if len(stored.Secrets) != 1 || strings.Contains(stored.Secrets[0], made.Secret) || made.Secret == "" {
		t.Fatalf("stored %q", stored.Secrets)
	}
	stored.Secrets = []string{made.Secret} // as an older release did
	w.must(w.store.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Sources.Update(stored) }))
	w.must(w.service.Seal(t.Context()))
	sealed, err := w.store.Sources.Get(t.Context(), made.ID)
	w.must(err)
	if len(sealed.Secrets) != 1 || strings.Contains(sealed.Secrets[0], made.Secret) {
		t.Errorf("stored %q after the start", sealed.Secrets)
	}
	for secret, ok := range map[string]bool{made.Secret: true, sealed.Secrets[0]: false} {
		_, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, token, http.Header{"Authorization": {"Bearer " + secret}}, []byte(`{"email":"a@gmail.com"}`))
		if ok != (err == nil) {
			t.Errorf("with %q: %v", secret, err)
		}
	}
}
