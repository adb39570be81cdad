package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func (s *Server) registerBulk() {
	cancel := s.describe("POST", runsPath+"/cancel", "cancel-runs", "Cancel all open runs that match", 200)
	retry := s.describe("POST", runsPath+"/retry", "retry-runs", "Retry all failed, timed-out and canceled runs that match", 200)
	handle(s, cancel, func(ctx context.Context, in *struct{ Body bulkAct }) (bulkResult, error) {
		reason := cmp.Or(in.Body.Reason, defaultReason)
		return s.bulk(ctx, in.Body, func(r workflow.Run) bool { return !r.Status.Ended() && !r.CancelRequested },
			func(ctx context.Context, id string) error { return s.cfg.Enrichment.CancelRun(ctx, id, reason) })
	})
	handle(s, retry, func(ctx context.Context, in *struct{ Body bulkAct }) (bulkResult, error) {
		if in.Body.Expect == 0 && !in.Body.DryRun {
			return bulkResult{}, countNeeded("runs")
		}
		return s.bulk(ctx, in.Body, func(r workflow.Run) bool { return r.Status.Ended() && r.Status != workflow.StatusCompleted },
			func(ctx context.Context, id string) error { return s.cfg.Enrichment.RetryRun(ctx, id, "") })
	})
}

// bulkAct selects runs and says how sure the caller is.
type bulkAct struct {
	Workflow string    `json:"workflow,omitempty" maxLength:"200"`
	Status   string    `json:"status,omitempty" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Since    time.Time `json:"since,omitzero" doc:"Created at or after."`
	Until    time.Time `json:"until,omitzero" doc:"Created before."`
	Query    string    `json:"q,omitempty" maxLength:"500" doc:"A run id, an enrichment id, or an e-mail address of its jobs."`
	Reason   string    `json:"reason,omitempty" maxLength:"500" doc:"Kept with canceled runs and in the audit trail."`
	DryRun   bool      `json:"dryRun,omitempty" doc:"Only count."`
	Expect   int64     `json:"expect,omitempty" minimum:"0" doc:"How many were counted before: when more match by now nothing is done, 409 count_differs. 0: whatever matches, for a cancel; a retry may order lookups, and needs it."`
}

// bulkResult says what became of the selected runs.
type bulkResult struct {
	Matched int64       `json:"matched" doc:"To how many the act can be done."`
	Done    int64       `json:"done"`
	Failed  []bulkFault `json:"failed" nullable:"false" doc:"The first 100 of them."`
	DryRun  bool        `json:"dryRun,omitempty"`
}

// bulkFault is a run to which the act could not be done.
type bulkFault struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

const (
	bulkAtOnce = 16 // acts share commits, so some at once are faster than one by one
	bulkFaults = 100
	bulkPage   = 500
)

// bulk does something to all runs that a filter selects and that it can be done
// to. Who hangs up ends it where it is: what is done stays done, and doing it
// again goes on with the rest.
func (s *Server) bulk(ctx context.Context, in bulkAct, fits func(workflow.Run) bool, do func(context.Context, string) error) (bulkResult, error) {
	result := bulkResult{Failed: []bulkFault{}, DryRun: in.DryRun}
	ids, err := s.matching(ctx, in, fits)
	if err != nil {
		return bulkResult{}, err
	}
	result.Matched = int64(len(ids))
	if in.Expect > 0 && result.Matched > in.Expect {
		return bulkResult{}, newProblem(http.StatusConflict, "count_differs", "more runs match than were counted before: count them again")
	}
	if in.DryRun {
		return result, nil
	}
	work, ended, mu := make(chan string), sync.WaitGroup{}, sync.Mutex{}
	for range bulkAtOnce {
		ended.Go(func() {
			for id := range work {
				err := do(ctx, id)
				mu.Lock()
				if err == nil {
					result.Done++
				} else if p := s.problemOf(ofRunner(err)); len(result.Failed) < bulkFaults {
					result.Failed = append(result.Failed, bulkFault{id, p.Code, p.Detail})
				}
				mu.Unlock()
			}
		})
	}
	for i, id := range ids {
		if i%bulkAtOnce == 0 {
			scopeOf(ctx).extend()
		}
		if ctx.Err() != nil {
			break
		}
		work <- id
	}
	close(work)
	ended.Wait()
	return result, ctx.Err()
}

// matching lists the runs that a bulk act is for.
func (s *Server) matching(ctx context.Context, in bulkAct, fits func(workflow.Run) bool) (ids []string, err error) {
	if fault := unclear(in.Query); fault != "" {
		return nil, invalidFilter("q", fault)
	}
	query, some, err := s.runQuery(ctx, workflow.Query{Workflow: in.Workflow, Status: workflow.Status(in.Status), Since: in.Since, Until: in.Until, Limit: bulkPage}, in.Query)
	if err != nil || !some {
		return nil, err
	}
	for {
		scopeOf(ctx).extend()
		page, err := s.cfg.Runner.List(ctx, query)
		if err != nil {
			return nil, ofRunner(err)
		}
		for _, r := range page.Runs {
			if fits(r) {
				ids = append(ids, r.ID)
			}
		}
		if query.Cursor = page.Next; query.Cursor == "" {
			return ids, nil
		}
	}
}

// runQuery completes a query by the text that was searched for; false: it names
// nothing, so nothing matches.
func (s *Server) runQuery(ctx context.Context, query workflow.Query, text string) (_ workflow.Query, some bool, err error) {
	if query.Workflow != "" && s.definition(query.Workflow, 0) == nil {
		return query, false, badParameter("workflow", "there is no such workflow")
	}
	if text = strings.TrimSpace(text); text != "" {
		query.IDs, err = s.runsAbout(ctx, text)
		return query, len(query.IDs) > 0, err
	}
	return query, true, nil
}
