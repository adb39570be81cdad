package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// viewRun is viewRuns of one.
func (s *Server) viewRun(ctx context.Context, r workflow.Run) (runapi.Run, error) {
	views, err := s.viewRuns(ctx, []workflow.Run{r})
	return views[0], err
}

// viewRuns adds to what the engine knows why batches cannot be sent yet, with one query.
func (s *Server) viewRuns(ctx context.Context, runs []workflow.Run) ([]runapi.Run, error) {
	views := make([]runapi.Run, len(runs))
	var snoozing []liwanag.ID
	for i, r := range runs {
		views[i] = viewOfRun(r)
		if w := r.WaitingFor; w != nil && w.Kind == workflow.WaitSnooze {
			if id, err := liwanag.ParseID(liwanag.RunKind, r.ID); err == nil {
				snoozing = append(snoozing, id)
			}
		}
	}
	if len(snoozing) == 0 {
		return views, nil
	}
	batches, err := s.cfg.Store.Batches.OfRuns(ctx, snoozing)
	reasons := make(map[string]string, len(batches))
	for _, batch := range batches {
		reasons[batch.RunID.String()] = string(batch.Waiting)
	}
	for _, view := range views {
		if w := view.WaitingFor; w != nil && w.Kind == string(workflow.WaitSnooze) {
			w.Reason = reasons[view.ID]
		}
	}
	return views, err
}

func viewOfRun(r workflow.Run) runapi.Run {
	view := runapi.Run{ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: string(r.Status), Input: r.Input, Output: r.Output,
		Failure: r.Failure, FinishedBecause: r.FinishedBecause, CancelRequested: r.CancelRequested, Paused: r.Paused,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: utc(r.StartedAt), EndedAt: utc(r.EndedAt), Node: r.Node, NoDefinition: r.NoDefinition,
		Parent: r.Parent, Children: r.Children, Attributes: r.Attributes}
	if w := r.WaitingFor; w != nil {
		view.WaitingFor = &runapi.WaitingFor{Step: w.Step, Kind: string(w.Kind), Events: w.Events, Until: utc(w.Until),
			NextFetchAt: utc(w.NextFetchAt)}
	}
	return view
}

func (s *Server) viewRunDetail(ctx context.Context, r workflow.Run) (runapi.RunDetail, error) {
	head, err := s.viewRun(ctx, r)
	if err != nil {
		return runapi.RunDetail{}, err
	}
	detail := runapi.RunDetail{Run: head, Steps: make([]runapi.Step, len(r.Steps)), Events: make([]runapi.RunEvent, len(r.Events))}
	for i, st := range r.Steps {
		for j := range st.Attempts {
			a := &st.Attempts[j]
			a.StartedAt, a.EndedAt, a.NextAt = utc(a.StartedAt), utc(a.EndedAt), utc(a.NextAt)
		}
		detail.Steps[i] = runapi.Step{Name: st.Name, Kind: string(st.Kind), Status: string(st.Status),
			StartedAt: utc(st.StartedAt), EndedAt: utc(st.EndedAt),
			Output: st.Output, SkippedBecause: st.SkippedBecause, Attempts: st.Attempts}
	}
	for i, e := range r.Events {
		detail.Events[i] = runapi.RunEvent{ID: e.ID, Type: e.Type, ReceivedAt: e.ReceivedAt.UTC(), ConsumedBy: e.ConsumedBy,
			Late: e.Late, SetAside: e.SetAside}
	}
	return detail, nil
}
