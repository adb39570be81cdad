package httpapi

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// snoozing is a runner with runs that all snooze.
type snoozing struct {
	workflow.Runner
	runs []workflow.Run
}

func (s snoozing) List(context.Context, workflow.Query) (workflow.Page, error) {
	return workflow.Page{Runs: s.runs}, nil
}

func TestAPageTakesAsManyQueriesHoweverLongItIs(t *testing.T) {
	var runs []workflow.Run
	var ids []liwanag.ID
	for range 500 {
		ids = append(ids, liwanag.NewID(liwanag.RunKind))
		runs = append(runs, workflow.Run{ID: ids[len(ids)-1].String(), Status: workflow.StatusWaiting,
			WaitingFor: &workflow.WaitingFor{Step: "submit-to-fullenrich", Kind: workflow.WaitSnooze}})
	}
	var queries atomic.Int64
	w := newWorld(t, func(c *Config) {
		c.Runner = snoozing{c.Runner, runs}
		c.Store = datastoretest.Watch(c.Store, nil, func(query string, _ []any) error {
			if !strings.Contains(query, "FROM spending") {
				queries.Add(1)
			}
			return nil
		})
		uploads, err := intake.NewUploads(c.Store, c.Enrichment.(*enrichment.Service), intake.Config{})
		if err != nil {
			t.Fatal(err)
		}
		c.Uploads = uploads
	})
	w.must(w.store.Write(t.Context(), func(tx *datastore.Tx) error {
		var batches []liwanag.Batch
		for _, id := range ids[:3] {
			batches = append(batches, liwanag.Batch{RunID: id, State: liwanag.BatchOpen, Waiting: liwanag.WaitingPaused,
				ClosesAt: time.Now(), CreatedAt: time.Now()})
		}
		if err := tx.Batches.Insert(batches); err != nil {
			return err
		}
		for range 40 {
			up := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), Status: liwanag.UploadDone, CreatedAt: time.Now()}
			if err := tx.Uploads.Insert(up); err != nil {
				return err
			}
		}
		return nil
	}))
	page, err := runapi.ListRuns.Call(t.Context(), w.client(), runapi.RunQuery{Paging: runapi.Paging{Limit: 500}})
	w.must(err)
	if n := queries.Swap(0); n != 1 || len(page.Items) != 500 || page.Items[2].WaitingFor.Reason != "paused" ||
		page.Items[3].WaitingFor.Reason != "" {
		t.Errorf("%d runs took %d queries: %+v", len(page.Items), n, page.Items[2].WaitingFor)
	}
	uploads, err := api.ListUploads.Call(t.Context(), w.client(), api.UploadQuery{Paging: runapi.Paging{Limit: 50}})
	w.must(err)
	if n := queries.Load(); n != 2 || len(uploads.Items) != 40 {
		t.Errorf("%d uploads took %d queries", len(uploads.Items), n)
	}
}
