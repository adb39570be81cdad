package temporalrunner

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"

	"github.com/liwanag/liwanag/workflow"
)

const (
	// window is how many rows are sorted here, since the server lists by its own
	// order: by the end, not by the beginning.
	window = 1000
	// askAtOnce is how many runs of a page are asked about at once.
	askAtOnce = 16
)

// row is an execution as the server lists it.
type row struct {
	info  *workflowpb.WorkflowExecutionInfo
	start time.Time
	id    string
}

// List lists runs, newest first; see [workflow.Runner]. The server's index follows
// a little later than the runs themselves; how each listed run stands is read from
// the run, so that only a run that no worker tells of shows less: open ones of
// that kind are "running". A retried run is listed by its latest start.
func (r *Runner) List(ctx context.Context, q workflow.Query) (workflow.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patienceOfCalls)
	defer cancel()
	after, err := cursorOf(q.Cursor)
	if err != nil {
		return workflow.Page{}, err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	if err := q.ValidateFilters(); err != nil {
		return workflow.Page{}, err
	}
	if q.Parent != "" {
		return r.listSubs(ctx, q, limit)
	}
	filter, some := r.filter(q)
	having, err := r.attributed(ctx, q.Attributes)
	if err != nil {
		return workflow.Page{}, err
	}
	filter = strings.Join(append([]string{filter}, having...), " AND ")
	page := workflow.Page{}
	for some && page.Next == "" {
		rows, err := r.newest(ctx, filter, after, limit+1)
		if err != nil {
			return workflow.Page{}, fmt.Errorf("temporalrunner: runs cannot be listed: the Temporal server cannot do it now: %w", err)
		}
		if len(rows) == 0 {
			break
		}
		runs := r.look(ctx, rows, q)
		for i, run := range runs {
			if run != nil && len(page.Runs) == limit {
				page.Next = after.String()
				break
			}
			after = cursor{rows[i].start, rows[i].id}
			if run != nil {
				page.Runs = append(page.Runs, *run)
			}
		}
	}
	return page, nil
}

// filter is a query in the server's words; false when nothing can match it.
func (r *Runner) filter(q workflow.Query) (string, bool) {
	q, some := q.Possible()
	parts := []string{"ParentWorkflowId IS NULL", "TaskQueue STARTS_WITH " + quoted(r.cfg.TaskQueue+"/"),
		"ExecutionStatus != 'ContinuedAsNew'"}
	if q.Workflow != "" {
		parts = append(parts, "WorkflowType STARTS_WITH "+quoted(q.Workflow+"/v"))
	}
	statuses := map[workflow.Status]string{"": "", workflow.StatusRunning: "'Running'", workflow.StatusWaiting: "'Running'",
		workflow.StatusCompleted: "'Completed'", workflow.StatusFailed: "'Failed','TimedOut'", workflow.StatusTimedOut: "'Failed','TimedOut'",
		workflow.StatusCanceled: "'Canceled','Terminated'"}
	among, known := statuses[q.Status]
	if !some || !known {
		return "", false
	}
	if among != "" {
		parts = append(parts, "ExecutionStatus IN ("+among+")")
	}
	if !q.Since.IsZero() {
		parts = append(parts, "StartTime >= "+instant(q.Since))
	}
	if !q.Until.IsZero() {
		parts = append(parts, "StartTime < "+instant(q.Until))
	}
	if q.IDs != nil {
		ids := make([]string, len(q.IDs))
		for i, id := range q.IDs {
			ids[i] = quoted(id)
		}
		parts = append(parts, "WorkflowId IN ("+strings.Join(ids, ",")+")")
	}
	return strings.Join(parts, " AND "), true
}

func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// instant is a time as the server reads it, which takes only some.
func instant(t time.Time) string {
	if t.Before(time.Unix(0, 0)) {
		t = time.Unix(0, 0)
	} else if t.Year() > 9999 {
		t = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return "'" + t.UTC().Format(time.RFC3339Nano) + "'"
}

// newest reads the first n rows behind a cursor, newest first: within a span of
// time that is narrowed or widened until it holds them.
func (r *Runner) newest(ctx context.Context, filter string, after cursor, n int) ([]row, error) {
	if !after.start.IsZero() {
		filter += " AND StartTime <= " + instant(after.start)
	}
	all, err := r.count(ctx, filter)
	if err != nil {
		return nil, err
	}
	from := after.start
	if from.IsZero() {
		from = time.Now().Add(time.Hour) // the server's clock may be ahead
	}
	narrow := filter
	few, many := time.Duration(0), time.Duration(0) // spans known to hold too few, and too many
	for span := 2 * time.Hour; all > window; {
		narrow = filter + " AND StartTime >= " + instant(from.Add(-span))
		held, err := r.count(ctx, narrow)
		if err != nil {
			return nil, err
		}
		switch {
		case held < n:
			few = span
		case held > window && span > 2*few && span > time.Second:
			many = span
		default:
			all = 0
			continue
		}
		if span = 4 * few; many > 0 {
			span = few + (many-few)/2
		}
	}
	rows, err := r.rows(ctx, narrow)
	rows = slices.DeleteFunc(rows, func(w row) bool { return !after.precedes(w) })
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(b.start.Compare(a.start), strings.Compare(b.id, a.id)) })
	return rows[:min(n, len(rows))], err
}

func (r *Runner) count(ctx context.Context, filter string) (int, error) {
	answer, err := r.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: filter})
	return int(answer.GetCount()), err
}

func (r *Runner) rows(ctx context.Context, filter string) (rows []row, err error) {
	for token := []byte(nil); ; {
		answer, err := r.client.ListWorkflow(ctx,
			&workflowservice.ListWorkflowExecutionsRequest{Query: filter, PageSize: window, NextPageToken: token})
		if err != nil {
			return nil, err
		}
		for _, info := range answer.GetExecutions() {
			rows = append(rows, row{info, timeOf(info.GetStartTime().AsTime()), info.GetExecution().GetWorkflowId()})
		}
		if token = answer.GetNextPageToken(); len(token) == 0 {
			return rows, nil
		}
	}
}

// look reads how runs stand. nil stands for a row that is none of the query's: of
// an earlier execution of a retried run, or of another status.
func (r *Runner) look(ctx context.Context, rows []row, q workflow.Query) []*workflow.Run {
	limited, cancel := context.WithTimeout(ctx, patienceOfReceipts)
	defer cancel()
	runs := make([]*workflow.Run, len(rows))
	var asking errgroup.Group
	asking.SetLimit(askAtOnce)
	for i, w := range rows {
		asking.Go(func() error {
			run := summary(w.info)
			rec, err := r.record(limited, w.id)
			switch {
			case errors.Is(err, workflow.ErrNotFound):
				return nil
			case err == nil && w.start.Before(rec.Opened):
				return nil
			case err == nil:
				run = rec.Run
			}
			run.Steps, run.Events, run.Output = nil, nil, nil
			if (q.Status == "" || q.Status == run.Status) && run.Attributes.Have(q.Attributes) {
				runs[i] = &run
			}
			return nil
		})
	}
	_ = asking.Wait() // none of them returns one
	return runs
}

// cursor is the place behind a row.
type cursor struct {
	start time.Time
	id    string
}

func (c cursor) precedes(w row) bool {
	return c.start.IsZero() || w.start.Before(c.start) || w.start.Equal(c.start) && w.id < c.id
}

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.start.UnixMicro(), 10) + " " + c.id))
}

func cursorOf(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	micros, id, ok := strings.Cut(string(raw), " ")
	at, number := strconv.ParseInt(micros, 10, 64)
	if err != nil || !ok || number != nil {
		return c, workflow.ErrInvalidCursor
	}
	return cursor{time.UnixMicro(at).UTC(), id}, nil
}
