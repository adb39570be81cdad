package httpapi

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// padding makes a result larger than any event may be.
var padding = strings.Repeat("x", 100<<10)

func TestResultsThatAreGivenByHandStayOutOfTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, quiet := range []simulator.Action{simulator.ActionWebhookNever, simulator.ActionContactNever} {
			_, err := w.sim.AddFault(simulator.Fault{Action: quiet})
			w.must(err)
		}
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
		w.must(err)
		events := "/api/v1/runs/" + added.RunID + "/events"
		given := `{"id":"by-hand","type":"enrichment-complete","data":{"results":[{"input":{"email":"ada@gmail.com"},
			"profile":{"full_name":"Ada Lovelace","headline":"` + padding + `"}}]}}`
		w.wantProblem(w.call("POST", events, given), 409, "state")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.wantProblem(w.call("POST", events, `{"type":"enrichment-complete","data":{"deliveryId":"00"}}`), 422, "invalid_field")
		w.wantProblem(w.call("POST", events, `{"type":"enrichment-complete","data":{"results":{}}}`), 422, "invalid_field")
		if r := answerOf[runapi.EventReceipt](w, w.call("POST", events, given), 202); r.ID != "by-hand" || r.Duplicate || r.Late {
			t.Errorf("receipt %+v", r)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		run, err := w.engine.Describe(ctx, added.RunID)
		w.must(err)
		if run.Status != "completed" || len(run.Events) != 1 {
			t.Errorf("run %s %+v", run.Status, run.Events)
		}
		if text := string(run.Events[0].Data); strings.Contains(text, "Ada") || strings.Contains(text, "ada") ||
			!strings.Contains(text, "deliveryId") {
			t.Errorf("the event holds %.200s", text)
		}
		if person, err := api.GetSubscriber.Call(ctx, c, runapi.ID(added.SubscriberID)); err != nil || person.FullName != "Ada Lovelace" {
			t.Errorf("%+v %v", person, err)
		}
		if r := answerOf[runapi.EventReceipt](w, w.call("POST", events, given), 202); !r.Duplicate && !r.Late {
			t.Errorf("the same event again: %+v", r)
		}
	})
}
