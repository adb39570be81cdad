package temporalrunner

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/liwanag/liwanag/workflow"
)

// The activities by which a run asks about its sub-runs, and a sub-run about the runs
// around it.
const (
	executionsName = "liwanag: executions"
	endsName       = "liwanag: ends"
	recordName     = "liwanag: record"
	aroundName     = "liwanag: around"
)

// lookup is a question about sub-runs of the run that asks.
type lookup struct {
	Step       string `json:"step"`
	Generation int    `json:"generation,omitempty"`
	Indices    []int  `json:"indices"`
	Wait       bool   `json:"wait,omitempty"` // until they have ended
}

func (l lookup) id(run string, index int) string {
	return workflow.SubRunID(run, l.Step, l.Generation, index)
}

// bodiesOf are the plan and the bodies below it, at any depth; children are definitions of
// their own.
func bodiesOf(p *workflow.Plan) []*workflow.Plan {
	all := []*workflow.Plan{p}
	for _, n := range p.Nodes {
		if n.Sub == nil || n.Sub.Own {
			continue
		}
		for _, b := range n.Sub.Bodies {
			all = append(all, bodiesOf(b)...)
		}
	}
	return all
}

func withBodies(plans []*workflow.Plan) (all []*workflow.Plan) {
	for _, p := range plans {
		all = append(all, bodiesOf(p)...)
	}
	return all
}

// levelOf is what the names of a body have for the step around it.
func levelOf(p *workflow.Plan) string {
	n := p.Owner()
	return workflow.SubRunKey(n.Name, 0) + "[" + strconv.Itoa(slices.Index(n.Sub.Bodies, p)) + "]"
}

// typeOfPlan is the Temporal workflow type of a definition or a body: etl/v1/load[0].
func typeOfPlan(p *workflow.Plan) string {
	if p.Owner() == nil {
		return typeOf(p.Name, p.Version)
	}
	return typeOfPlan(p.Owner().Plan()) + "/" + levelOf(p)
}

// activityOf is the name of a node's activity: in a body behind that of the step around
// it, since bodies share a task queue with their definition.
func activityOf(n *workflow.Node) string {
	name := n.Name
	for p := n.Plan(); p.Owner() != nil; p = p.Owner().Plan() {
		name = levelOf(p) + "/" + name
	}
	return name
}

// checkActivities refuses a definition in which two steps would have one activity.
func checkActivities(p *workflow.Plan) error {
	taken := map[string]bool{executionsName: true, endsName: true, recordName: true, aroundName: true}
	for _, b := range bodiesOf(p) {
		for _, n := range b.Nodes {
			name := activityOf(n)
			if taken[name] {
				return fmt.Errorf("temporalrunner: workflow %q, step %q: another step has the activity %q, too: rename it",
					p.Name, n.Name, name)
			}
			taken[name] = true
		}
	}
	return nil
}

func (d *definition) queueOf(p *workflow.Plan) string {
	if d.runner == nil {
		return ""
	}
	return d.runner.queueOf(p)
}

// registerSubs makes the activities known by which runs and sub-runs ask about each other.
// Those of a definition stand for its bodies, too.
func (d *definition) registerSubs(to registry) {
	if d.runner == nil || d.plan.Owner() != nil {
		return
	}
	for name, fn := range map[string]any{executionsName: d.runner.executions, endsName: d.runner.ends, recordName: d.runner.left,
		aroundName: d.runner.around} {
		to.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
}

func askedBy(ctx context.Context) (run string) { return activity.GetInfo(ctx).WorkflowExecution.ID }

// executions are the latest executions of sub-runs; empty of one that the server does not
// know.
func (r *Runner) executions(ctx context.Context, l lookup) ([]string, error) {
	ids := make([]string, len(l.Indices))
	return ids, atOnce(len(ids), func(i int) error {
		d, err := r.client.DescribeWorkflowExecution(ctx, l.id(askedBy(ctx), l.Indices[i]), "")
		if ids[i] = d.GetWorkflowExecutionInfo().GetExecution().GetRunId(); errors.As(err, new(*serviceerror.NotFound)) {
			return nil
		}
		return err
	})
}

// ends are how those of some sub-runs ended that have.
func (r *Runner) ends(ctx context.Context, l lookup) ([]subEnd, error) {
	info := activity.GetInfo(ctx)
	plan := r.plans[info.WorkflowType.Name]
	n, ok := plan.Node(l.Step)
	if !ok {
		return nil, fmt.Errorf("temporalrunner: %s has no step %q", info.WorkflowType.Name, l.Step)
	}
	found := make([]*subEnd, len(l.Indices))
	err := atOnce(len(found), func(i int) (err error) {
		found[i], err = r.endOf(ctx, info.WorkflowExecution.ID, n, l, l.Indices[i])
		return err
	})
	var ends []subEnd
	for _, e := range found {
		if e != nil {
			ends = append(ends, *e)
		}
	}
	return ends, err
}

func (r *Runner) endOf(ctx context.Context, run string, n *workflow.Node, l lookup, index int) (*subEnd, error) {
	id := l.id(run, index)
	e := &subEnd{Key: workflow.SubRunKey(l.Step, l.Generation), Index: index, Read: true}
	if l.Wait {
		if err := r.AwaitEnd(ctx, id); err != nil && !errors.Is(err, workflow.ErrNotFound) {
			return nil, err
		}
	}
	d, err := r.client.DescribeWorkflowExecution(ctx, id, "")
	info := d.GetWorkflowExecutionInfo()
	switch {
	case errors.As(err, new(*serviceerror.NotFound)):
		f := workflow.FailureOf(l.Step, 0, fmt.Errorf("the server does not know the sub-run %s any more", id))
		e.Status, e.Failure = workflow.StatusFailed, &f
		return e, nil
	case err != nil:
		return nil, err
	case info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return nil, nil
	}
	rec, err := r.closed(ctx, info)
	if err != nil {
		return nil, err
	}
	e.Run, e.Status, e.Failure = info.GetFirstRunId(), rec.Run.Status, rec.Run.Failure
	if e.Status == workflow.StatusCompleted && n.Kind != workflow.KindMap {
		e.Output = n.SubOutput(index, rec.history())
	}
	return e, nil
}

// left is what an earlier execution of the run that asks left behind.
func (r *Runner) left(ctx context.Context, execution string) (*record, error) {
	d, err := r.client.DescribeWorkflowExecution(ctx, askedBy(ctx), execution)
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := r.closed(ctx, d.GetWorkflowExecutionInfo())
	if err != nil {
		return nil, err
	}
	return rec.packed()
}

// around are the runs around a sub-run, the nearest first, as far as what they have left
// decides what it does.
func (r *Runner) around(ctx context.Context) (levels []*record, err error) {
	info := activity.GetInfo(ctx)
	body, id := r.plans[info.WorkflowType.Name], info.WorkflowExecution.ID
	for p := body; p.Owner() != nil; p = p.Owner().Plan() {
		id, _, _, _, _ = workflow.SplitRunID(id)
		rec, err := r.record(ctx, id)
		if err != nil {
			return nil, err
		}
		steps, input, all := body.Reads(p.Owner().Plan())
		thin := &record{Run: workflow.Run{ID: id}, Facts: rec.Facts, Key: rec.Key}
		if input || all {
			thin.Run.Input = rec.Run.Input
		}
		for _, s := range rec.Run.Steps {
			if all || slices.Contains(steps, s.Name) {
				thin.Run.Steps = append(thin.Run.Steps, workflow.StepState{Name: s.Name, Output: s.Output})
			}
		}
		if thin, err = thin.packed(); err != nil {
			return nil, err
		}
		levels = append(levels, thin)
	}
	return levels, nil
}

// place is where a sub-run stands, for its functions, which may read whatever stands before
// it in the runs around.
func (d *definition) place(ctx context.Context, runID, key string) (*workflow.Place, error) {
	if d.plan.Owner() == nil || d.runner == nil {
		return placeOf(d.plan, runID, key, nil), nil
	}
	scope, err := d.runner.scopeAround(ctx, d.plan, runID)
	return placeOf(d.plan, runID, key, scope), err
}

func (r *Runner) scopeAround(ctx context.Context, body *workflow.Plan, runID string) (*workflow.Scope, error) {
	parent, step, generation, _, _ := workflow.SplitRunID(runID)
	return r.scopes.Of(parent, step, generation, func() (*workflow.Scope, error) {
		p := body.Owner().Plan()
		rec, err := r.record(ctx, parent)
		if err != nil {
			return nil, err
		}
		var around *workflow.Scope
		if p.Owner() != nil {
			if around, err = r.scopeAround(ctx, p, parent); err != nil {
				return nil, err
			}
		}
		h := rec.history()
		h[0] = workflow.Started(rec.Run.Input, placeOf(p, parent, rec.Key, around))
		return p.Scope(parent, h), nil
	})
}

// subs reads sub-runs for steps.
func (d *definition) subs(ctx context.Context, runID string, n *workflow.Node, generation, from,
	limit int) (all []workflow.SubRun, err error) {
	if d.runner == nil {
		return nil, errors.New("temporalrunner: there is no server to read sub-runs from")
	}
	for len(all) < limit {
		found := make([]*workflow.SubRun, min(askAtOnce, limit-len(all)))
		first := from + len(all)
		err := atOnce(len(found), func(i int) error {
			rec, err := d.runner.record(ctx, workflow.SubRunID(runID, n.Name, generation, first+i))
			switch {
			case errors.Is(err, workflow.ErrNotFound):
				return nil
			case err != nil:
				return err
			}
			found[i] = &workflow.SubRun{Index: first + i, Status: rec.Run.Status, Failure: rec.Run.Failure}
			if rec.Run.Status == workflow.StatusCompleted {
				found[i].Output = n.SubOutput(first+i, rec.history())
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if s == nil {
				return all, nil
			}
			all = append(all, *s)
		}
	}
	return all, nil
}

// atOnce does something n times, a few at once.
func atOnce(n int, do func(i int) error) error {
	var all errgroup.Group
	all.SetLimit(askAtOnce)
	for i := range n {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}

// terminateBelow ends the sub-runs of a run that was terminated, at any depth: those that
// it says are open, or, when no worker tells, those that the server's index finds.
func (r *Runner) terminateBelow(ctx context.Context, runID, reason string) error {
	d, err := r.client.DescribeWorkflowExecution(ctx, runID, "")
	if err != nil {
		return r.fault("terminate", runID, err)
	}
	plan := r.plans[d.GetWorkflowExecutionInfo().GetType().GetName()]
	if plan != nil && !plan.HasSubs() {
		return nil
	}
	if plan != nil {
		asking, cancel := context.WithTimeout(ctx, patienceOfQueries)
		defer cancel()
		if rec, err := r.record(asking, runID); err == nil {
			return r.terminateSubs(ctx, rec, reason)
		}
	}
	return r.terminateListed(ctx, runID, reason)
}

func (r *Runner) terminateSubs(ctx context.Context, rec *record, reason string) error {
	g := rec.group()
	if g == nil {
		return nil
	}
	return atOnce(len(g.Open), func(i int) error {
		id := workflow.SubRunID(rec.Run.ID, g.Step, g.Generation, g.Open[i].Index)
		// One that is only now being begun is there a moment later.
		for try := time.Duration(1); ; try *= 2 {
			err := r.refused(ctx, "terminate", id, r.client.TerminateWorkflow(ctx, id, "", reason))
			if errors.Is(err, workflow.ErrNotFound) && try < 64 && sleep(ctx, try*20*time.Millisecond) {
				continue
			}
			if err != nil && !errors.Is(err, workflow.ErrEnded) && !errors.Is(err, workflow.ErrNotFound) {
				return err
			}
			break
		}
		err := r.terminateBelow(ctx, id, reason)
		if errors.Is(err, workflow.ErrNotFound) {
			return nil
		}
		return err
	})
}

func (r *Runner) terminateListed(ctx context.Context, runID, reason string) error {
	ask := &workflowservice.ListWorkflowExecutionsRequest{PageSize: window,
		Query: "WorkflowId STARTS_WITH " + quoted(runID+"/") + " AND ExecutionStatus = 'Running'"}
	for {
		page, err := r.client.ListWorkflow(ctx, ask)
		if err != nil {
			return r.fault("terminate", runID, err)
		}
		below := slices.DeleteFunc(page.GetExecutions(), func(e *workflowpb.WorkflowExecutionInfo) bool {
			_, _, _, _, sub := workflow.SplitRunID(e.GetExecution().GetWorkflowId())
			return !sub
		})
		if err := atOnce(len(below), func(i int) error {
			id := below[i].GetExecution().GetWorkflowId()
			err := r.refused(ctx, "terminate", id, r.client.TerminateWorkflow(ctx, id, "", reason))
			if errors.Is(err, workflow.ErrEnded) || errors.Is(err, workflow.ErrNotFound) {
				return nil
			}
			return err
		}); err != nil {
			return err
		}
		if ask.NextPageToken = page.GetNextPageToken(); len(ask.NextPageToken) == 0 {
			return nil
		}
	}
}

// tellTerminated tells the run around a sub-run, which could not do so itself.
func (r *Runner) tellTerminated(ctx context.Context, runID, reason string) error {
	parent, step, generation, index, sub := workflow.SplitRunID(runID)
	if !sub {
		return nil
	}
	e := subEnd{Key: workflow.SubRunKey(step, generation), Index: index, Status: workflow.StatusCanceled,
		Failure: &workflow.Failure{Reason: workflow.ReasonCanceled, Message: reason}}
	err := r.send(ctx, "terminate", parent, message{Ended: &e})
	if errors.Is(err, workflow.ErrEnded) || errors.Is(err, workflow.ErrNotFound) {
		return nil
	}
	return err
}

// listSubs lists the sub-runs of a run by step and index, as the run itself counts them.
func (r *Runner) listSubs(ctx context.Context, q workflow.Query, limit int) (page workflow.Page, err error) {
	key, next, err := subCursorOf(q.Cursor)
	if err != nil {
		return page, err
	}
	rec, err := r.record(ctx, q.Parent)
	if errors.Is(err, workflow.ErrNotFound) {
		return page, nil
	}
	if err != nil {
		return page, err
	}
	groups := slices.Clone(rec.Groups)
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.key(), b.key()) })
	for _, g := range groups {
		if g.key() < key {
			continue
		}
		from := 0
		if g.key() == key {
			from = next
		}
		for from < g.Next {
			found := make([]*workflow.Run, min(askAtOnce, g.Next-from))
			if err := atOnce(len(found), func(i int) (err error) {
				found[i], err = r.listed(ctx, workflow.SubRunID(q.Parent, g.Step, g.Generation, from+i), q)
				return err
			}); err != nil {
				return page, err
			}
			for _, run := range found {
				if run != nil && len(page.Runs) == limit {
					page.Next = subCursor(g.key(), from)
					return page, nil
				}
				if from++; run != nil {
					page.Runs = append(page.Runs, *run)
				}
			}
		}
	}
	return page, nil
}

// listed is a sub-run as a list shows it; nil when it is none of the query's.
func (r *Runner) listed(ctx context.Context, id string, q workflow.Query) (*workflow.Run, error) {
	rec, err := r.record(ctx, id)
	if errors.Is(err, workflow.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	run := rec.Run
	run.Steps, run.Events, run.Output = nil, nil, nil
	if q.Workflow != "" && q.Workflow != run.Workflow || q.Status != "" && q.Status != run.Status || !run.Attributes.Have(q.Attributes) ||
		!q.Since.IsZero() && run.CreatedAt.Before(q.Since) || !q.Until.IsZero() && !run.CreatedAt.Before(q.Until) ||
		q.IDs != nil && !slices.Contains(q.IDs, id) {
		return nil, nil
	}
	return &run, nil
}

func subCursor(key string, index int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(index) + " " + key))
}

func subCursorOf(text string) (key string, index int, err error) {
	if text == "" {
		return "", 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	number, key, ok := strings.Cut(string(raw), " ")
	index, bad := strconv.Atoi(number)
	if err != nil || !ok || bad != nil || index < 0 {
		return "", 0, workflow.ErrInvalidCursor
	}
	return key, index, nil
}
