package temporalrunner

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Temporal refuses payloads over 2 MiB; what is larger than plain is packed.
const (
	plain = 16 << 10
	most  = 1900 << 10
)

// record is a run as its execution keeps it: what Describe tells, and what an
// execution hands on to the next one when it continues as new, when it ends, and
// when the run is reopened.
type record struct {
	Run     workflow.Run           `json:"run"`
	History []workflow.HistoryItem `json:"history,omitempty"`
	Facts   []fact                 `json:"facts,omitempty"`
	// Tokens are those of the deliveries that brought Run.Events, in their order.
	Tokens []string  `json:"tokens,omitempty"`
	Opened time.Time `json:"opened,omitzero"` // created, or reopened the last time
	Keys   *keys     `json:"keys,omitempty"`
	At     position  `json:"at,omitzero"`
	// Undone is how often the effects of steps were taken back, before the run was reopened.
	Undone map[string]int `json:"undone,omitempty"`
	// Groups are the sub-runs of the run's steps, the open one at last; Key is of a sub-run
	// the part of idempotency keys that is its own.
	Groups []*group `json:"groups,omitempty"`
	Key    string   `json:"key,omitempty"`
	// Packed is all of it, compressed; then nothing else is set.
	Packed []byte `json:"packed,omitempty"`
}

// keys is what a run knows of its idempotency keys from its start on. A run of a
// release that gave it none keeps the keys of that release.
type keys struct {
	Namespace string `json:"namespace,omitempty"`
}

// position is where a run stands inside of a step, wait or sleep.
type position struct {
	Step      string            `json:"step"`
	Attempts  int               `json:"attempts,omitempty"`  // that are over
	Since     time.Time         `json:"since,omitzero"`      // the first attempt, the wait or the sleep began
	Begun     bool              `json:"begun,omitempty"`     // a wait or sleep that has begun
	Next      time.Time         `json:"next,omitzero"`       // a back-off or snooze ends
	Pause     workflow.WaitKind `json:"pause,omitempty"`     // retry or snooze
	Checked   time.Time         `json:"checked,omitzero"`    // a wait looked for its answer the last time
	Looked    bool              `json:"looked,omitempty"`    // it has at its deadline
	Woken     bool              `json:"woken,omitempty"`     // the pause is over before its time
	Refused   *workflow.Failure `json:"refused,omitempty"`   // of a look, after which none can succeed
	Takeovers int               `json:"takeovers,omitempty"` // workers lost in a row
	Lost      bool              `json:"lost,omitempty"`      // one of them inside of the step, surely
}

// fact is a workflow.Fact whose output stands with its step.
type fact struct {
	Kind    workflow.FactKind `json:"kind"`
	Step    string            `json:"step,omitempty"`
	Failure *workflow.Failure `json:"failure,omitempty"`
	Reason  string            `json:"reason,omitempty"`
}

func factsOf(history workflow.History) []fact {
	facts := make([]fact, 0, len(history))
	for _, f := range history {
		if f.Kind == workflow.FactStarted {
			continue // the run has its input
		}
		facts = append(facts, fact{f.Kind, f.Step, f.Failure, f.Reason})
	}
	return facts
}

// history is what a plan decides upon.
func (r *record) history() workflow.History {
	h := make(workflow.History, 0, 1+len(r.Facts))
	h = append(h, workflow.Fact{Kind: workflow.FactStarted, Output: r.Run.Input})
	for _, f := range r.Facts {
		full := workflow.Fact{Kind: f.Kind, Step: f.Step, Failure: f.Failure, Reason: f.Reason}
		if f.Kind == workflow.FactCompleted || f.Kind == workflow.FactFailed {
			full.Output = r.outputOf(f.Step)
		}
		h = append(h, full)
	}
	return h
}

func (r *record) outputOf(step string) json.RawMessage {
	for i := range r.Run.Steps {
		if r.Run.Steps[i].Name == step {
			return r.Run.Steps[i].Output
		}
	}
	return nil
}

// packed is a copy for the wire: the payload of an event that is a wait's output
// stands there once, and a large record is compressed.
func (r *record) packed() (*record, error) {
	thin := *r
	thin.Run.Events = append([]workflow.EventState(nil), r.Run.Events...)
	for i := range thin.Run.Events {
		e := &thin.Run.Events[i]
		if e.ConsumedBy != "" && bytes.Equal(e.Data, r.outputOf(e.ConsumedBy)) {
			e.Data = nil
		}
	}
	raw, err := json.Marshal(thin)
	if err != nil || len(raw) <= plain {
		return &thin, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return &record{Packed: b.Bytes()}, nil
}

// tooLarge says of a packed record that Temporal would refuse it.
func (r *record) tooLarge() bool { return len(r.Packed)*4/3 > most }

// unpacked undoes packed.
func (r *record) unpacked() (*record, error) {
	full := *r
	if len(r.Packed) > 0 {
		z, err := gzip.NewReader(bytes.NewReader(r.Packed))
		if err != nil {
			return nil, fmt.Errorf("temporalrunner: the record of a run cannot be read: %w", err)
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			return nil, fmt.Errorf("temporalrunner: the record of a run cannot be read: %w", err)
		}
		full = record{}
		if err := json.Unmarshal(raw, &full); err != nil {
			return nil, fmt.Errorf("temporalrunner: the record of a run cannot be read: %w", err)
		}
	}
	for i := range full.Run.Events {
		if e := &full.Run.Events[i]; e.ConsumedBy != "" && e.Data == nil {
			e.Data = full.outputOf(e.ConsumedBy)
		}
	}
	return &full, nil
}

// described is the run as callers see it.
func (r *record) described() workflow.Run {
	run := r.Run
	run.History = r.History
	return run
}

func (r *record) note(at time.Time, t workflow.HistoryType, step string, attempt int, fields map[string]any) {
	item := workflow.HistoryItem{At: at, Type: t, Step: step, Attempt: attempt}
	if fields != nil {
		// Strings, numbers, times and failures always encode.
		item.Data, _ = json.Marshal(fields)
	}
	r.History = workflow.AppendHistory(r.History, item)
}

// step is the state of a step, or of a handler, which is shown once it runs.
func (r *record) step(n *workflow.Node) *workflow.StepState {
	return r.stepNamed(n.Name, n.Kind)
}

func (r *record) stepNamed(name string, kind workflow.Kind) *workflow.StepState {
	for i := range r.Run.Steps {
		if r.Run.Steps[i].Name == name {
			return &r.Run.Steps[i]
		}
	}
	r.Run.Steps = append(r.Run.Steps, workflow.StepState{Name: name, Kind: kind, Status: workflow.StatusPending})
	return &r.Run.Steps[len(r.Run.Steps)-1]
}

// inbox is what no wait has consumed, oldest first.
func (r *record) inbox() (in []workflow.Signal) {
	for _, e := range r.Run.Events {
		if e.ConsumedBy == "" && !e.Late {
			in = append(in, workflow.Signal{ID: e.ID, Event: e.Type, Payload: e.Data})
		}
	}
	return in
}

// end writes the run's ending.
func (r *record) end(at time.Time, s workflow.Status, f *workflow.Failure, because string) {
	r.Run.Status, r.Run.Failure, r.Run.FinishedBecause, r.Run.EndedAt = s, f, because, at
	r.Run.WaitingFor, r.Run.Children, r.Run.CancelRequested = nil, nil, false
	for i := range r.Run.Steps {
		step := &r.Run.Steps[i]
		if !step.Status.Ended() && !step.StartedAt.IsZero() {
			step.Status, step.EndedAt = s, at // it ended between two attempts, with the run
		} else if !step.Status.Ended() && because != "" {
			step.Status, step.SkippedBecause = workflow.StatusSkipped, because
		} else if !step.Status.Ended() {
			step.Status = workflow.StatusPending
		}
	}
	for i := range r.Run.Events {
		e := &r.Run.Events[i]
		e.Late = e.ConsumedBy == ""
	}
	var fields map[string]any
	switch {
	case f != nil:
		fields = map[string]any{"failure": f}
	case because != "":
		fields = map[string]any{"finishedBecause": because}
	}
	types := map[workflow.Status]workflow.HistoryType{workflow.StatusCompleted: workflow.HistoryRunCompleted,
		workflow.StatusFailed: workflow.HistoryRunFailed, workflow.StatusTimedOut: workflow.HistoryRunTimedOut,
		workflow.StatusCanceled: workflow.HistoryRunCanceled}
	r.note(at, types[s], "", 0, fields)
}
