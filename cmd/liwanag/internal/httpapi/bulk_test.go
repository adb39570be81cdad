package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// crowd runs the list of a bulk act over runs that are only pretended.
type crowd struct {
	Enrichment
	workflow.Runner
	all      []workflow.Run
	canceled chan string
	faulty   string
	takes    time.Duration // of one cancel
}

func (c *crowd) List(_ context.Context, q workflow.Query) (workflow.Page, error) {
	from := 0
	if q.Cursor != "" {
		_, _ = fmt.Sscan(q.Cursor, &from)
	}
	to := min(from+q.Limit, len(c.all))
	page := workflow.Page{Runs: c.all[from:to]}
	if to < len(c.all) {
		page.Next = fmt.Sprint(to)
	}
	return page, nil
}

func (c *crowd) CancelRun(_ context.Context, id, reason string) error {
	if id == c.faulty {
		return workflow.ErrEnded
	}
	time.Sleep(c.takes)
	c.canceled <- id + " " + reason
	return nil
}

func TestBulkActsReachEveryRunOfEveryPage(t *testing.T) {
	const n = 3*bulkPage + 7
	runs := &crowd{canceled: make(chan string, n)}
	for i := range n {
		r := workflow.Run{ID: fmt.Sprint("run", i), Workflow: "subscriber-enrichment", Status: workflow.StatusWaiting}
		if i%2 == 0 {
			r.Status = workflow.StatusCompleted
		}
		runs.all = append(runs.all, r)
	}
	runs.faulty = runs.all[1].ID
	w := newWorld(t, func(c *Config) {
		runs.Enrichment, runs.Runner, c.Enrichment, c.Runner = c.Enrichment, c.Runner, runs, runs
	})
	c := w.client()
	counted, err := runapi.CancelRuns.Call(t.Context(), c, runapi.BulkAct{DryRun: true})
	w.must(err)
	if counted.Matched != n/2 || counted.Done != 0 || !counted.DryRun || len(runs.canceled) > 0 {
		t.Errorf("dry run: %+v", counted)
	}
	_, err = runapi.CancelRuns.Call(t.Context(), c, runapi.BulkAct{Expect: counted.Matched - 1})
	wantCode(t, err, 409, "count_differs")
	if len(runs.canceled) > 0 {
		t.Error("more matched than were expected, and it was done")
	}
	done, err := runapi.CancelRuns.Call(t.Context(), c, runapi.BulkAct{Expect: counted.Matched, Reason: "enough"})
	w.must(err)
	if done.Matched != n/2 || done.Done != n/2-1 || len(done.Failed) != 1 || done.Failed[0].ID != runs.faulty ||
		done.Failed[0].Code != "run_ended" {
		t.Errorf("%+v", done)
	}
	close(runs.canceled)
	var got []string
	for one := range runs.canceled {
		got = append(got, one)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != n/2-1 || !slices.Contains(got, "run3 enough") {
		t.Errorf("%d canceled", len(got))
	}
}

func TestABulkActTakesAsLongAsItNeeds(t *testing.T) {
	const n = 2000
	runs := &crowd{canceled: make(chan string, n), takes: time.Second}
	for i := range n {
		runs.all = append(runs.all, workflow.Run{ID: fmt.Sprint("run", i), Status: workflow.StatusWaiting})
	}
	change := func(c *Config) {
		runs.Enrichment, runs.Runner, c.Enrichment, c.Runner = c.Enrichment, c.Runner, runs, runs
	}
	serving(t, change, func(t *testing.T, w *world, p *pipes, _ func() error) {
		conn, _ := p.dial()
		defer conn.Close()
		began := time.Now()
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /api/v1/runs/cancel HTTP/1.1\r\nHost: localhost\r\nAuthorization: "+
				"Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", apiKey)
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		w.must(err)
		body := readAll(t, res.Body)
		if took := time.Since(began); res.StatusCode != 200 || !strings.Contains(body, `"done":2000`) || took < door.ReadTimeout+
			door.WriteTimeout {
			t.Errorf("after %s: %s %s", took, res.Status, body)
		}
	})
}

func TestBulkActsFollowTheFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.must(w.service.SetBudget(t.Context(), new(int64(50))))
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		first, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
		w.must(err)
		none, err := runapi.CancelRuns.Call(ctx, c, runapi.BulkAct{Q: "grace@gmail.com"})
		w.must(err)
		if none.Matched != 0 {
			t.Errorf("somebody else's: %+v", none)
		}
		_, err = runapi.CancelRuns.Call(ctx, c, runapi.BulkAct{Workflow: "nonsense"})
		wantCode(t, err, 400, "bad_parameter")
		_, err = api.RetryRuns.Call(ctx, c, runapi.BulkAct{Status: "nonsense"})
		wantCode(t, err, 422, "invalid_field")
		done, err := runapi.CancelRuns.Call(ctx, c, runapi.BulkAct{Q: "ada@gmail.com", Workflow: "subscriber-enrichment"})
		w.must(err)
		if done.Done != 1 {
			t.Errorf("cancel: %+v", done)
		}
		for _, err := range c.WatchRun(ctx, first.RunID, 1e8) {
			w.must(err)
		}
		again, err := runapi.CancelRuns.Call(ctx, c, runapi.BulkAct{})
		w.must(err)
		if again.Matched != 0 {
			t.Errorf("cancel of what is over: %+v", again)
		}
		priced, err := api.RetryRuns.Call(ctx, c, runapi.BulkAct{Status: "canceled", DryRun: true})
		w.must(err)
		if priced.Matched != 1 || !priced.DryRun || priced.Lookups == nil || *priced.Lookups != 1 || *priced.Credits != 1 ||
			priced.BudgetLeft == nil || *priced.BudgetLeft != 50 {
			t.Errorf("dry run of a retry: %+v", priced)
		}
		retried, err := api.RetryRuns.Call(ctx, c, runapi.BulkAct{Status: "canceled", Expect: 100})
		w.must(err)
		if retried.Done != 1 {
			t.Errorf("retry: %+v", retried)
		}
		for _, err := range c.WatchRun(ctx, first.RunID, 1e8) {
			w.must(err)
		}
		if p := w.person("ada@gmail.com"); p.EnrichmentStatus != liwanag.JobEnriched {
			t.Errorf("after the retry: %s", p.EnrichmentStatus)
		}
	})
}

func TestABulkActEndsWhereItsCallerHangsUp(t *testing.T) {
	runs := &crowd{canceled: make(chan string)}
	for i := range 100 {
		runs.all = append(runs.all, workflow.Run{ID: fmt.Sprint("run", i), Status: workflow.StatusWaiting})
	}
	w := newWorld(t, func(c *Config) {
		runs.Enrichment, runs.Runner, c.Enrichment, c.Runner = c.Enrichment, c.Runner, runs, runs
	})
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := w.server.cancelRuns(ctx, &runapi.BulkAct{})
		ended <- err
	}()
	<-runs.canceled
	hangUp()
	n := 1
	for {
		select {
		case <-runs.canceled:
			n++
			continue
		case err := <-ended:
			if !errors.Is(err, context.Canceled) || n > 2*bulkAtOnce+2 {
				t.Errorf("%d of 100 were canceled: %v", n, err)
			}
		}
		return
	}
}

func TestAnErasedSubscriberIsGone(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
	w.must(err)
	w.must(erase(ctx, c, added.SubscriberID, "she asked for it"))
	_, err = api.GetSubscriber.Call(ctx, c, runapi.ID(added.SubscriberID))
	wantCode(t, err, 404, "not_found")
	wantCode(t, erase(ctx, c, added.SubscriberID, ""), 404, "not_found")
	wantCode(t, erase(ctx, c, "x", ""), 404, "not_found")
	acts, err := api.ListActs.Call(ctx, c, api.ActQuery{ActFilter: api.ActFilter{Subject: added.SubscriberID}})
	w.must(err)
	if len(acts.Items) != 2 || acts.Items[1].Act != "subscriber.erase" || acts.Items[1].Reason != "she asked for it" ||
		acts.Items[1].Actor != "key" {
		t.Errorf("%+v", acts.Items)
	}
}

func erase(ctx context.Context, c runapi.Caller, id, reason string) error {
	_, err := api.EraseSubscriber.Call(ctx, c, api.EraseRequest{IDPath: runapi.ID(id), Reason: reason})
	return err
}
