package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// receiver remembers what sinks were told: the messages of each subscriber.
type receiver struct {
	mu     sync.Mutex
	secret string
	faults []error
	calls  int
	toldOf map[string]map[string]bool // message ids by subscriber
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if wh, bad := standardwebhooks.NewWebhook(r.secret); err == nil {
		err = errors.Join(bad, wh.Verify(body, req.Header))
	}
	var told struct {
		Data struct{ Subscriber struct{ ID string } }
	}
	if err = errors.Join(err, json.Unmarshal(body, &told)); err != nil {
		r.faults = append(r.faults, err)
		return
	}
	r.calls++
	id := req.Header.Get("webhook-id")
	person := told.Data.Subscriber.ID
	if r.toldOf[person] == nil {
		r.toldOf[person] = map[string]bool{}
	}
	r.toldOf[person][id] = true
}

// A server that is killed again and again tells of every subscriber, once and
// under one id: what was under way when it died may arrive twice.
func TestAKilledServerTellsOfEverySubscriber(t *testing.T) {
	r := &receiver{toldOf: map[string]map[string]bool{}}
	hook := httptest.NewServer(r)
	defer hook.Close()
	w := newWorld(t, 240, 12)
	wanted := api.AddSinkRequest{URL: hook.URL, Topics: []string{"subscriber.enriched", "subscriber.enrichment_failed"}}
	sink, err := api.AddSink.Call(w.ctx, w.client, wanted)
	for ; err != nil; sink, err = api.AddSink.Call(w.ctx, w.client, wanted) {
		w.pause(10*time.Millisecond, err)
	}
	r.mu.Lock()
	r.secret = sink.Secret
	r.mu.Unlock()
	w.interrupt(func() { w.server.Kill() })
	for w.count("pending")+w.count("submitted") > 0 {
		w.pause(200*time.Millisecond, errors.New("jobs are still open"))
	}
	for {
		delivered, others, err := w.messages()
		if err == nil && delivered == w.addresses && len(others) == 0 {
			break
		}
		w.pause(100*time.Millisecond, errors.Join(err, fmt.Errorf("%d messages are delivered, not these: %+v", delivered, others)))
	}
	w.finish()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.toldOf) != w.addresses {
		t.Errorf("told of %d subscribers, want %d", len(r.toldOf), w.addresses)
	}
	for person, ids := range r.toldOf {
		if len(ids) != 1 {
			t.Errorf("%s was told of in %d messages", person, len(ids))
		}
	}
	if len(r.faults) > 0 {
		t.Errorf("%d calls were not as they should be, the first: %v", len(r.faults), r.faults[0])
	}
	t.Logf("%d calls for %d messages", r.calls, len(r.toldOf))
}

// messages counts those that are delivered and lists the others.
func (w *world) messages() (delivered int, others []api.Message, err error) {
	for m, err := range apiclient.All(w.ctx, func(ctx context.Context, p runapi.Paging) (runapi.List[api.Message], error) {
		return api.ListMessages.Call(ctx, w.client, api.MessageQuery{Paging: p})
	}) {
		if err != nil {
			return 0, nil, err
		}
		if m.State == "delivered" {
			delivered++
		} else {
			others = append(others, m)
		}
	}
	return delivered, others, nil
}
