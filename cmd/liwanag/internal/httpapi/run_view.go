package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// viewRun adds to what the engine knows why a batch cannot be sent yet.
func (s *Server) viewRun(ctx context.Context, r workflow.Run) (runapi.Run, error) {
	view := runapi.Run{ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: string(r.Status), Input: r.Input, Output: r.Output,
		Failure: r.Failure, FinishedBecause: r.FinishedBecause, CancelRequested: r.CancelRequested,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: utc(r.StartedAt), EndedAt: utc(r.EndedAt), Node: r.Node, NoDefinition: r.NoDefinition}
	if w := r.WaitingFor; w != nil {
		view.WaitingFor = &runapi.WaitingFor{Step: w.Step, Kind: string(w.Kind), Events: w.Events, Until: utc(w.Until),
			NextFetchAt: utc(w.NextFetchAt)}
		if id, err := liwanag.ParseID(liwanag.RunKind, r.ID); err == nil && w.Kind == workflow.WaitSnooze {
			batch, err := s.waitingOf(ctx, id)
			if err != nil {
				return runapi.Run{}, err
			}
			view.WaitingFor.Reason = string(batch.Waiting)
		}
	}
	return view, nil
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
