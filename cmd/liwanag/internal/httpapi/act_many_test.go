package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// act does something to many people.
func (w *world) act(verb, body string) (got api.ActedMany) {
	w.t.Helper()
	rec := w.call("POST", "/api/v1/subscribers/"+verb, body)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", verb, body, rec.Code, rec.Body)
	}
	w.must(json.Unmarshal(rec.Body.Bytes(), &got))
	return got
}

// add adds a person.
func (w *world) add(email string) {
	w.t.Helper()
	_, err := api.AddSubscriber.Call(context.Background(), w.client(), api.SignUp{Email: email})
	w.must(err)
}

// here are the addresses that a query selects, in order.
func (w *world) here(query string) []string {
	w.t.Helper()
	all := emails(w.t.(*testing.T), w.call("GET", "/api/v1/subscribers?"+query, "").Body.String())
	slices.Sort(all)
	return all
}

func TestManyAreUnsubscribedSuppressedAndErasedAfterACount(t *testing.T) {
	w := newWorld(t)
	w.leads()
	w.add("c.id@gmail.com") // a second address of cid's mailbox
	if got, want := w.act("unsubscribe", `{"filter":{"country":"germany"},"dryRun":true}`),
		(api.ActedMany{Count: 2, Rows: 2, DryRun: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if left := w.here("subscribed=false"); left != nil {
		t.Errorf("a dry run unsubscribed %v", left)
	}
	if got, want := w.act("unsubscribe", `{"filter":{"country":"germany"},"expect":2,"reason":"moved"}`),
		(api.ActedMany{Count: 2, Rows: 2, Changed: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if left := w.here("subscribed=false"); !slices.Equal(left, []string{"ana@gmail.com", "bo@gmail.com"}) {
		t.Errorf("unsubscribed: %v", left)
	}
	if got, want := w.act("suppress", `{"ids":["cid@gmail.com"],"reason":"asked"}`), (api.ActedMany{Count: 1, Rows: 2, Changed: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if rec := w.call("POST", "/api/v1/subscribers", `{"email":"cid@gmail.com"}`); !json.Valid(rec.Body.Bytes()) || rec.Code != http.StatusAccepted ||
		!slices.Equal(w.here("subscribed=true"), nil) {
		t.Errorf("a suppressed person came back: %d %s", rec.Code, rec.Body)
	}
	if got, want := w.act("erase", `{"filter":{"q":"cid"},"expect":1,"suppress":true,"reason":"letter"}`),
		(api.ActedMany{Count: 1, Rows: 2, Changed: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if all := w.here(""); !slices.Equal(all, []string{"ana@gmail.com", "bo@gmail.com"}) {
		t.Errorf("after the erasure: %v", all)
	}
	var acts runapi.List[api.Act]
	w.must(json.Unmarshal(w.call("GET", "/api/v1/audit?act=subscribers.erase", "").Body.Bytes(), &acts))
	if len(acts.Items) != 1 || acts.Items[0].Reason != "people: 1; letter" {
		t.Errorf("audited: %+v", acts.Items)
	}
}

func TestWhoeverWentBetweenTheCountAndTheActEndsIt(t *testing.T) {
	w := newWorld(t)
	w.leads()
	var ids []string
	for _, email := range []string{"ana@gmail.com", "bo@gmail.com"} {
		ids = append(ids, w.person(email).ID.String())
	}
	both, _ := json.Marshal(ids)
	if _, err := w.service.Erase(context.Background(), w.person("bo@gmail.com").ID); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"unsubscribe", "suppress", "erase"} {
		path := "/api/v1/subscribers/" + verb
		w.wantProblem(w.call("POST", path, `{"filter":{"country":"germany"},"expect":2}`), http.StatusConflict, "count_differs")
		w.wantProblem(w.call("POST", path, fmt.Sprintf(`{"ids":%s,"expect":2}`, both)), http.StatusConflict, "count_differs")
		w.wantProblem(w.call("POST", path, `{"filter":{}}`), http.StatusUnprocessableEntity, "count_needed")
		w.wantProblem(w.call("POST", path, `{"dryRun":true}`), http.StatusUnprocessableEntity, "invalid_field")
		w.wantProblem(w.call("POST", path, `{"ids":["ana"],"dryRun":true}`), http.StatusUnprocessableEntity, "invalid_field")
		w.wantProblem(w.call("POST", path, `{"filter":{"q":"\u0000"},"dryRun":true}`), http.StatusBadRequest, "invalid_filter")
		w.wantProblem(w.call("POST", path, `{"filter":{"none":"x"},"dryRun":true}`), http.StatusBadRequest, "invalid_filter")
	}
	if all := w.here("subscribed=true"); len(all) != 2 {
		t.Errorf("something was done: %v", all)
	}
	got, want := w.act("unsubscribe", fmt.Sprintf(`{"ids":%s}`, both)), api.ActedMany{Count: 1, Rows: 1, Changed: 1, Missing: 1}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// hangingUp is an Enrichment whose caller hangs up while it deals with the first piece.
type hangingUp struct {
	Enrichment
	hangUp func()
	pieces int
}

func (h *hangingUp) UnsubscribeAll(ctx context.Context, ids []liwanag.ID) (int, error) {
	h.pieces++
	h.hangUp()
	return h.Enrichment.UnsubscribeAll(context.WithoutCancel(ctx), ids)
}

func TestAnActOnManyThatIsCutOffGoesOnWithTheRest(t *testing.T) {
	ctx, hangUp := context.WithCancel(context.Background())
	cut := &hangingUp{hangUp: hangUp}
	w := newWorld(t, func(c *Config) { cut.Enrichment, c.Enrichment = c.Enrichment, cut })
	for n := range actPiece + 20 {
		w.add(fmt.Sprintf("p%03d@mail.example", n))
	}
	w.do(request("POST", "/api/v1/subscribers/unsubscribe", `{"filter":{},"expect":120}`).WithContext(ctx))
	if left := w.here("subscribed=false&limit=500"); cut.pieces != 1 || len(left) != actPiece {
		t.Errorf("%d pieces, %d left", cut.pieces, len(left))
	}
	if got := w.act("unsubscribe", `{"filter":{},"expect":120}`); got.Changed != 20 {
		t.Errorf("the same once more: %+v", got)
	}
}

// scrubFails is an Enrichment whose first erasure leaves the scrub undone.
type scrubFails struct {
	Enrichment
	erased int
}

func (s *scrubFails) Erase(ctx context.Context, id liwanag.ID) (int, error) {
	if s.erased++; s.erased > 1 {
		return 0, nil // the rest was done
	}
	rows, err := s.Enrichment.Erase(ctx, id)
	return rows, errors.Join(err, errors.New("no room to scrub"))
}

func TestAnErasureWhoseScrubFailedIsRepeated(t *testing.T) {
	fails := &scrubFails{}
	w := newWorld(t, func(c *Config) { fails.Enrichment, c.Enrichment = c.Enrichment, fails })
	added, err := api.AddSubscriber.Call(t.Context(), w.client(), api.SignUp{Email: "ann@mail.example"})
	w.must(err)
	at := "/api/v1/subscribers/" + added.SubscriberID
	if first := w.call("DELETE", at, ""); first.Code < 500 {
		t.Errorf("the scrub failed, the answer is %d", first.Code)
	}
	if again := w.call("DELETE", at, ""); again.Code != 204 || fails.erased != 2 {
		t.Errorf("once more: %d, after %d erasures: %s", again.Code, fails.erased, again.Body)
	}
}
