package temporalrunner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/liwanag/liwanag/workflow"
)

// compared returns an error when open runs were begun by another definition of a name and
// version than the one that is held, as far as the server's index tells by now.
func (r *Runner) compared(ctx context.Context) error {
	var faults []error
	for _, plan := range r.order {
		runs, words, err := r.begunByOthers(ctx, plan)
		if err != nil {
			return fmt.Errorf("temporalrunner: the definitions cannot be compared with the open runs: the Temporal server "+
				"cannot list them now: %w", err)
		}
		for _, why := range words {
			faults = append(faults, fmt.Errorf("temporalrunner: of %d open runs: %s. Hold the definition again that they were "+
				"begun with, and give the change a new version", runs[why], why))
		}
	}
	return errors.Join(faults...)
}

// begunByOthers counts the open runs that other definitions began, by the difference.
func (r *Runner) begunByOthers(ctx context.Context, plan *workflow.Plan) (runs map[string]int, words []string, err error) {
	runs = map[string]int{}
	ask := &workflowservice.ListWorkflowExecutionsRequest{PageSize: window,
		Query: "TaskQueue = " + quoted(r.queueOf(plan)) + " AND ExecutionStatus = 'Running'"}
	for {
		page, err := r.client.ListWorkflow(ctx, ask)
		if err != nil {
			return nil, nil, err
		}
		for _, info := range page.GetExecutions() {
			if why := r.undefined(info); why != "" {
				if runs[why]++; !slices.Contains(words, why) {
					words = append(words, why)
				}
			}
		}
		if ask.NextPageToken = page.GetNextPageToken(); len(ask.NextPageToken) == 0 {
			return runs, words, nil
		}
	}
}
