package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Run is a run as the API shows it.
type Run struct {
	ID              string            `json:"id"`
	Workflow        string            `json:"workflow"`
	Version         int               `json:"version"`
	Status          string            `json:"status" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Input           json.RawMessage   `json:"input,omitempty"`
	Output          json.RawMessage   `json:"output,omitempty" doc:"Of the last completed step."`
	Failure         *workflow.Failure `json:"failure,omitempty"`
	WaitingFor      *waitingFor       `json:"waitingFor,omitempty"`
	FinishedBecause string            `json:"finishedBecause,omitempty" doc:"The label of an early finish."`
	CancelRequested bool              `json:"cancelRequested,omitempty"`
	CreatedAt       time.Time         `json:"createdAt"`
	StartedAt       time.Time         `json:"startedAt,omitzero"`
	EndedAt         time.Time         `json:"endedAt,omitzero"`
	Node            string            `json:"node,omitempty" doc:"Which executes it now."`
}

// waitingFor says what a run waits for.
type waitingFor struct {
	Step        string    `json:"step"`
	Kind        string    `json:"kind" enum:"event,retry,snooze,sleep"`
	Reason      string    `json:"reason,omitempty" doc:"Why its jobs cannot be sent yet: budget, credits, key, capacity, calls, paused, unavailable."`
	Events      []string  `json:"events,omitempty" nullable:"false"`
	Until       time.Time `json:"until,omitzero"`
	NextFetchAt time.Time `json:"nextFetchAt,omitzero"`
}

// runDetail is a run with its steps and inbox.
type runDetail struct {
	Run
	Steps  []step     `json:"steps" nullable:"false"`
	Events []runEvent `json:"events" nullable:"false"`
}

// step is a step, wait or sleep of a run.
type step struct {
	Name           string             `json:"name"`
	Kind           string             `json:"kind" enum:"step,wait,sleep,handler"`
	Status         string             `json:"status" enum:"pending,running,waiting,completed,failed,skipped,timed_out,canceled"`
	StartedAt      time.Time          `json:"startedAt,omitzero"`
	EndedAt        time.Time          `json:"endedAt,omitzero"`
	Output         json.RawMessage    `json:"output,omitempty"`
	SkippedBecause string             `json:"skippedBecause,omitempty"`
	Attempts       []workflow.Attempt `json:"attempts,omitempty" nullable:"false"`
}

// runEvent is an event that a run received; its data stays inside, since it may
// hold results.
type runEvent struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	ReceivedAt time.Time `json:"receivedAt"`
	ConsumedBy string    `json:"consumedBy,omitempty"`
	Late       bool      `json:"late,omitempty"`
}

// viewRun adds to what the engine knows why a batch cannot be sent yet.
func (s *Server) viewRun(ctx context.Context, r workflow.Run) (Run, error) {
	view := Run{ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: string(r.Status), Input: r.Input, Output: r.Output,
		Failure: r.Failure, FinishedBecause: r.FinishedBecause, CancelRequested: r.CancelRequested,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: utc(r.StartedAt), EndedAt: utc(r.EndedAt), Node: r.Node}
	if w := r.WaitingFor; w != nil {
		view.WaitingFor = &waitingFor{Step: w.Step, Kind: string(w.Kind), Events: w.Events, Until: utc(w.Until), NextFetchAt: utc(w.NextFetchAt)}
		if id, err := liwanag.ParseID(liwanag.RunKind, r.ID); err == nil && w.Kind == workflow.WaitSnooze {
			batch, err := s.waitingOf(ctx, id)
			if err != nil {
				return Run{}, err
			}
			view.WaitingFor.Reason = string(batch.Waiting)
		}
	}
	return view, nil
}

func (s *Server) viewRunDetail(ctx context.Context, r workflow.Run) (runDetail, error) {
	head, err := s.viewRun(ctx, r)
	if err != nil {
		return runDetail{}, err
	}
	detail := runDetail{Run: head, Steps: make([]step, len(r.Steps)), Events: make([]runEvent, len(r.Events))}
	for i, st := range r.Steps {
		for j := range st.Attempts {
			a := &st.Attempts[j]
			a.StartedAt, a.EndedAt, a.NextAt = utc(a.StartedAt), utc(a.EndedAt), utc(a.NextAt)
		}
		detail.Steps[i] = step{st.Name, string(st.Kind), string(st.Status), utc(st.StartedAt), utc(st.EndedAt), st.Output, st.SkippedBecause, st.Attempts}
	}
	for i, e := range r.Events {
		detail.Events[i] = runEvent{e.ID, e.Type, e.ReceivedAt.UTC(), e.ConsumedBy, e.Late}
	}
	return detail, nil
}
