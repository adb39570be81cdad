package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerBulk() {
	door.Serve(s.Door, runapi.CancelRuns, s.cancelRuns)
	door.Serve(s.Door, api.RetryRuns, s.retryRuns)
}

func (s *Server) cancelRuns(ctx context.Context, in *runapi.BulkAct) (runapi.BulkResult, error) {
	ids, err := s.counted(ctx, *in, func(r workflow.Run) bool { return !r.Status.Ended() && !r.CancelRequested })
	if err != nil || in.DryRun {
		return onlyCounted(ids), err
	}
	reason := cmp.Or(in.Reason, defaultReason)
	return s.toEach(ctx, ids, func(ctx context.Context, id string) error { return s.cfg.Enrichment.CancelRun(ctx, id, reason) })
}

func (s *Server) retryRuns(ctx context.Context, in *runapi.BulkAct) (api.RetriedRuns, error) {
	if in.Expect == 0 && !in.DryRun {
		return api.RetriedRuns{}, countNeeded("runs")
	}
	ids, err := s.counted(ctx, *in, func(r workflow.Run) bool { return r.Status.Ended() && r.Status != workflow.StatusCompleted })
	if err != nil {
		return api.RetriedRuns{}, err
	}
	if in.DryRun {
		return s.pricedRetry(ctx, ids)
	}
	result, err := s.toEach(ctx, ids, func(ctx context.Context, id string) error { return s.cfg.Enrichment.RetryRun(ctx, id, "") })
	return api.RetriedRuns{BulkResult: result}, err
}

// pricedRetry says what the retry of runs would order.
func (s *Server) pricedRetry(ctx context.Context, ids []string) (api.RetriedRuns, error) {
	var lookups atomic.Int64
	looked, err := s.toEach(ctx, ids, func(ctx context.Context, id string) error {
		n, err := s.cfg.Enrichment.WouldOrder(ctx, id)
		lookups.Add(n)
		return err
	})
	if err != nil {
		return api.RetriedRuns{}, err
	}
	answer := api.RetriedRuns{BulkResult: onlyCounted(ids)}
	answer.Failed = looked.Failed
	n := lookups.Load()
	answer.Lookups, answer.Credits = &n, &n
	answer.Balance, answer.BalanceAt, answer.BudgetLeft, err = s.means(ctx)
	return answer, err
}

const (
	bulkAtOnce = 16 // acts share commits, so some at once are faster than one by one
	bulkFaults = 100
	bulkPage   = 500
)

func onlyCounted(ids []string) runapi.BulkResult {
	return runapi.BulkResult{Matched: int64(len(ids)), Failed: []runapi.BulkFault{}, DryRun: true}
}

// counted lists the runs of a bulk act, unless more match than its caller knows of.
func (s *Server) counted(ctx context.Context, in runapi.BulkAct, fits func(workflow.Run) bool) ([]string, error) {
	ids, err := s.matching(ctx, in, fits)
	if err == nil && in.Expect > 0 && int64(len(ids)) > in.Expect {
		err = door.NewProblem(http.StatusConflict, "count_differs", "more runs match than were counted before: count them again")
	}
	return ids, err
}

// toEach does something to runs. Who hangs up ends it where it is: what is done
// stays done, and doing it again goes on with the rest.
func (s *Server) toEach(ctx context.Context, ids []string, do func(context.Context, string) error) (runapi.BulkResult, error) {
	result := runapi.BulkResult{Matched: int64(len(ids)), Failed: []runapi.BulkFault{}}
	work, ended, mu := make(chan string), sync.WaitGroup{}, sync.Mutex{}
	for range bulkAtOnce {
		ended.Go(func() {
			for id := range work {
				err := do(ctx, id)
				mu.Lock()
				if err == nil {
					result.Done++
				} else if p := s.ProblemOf(door.OfRunner(err)); len(result.Failed) < bulkFaults {
					result.Failed = append(result.Failed, runapi.BulkFault{ID: id, Code: p.Code, Detail: p.Detail})
				}
				mu.Unlock()
			}
		})
	}
	for i, id := range ids {
		if i%bulkAtOnce == 0 {
			door.Extend(ctx)
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
func (s *Server) matching(ctx context.Context, in runapi.BulkAct, fits func(workflow.Run) bool) (ids []string, err error) {
	if fault := door.Unclear(in.Q); fault != "" {
		return nil, door.InvalidFilter("q", fault)
	}
	attributes, err := attributesOf(in.Attribute)
	if err != nil {
		return nil, err
	}
	query, some, err := s.runQuery(ctx, workflow.Query{Workflow: in.Workflow, Status: workflow.Status(in.Status), Since: in.Since,
		Until: in.Until, Attributes: attributes, Limit: bulkPage}, in.Q)
	if err != nil || !some {
		return nil, err
	}
	for {
		door.Extend(ctx)
		page, err := s.cfg.Runner.List(ctx, query)
		if err != nil {
			return nil, door.OfRunner(err)
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
		return query, false, door.BadParameter("workflow", "there is no such workflow")
	}
	if text = strings.TrimSpace(text); text != "" {
		query.IDs, err = s.runsAbout(ctx, text)
		return query, len(query.IDs) > 0, err
	}
	return query, true, nil
}
