package httpapi

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestTheOverviewShowsWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := []runapi.RunCount{{Workflow: "subscriber-enrichment", Version: 1, Status: "waiting", Step: "wait-for-webhook", Runs: 2},
			{Workflow: "subscriber-enrichment", Version: 1, Status: "waiting", Step: "batch-pending-jobs", Runs: 3},
			{Workflow: "other", Version: 1, Status: "completed", Runs: 4}}
		w := newWorld(t, func(c *Config) { c.Counts = func(context.Context) ([]runapi.RunCount, error) { return counts, nil } })
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
		w.must(err)
		_, err = api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "boss@acme.example"})
		w.must(err)
		for _, err := range c.WatchRun(ctx, added.RunID, time.Second) {
			w.must(err)
		}
		for during, spans := range map[string]int{"": 24, "24h": 24, "7d": 7, "30d": 30} {
			o, err := api.GetOverview.Call(ctx, c, api.OverviewRequest{Range: during})
			w.must(err)
			last := o.Spans[len(o.Spans)-1]
			if len(o.Spans) != spans || last.SignUps != 2 || last.Enriched != 1 || last.NotFound != 0 || last.Failed != 0 || o.At.IsZero() {
				t.Errorf("%s: %d spans, the last is %+v", during, len(o.Spans), last)
			}
			if (spans != 24) != (last.Spent > 0) {
				t.Errorf("%s: spent %d", during, last.Spent)
			}
			if o.Subscribers["enriched"] != 1 || o.Subscribers["none"] != 1 || o.Jobs["enriched"] != 1 || o.Submissions["settled"] != 1 ||
				o.Credits.Spent == 0 {
				t.Errorf("%+v", o)
			}
			if o.Runs["waiting"] != 5 || o.Runs["completed"] != 4 {
				t.Errorf("runs %v", o.Runs)
			}
			if len(o.Attention) != 0 {
				t.Errorf("needs a person: %+v", o.Attention)
			}
		}
		list, err := runapi.CountRuns.Call(ctx, c, runapi.WorkflowPath{Name: "subscriber-enrichment"})
		w.must(err)
		if len(list.Items) != 2 || list.Items[0].Step != "wait-for-webhook" || list.Items[0].Runs != 2 {
			t.Errorf("%+v", list)
		}
		_, err = runapi.CountRuns.Call(ctx, c, runapi.WorkflowPath{Name: "nonsense"})
		wantCode(t, err, 404, "not_found")
		_, err = api.GetOverview.Call(ctx, c, api.OverviewRequest{Range: "1y"})
		wantCode(t, err, 400, "bad_parameter")
	})
}

func TestWhatNeedsAPersonIsNamed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CreditsLow = 100 })
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	source := w.addSource("generic", "", "")
	w.deliver(source, `{}`) // unsigned
	refusing, failing, disabled := w.id(liwanag.SourceIDKind, source.ID), liwanag.NewID(liwanag.SinkKind), liwanag.NewID(liwanag.SinkKind)
	w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
		return errors.Join(
			tx.Ledger.SetSpending(liwanag.Spending{Paused: true, Reason: liwanag.WaitingPaused, Note: "budget talks"}),
			tx.Ledger.SetBalance(liwanag.Balance{Credits: 12, At: now}),
			tx.Sinks.Insert(liwanag.Sink{ID: failing, Name: "CRM", URL: "https://crm.example", FailingSince: now, CreatedAt: now, UpdatedAt: now}),
			tx.Sinks.Insert(liwanag.Sink{ID: disabled, Name: "Old", URL: "https://old.example", Disabled: true,
				DisabledReason: "everything failed", FailingSince: now, CreatedAt: now, UpdatedAt: now}),
		)
	}))
	o, err := api.GetOverview.Call(ctx, w.client(), api.OverviewRequest{})
	w.must(err)
	got := map[string]api.Attention{}
	for _, a := range o.Attention {
		got[a.Kind] = a
		if a.Message == "" {
			t.Errorf("%s says nothing", a.Kind)
		}
	}
	for kind, id := range map[string]string{"spending_paused": "", "credits_low": "", "sink_failing": failing.String(),
		"sink_disabled": disabled.String(), "source_refusing": refusing.String()} {
		if a, ok := got[kind]; !ok || a.ID != id {
			t.Errorf("%s: %+v of %+v", kind, a, o.Attention)
		}
	}
	if len(o.Attention) != 5 || o.Attention[0].Kind != "spending_paused" {
		t.Errorf("%+v", o.Attention)
	}
}

func TestManyWhoLookCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counted atomic.Int32
		w := newWorld(t, func(c *Config) {
			c.Counts = func(context.Context) ([]runapi.RunCount, error) {
				counted.Add(1)
				time.Sleep(time.Second)
				return nil, nil
			}
		})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := api.GetOverview.Call(t.Context(), w.client(), api.OverviewRequest{}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := w.server.getOverview(impatient, &api.OverviewRequest{Range: "24h"}); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(began) > 10*time.Millisecond {
			t.Errorf("who is gone waits on: %v after %s", err, time.Since(began))
		}
		all.Wait()
		if n := counted.Load(); n != 1 {
			t.Errorf("counted %d times", n)
		}
		time.Sleep(overviewLasts)
		_, err := api.GetOverview.Call(t.Context(), w.client(), api.OverviewRequest{})
		w.must(err)
		if n := counted.Load(); n != 2 {
			t.Errorf("what is old is shown: counted %d times", n)
		}
		_, err = api.PauseSubmissions.Call(t.Context(), w.client(), api.PauseRequest{Body: &api.Reason{Reason: "budget talks"}})
		w.must(err)
		o, err := api.GetOverview.Call(t.Context(), w.client(), api.OverviewRequest{})
		w.must(err)
		if !o.Credits.Paused || counted.Load() != 3 {
			t.Errorf("who acted does not see it: %+v", o.Credits)
		}
	})
}

func (w *world) id(kind liwanag.Kind, text string) liwanag.ID {
	w.t.Helper()
	id, err := liwanag.ParseID(kind, text)
	w.must(err)
	return id
}
