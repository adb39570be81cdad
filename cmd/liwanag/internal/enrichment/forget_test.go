package enrichment_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// atPOST does something while the paid call is on its way, and keeps what was
// fetched.
type atPOST struct {
	do      func()
	next    http.RoundTripper
	fetched [][]byte
}

func (a *atPOST) RoundTrip(r *http.Request) (*http.Response, error) {
	if do := a.do; r.Method == http.MethodPost && do != nil {
		a.do = nil
		do()
	}
	resp, err := a.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet {
		return resp, err
	}
	raw, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	a.fetched = append(a.fetched, raw)
	return resp, err
}

// said are the texts of all records of an address in a result of any shape.
func said(value any, job liwanag.ID, inside bool) (texts []string) {
	switch v := value.(type) {
	case string:
		if inside {
			return []string{v}
		}
	case []any:
		for _, item := range v {
			texts = append(texts, said(item, job, inside)...)
		}
	case map[string]any:
		if custom, ok := v["custom"].(map[string]any); ok {
			inside = custom["lw_job"] == job.String()
		}
		for key, item := range v {
			if key != "custom" {
				texts = append(texts, said(item, job, inside)...)
			}
		}
	}
	return texts
}

// tracesOf are the texts that the records of one job hold and those of another do
// not.
func (w *world) tracesOf(job, other liwanag.ID, bodies ...[]byte) (traces []string) {
	w.t.Helper()
	var shared []string
	for _, raw := range bodies {
		var body any
		w.must(json.Unmarshal(raw, &body))
		traces, shared = append(traces, said(body, job, false)...), append(shared, said(body, other, false)...)
	}
	traces = slices.DeleteFunc(traces, func(text string) bool { return len(text) < 8 || slices.Contains(shared, text) })
	if len(traces) < 5 {
		w.t.Fatalf("the person has %d traces in %d bodies: this proves nothing", len(traces), len(bodies))
	}
	return traces
}

// filesOf is everything that lies beside the database: its log, and journals.
func (w *world) filesOf() string {
	w.t.Helper()
	var all strings.Builder
	w.must(filepath.WalkDir(filepath.Dir(w.path), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all.Write(raw)
		return err
	}))
	return all.String()
}

func TestALateResultOfWhoWasErasedNeverReachesTheDisk(t *testing.T) {
	takesSeconds(t)
	silent := []simulator.Fault{{Action: simulator.ActionWebhookNever}, {Action: simulator.ActionContactNever}}
	given := json.RawMessage(`[{"custom":{"lw_job":"%s"},"input":{"email":"` + ana + `"},"profile":{"full_name":"Ana Souza","headline":"Keeps bees at home",
		"phone":"+63 917 555 0199","location":{"city":"Dumaguete"},"employment":{"current":{"title":"Beekeeper in chief"}}}}]`)
	for name, c := range map[string]struct {
		faults []simulator.Fault
		then   func(w *world, run, job liwanag.ID) // after the call
		state  liwanag.DeliveryState
	}{
		"as usual":              {state: liwanag.DeliverySettled},
		"repeated":              {faults: []simulator.Fault{{Action: simulator.ActionWebhookDuplicate, Times: 3}}, state: liwanag.DeliverySettled},
		"before the answer":     {faults: []simulator.Fault{{Action: simulator.ActionWebhookBeforeAnswer}}, state: liwanag.DeliverySettled},
		"after a lost answer":   {faults: []simulator.Fault{{Action: simulator.ActionAcceptThenReset}}, state: liwanag.DeliverySettled},
		"with a foreign record": {faults: []simulator.Fault{{Action: simulator.ActionRowsExtra}}, state: liwanag.DeliveryQuarantined},
		"in another shape":      {faults: []simulator.Fault{{Action: simulator.ActionShapeV1, Where: simulator.WhereWebhook}}, state: liwanag.DeliveryQuarantined},
		"under a wrong token":   {faults: []simulator.Fault{{Action: simulator.ActionTokenWrong}}, state: liwanag.DeliverySettled},
		"fetched":               {faults: silent, state: liwanag.DeliverySettled},
		"after the run's end": {state: liwanag.DeliverySettled, then: func(w *world, run, _ liwanag.ID) {
			w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		}},
		"given by hand": {faults: silent, state: liwanag.DeliverySettled, then: func(w *world, run, job liwanag.ID) {
			_, err := w.life.svc.Emit(context.Background(), run, "by hand", json.RawMessage(fmt.Sprintf(string(given), job)))
			w.must(err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
				for _, f := range c.faults {
					w.fault(f)
				}
				var job liwanag.Job
				out := &atPOST{next: w.out}
				out.do = func() {
					job = w.job(ana)
					w.must(errOf(w.life.svc.Erase(context.Background(), w.subscriber(ana).ID)))
				}
				w.out = out
				run := w.signUp(ana, cid)[0]
				w.sleep(10 * time.Second)
				if c.then != nil {
					c.then(w, run, job.ID)
				}
				w.sleep(3 * time.Hour)

				bodies := append(w.bodies, out.fetched...)
				if name == "given by hand" {
					bodies = append(bodies, []byte(fmt.Sprintf(`{"data":`+string(given)+`}`, job.ID)))
				}
				w.filesLack(w.tracesOf(job.ID, w.job(cid).ID, bodies...))
				w.filesLack([]string{ana, "Ana Souza", "+63 917 555 0199"})
				w.wantDelivery(c.state)
				if name != "given by hand" { // for which nothing is charged
					w.wantBothCharged(job.ID)
				}
			})
		})
	}
}

// wantDelivery sees that a delivery has come to a state.
func (w *world) wantDelivery(state liwanag.DeliveryState) {
	states := map[liwanag.DeliveryState]int{}
	for _, d := range w.deliveries() {
		states[d.State]++
	}
	if states[state] == 0 {
		w.t.Errorf("no delivery is %s: %v", state, states)
	}
}

// filesLack sees that the files of the database hold none of some texts.
func (w *world) filesLack(texts []string) {
	all := w.filesOf()
	for _, text := range texts {
		if strings.Contains(all, text) {
			w.t.Errorf("the files hold %q", text)
		}
	}
}

// wantBothCharged sees that a lookup of who was erased is charged as that of cid, which went well.
func (w *world) wantBothCharged(job liwanag.ID) {
	erased, err := w.life.store.Jobs.Get(context.Background(), job)
	w.must(err)
	if neighbour := w.job(cid); erased.Credits != 1 || neighbour.Credits != 1 || neighbour.Status != liwanag.JobEnriched {
		w.t.Errorf("the erased person's lookup cost %d, the neighbour's %d (%s)", erased.Credits, neighbour.Credits, neighbour.Status)
	}
}

func TestWhoIsErasedBeforeTheirResultIsSettledCostsNobodyElse(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{FoundShare: 1}, func(w *world) {
		ctx := context.Background()
		w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
		w.fault(simulator.Fault{Action: simulator.ActionContactNever})
		run := w.signUp(ana, cid)[0]
		w.sleep(10 * time.Second)
		job, other := w.job(ana), w.job(cid)
		body := fmt.Sprintf(`{"id":%q,"status":"FINISHED","cost":{"credits":2},"data":[{"custom":{"lw_job":%q},"input":{"email":%q},"profile":{"full_name":"Ana Souza"}},`+
			`{"custom":{"lw_job":%q},"profile":{"full_name":"Cid Reyes"}}]}`, w.submissions(run)[0].EnrichmentID, job.ID, ana, other.ID)
		d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, State: liwanag.DeliveryStored, ReceivedAt: time.Now(),
			SubmissionID: w.submissions(run)[0].ID, Raw: []byte(body)}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error { _, err := tx.Deliveries.Insert(d); return err }))
		w.must(errOf(w.life.svc.Erase(ctx, w.subscriber(ana).ID)))
		w.wantNoTrace(ana, "Ana Souza")
		w.sleep(2 * time.Minute)
		w.wantNoTrace(ana, "Ana Souza")
		job, err := w.life.store.Jobs.Get(ctx, job.ID)
		w.must(err)
		if got := w.wantJob(cid, liwanag.JobEnriched, ""); job.Credits != 1 || got.Credits != 1 {
			t.Errorf("the erased person's lookup cost %d, the neighbour's %d", job.Credits, got.Credits)
		}
	})
}

func TestALateResultOfWhoWasErasedNeverReachesPostgresDisk(t *testing.T) {
	ctx, server := context.Background(), pgtest.NewServer(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: server.URL("postgres")})
	must(err)
	t.Cleanup(db.Close)
	store, err := postgres.New(ctx, db)
	must(err)
	key := fullenrich.Secret(simulator.DefaultKey)
	work, err := enrichment.NewEnricher(store, nil, enrichment.Config{PublicURL: publicURL, Keys: []fullenrich.Secret{key}})
	must(err)
	svc := enrichment.NewService(work, nil, nil) // taking results in concerns no run

	now := time.Now()
	person := func(email string) liwanag.SignUp {
		return liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), Email: email, EmailKey: email, EmailType: liwanag.Personal, At: now}
	}
	gone, stays := person(ana), person(cid)
	var opened []liwanag.Opened
	must(store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if _, err = tx.Subscribers.Upsert([]liwanag.SignUp{gone, stays}); err != nil {
			return err
		}
		opened, err = svc.Enroll(tx, []enrichment.Enrollment{{SubscriberID: gone.ID}, {SubscriberID: stays.ID}})
		return err
	}))
	must(errOf(svc.Erase(ctx, gone.ID)))

	body := []byte(fmt.Sprintf(`{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[`+
		`{"custom":{"lw_job":%q},"profile":{"full_name":"Zebedee Marker-Gone","phone":"+63 917 555 0199"}},`+
		`{"custom":{"lw_job":%q},"profile":{"full_name":"Zenobia Marker-Stays"}}]}`, opened[0].JobID, opened[1].JobID))
	if err := svc.Receive(ctx, "a token of another day", false, fullenrich.Sign(key, body), body); !errors.Is(err,
		enrichment.ErrUnknownToken) {
		t.Fatal(err)
	}
	rows, err := sql.Open("pgx", server.URL("postgres"))
	must(err)
	defer func() { _ = rows.Close() }()
	_, err = rows.ExecContext(ctx, "CHECKPOINT")
	must(err)
	var all strings.Builder
	must(filepath.WalkDir(filepath.Join(server.Dir, "data"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all.Write(raw)
		return err
	}))
	for text, want := range map[string]bool{"Zenobia Marker-Stays": true, "Zebedee Marker-Gone": false, "+63 917 555 0199": false} {
		if got := strings.Contains(all.String(), text); got != want {
			t.Errorf("the server's files hold %q: %t", text, got)
		}
	}
}
