package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// summary is what a run's row says.
func (e *Engine) summary(r store.Run, owners map[int64]string) workflow.Run {
	status := r.Derived(e.now())
	run := workflow.Run{ID: r.ID, Workflow: r.Workflow, Version: r.Version, Status: workflow.Status(status), Input: r.Input,
		Failure: r.Failure, FinishedBecause: r.Because, CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt,
		CancelRequested: r.Canceled && r.Status == store.Open, Paused: r.Paused()}
	if r.Sub {
		run.Parent, _, _, _, _ = workflow.SplitRunID(r.ID)
	}
	if status == store.Waiting {
		run.WaitingFor = e.waitingFor(r)
	}
	if r.Status == store.Open {
		run.Node = owners[r.Owner]
		run.NoDefinition = e.noDefinition(r)
	}
	return run
}

// noDefinition says why an open run is not executed here, as far as is known without
// reading it.
func (e *Engine) noDefinition(r store.Run) string {
	if e.plans[store.Definition{Workflow: r.Workflow, Version: r.Version}] == nil {
		return fmt.Sprintf("version %d of %s is not held", r.Version, r.Workflow)
	}
	if why, left := e.leftBefore(r); left {
		return why
	}
	return ""
}

// owners are the names of the nodes that own runs, as far as they are known.
func (e *Engine) owners(ctx context.Context, runs ...store.Run) map[int64]string {
	self := e.self()
	names := map[int64]string{}
	if self.Epoch != 0 {
		names[self.Epoch] = self.Name
	}
	roster, ok := e.store.(store.Roster)
	if !ok || !slices.ContainsFunc(runs, func(r store.Run) bool { return r.Owner > 0 && r.Owner != self.Epoch }) {
		return names
	}
	nodes, err := roster.Nodes(ctx)
	if err != nil {
		e.tell.RunnerFault("nodes", err) // the runs are shown without
	}
	for _, n := range nodes {
		names[n.Epoch] = n.Name
	}
	return names
}

func (e *Engine) waitingFor(r store.Run) *workflow.WaitingFor {
	w := &workflow.WaitingFor{Step: r.Park.Step, Kind: workflow.WaitKind(r.Park.Kind), Events: r.Park.Events, Until: r.Park.Until}
	if r.Park.Kind != store.ParkWait {
		return w
	}
	plan := e.plans[store.Definition{Workflow: r.Workflow, Version: r.Version}]
	if plan == nil {
		return w
	}
	n, ok := plan.Node(r.Park.Step)
	switch {
	case !ok:
	case n.EndsByOutput(): // which only the whole run has
		if n.Reconciles {
			w.NextFetchAt = r.Park.Until
		}
	default:
		if w.Until = r.Park.Since.Add(n.Within); r.Park.Until.Before(w.Until) && n.Reconciles {
			w.NextFetchAt = r.Park.Until
		}
	}
	return w
}

// describe is a run whole.
func (e *Engine) describe(ctx context.Context, c store.Claimed) workflow.Run {
	run := e.summary(c.Run, e.owners(ctx, c.Run))
	plan, place, err := e.setting(e.once(ctx), &c.Run)
	if run.Input = c.Run.Input; err != nil {
		plan, run.NoDefinition = nil, err.Error()
	}
	counts, counted := e.countsOf(ctx, plan, c.Run)
	if plan != nil && c.Run.Status == store.Open && c.Run.Owner <= 0 {
		x := &execution{e: e, plan: plan, place: place}
		x.read(c)
		x.facts = append(x.facts, counted...)
		run.NoDefinition = ""
		if why := x.fits(); why != nil {
			run.NoDefinition = why.Error()
		}
	}
	if run.NoDefinition != "" {
		plan = nil // another one says what its steps are
	}
	if plan != nil {
		facts := factsOfRun(plan, place, c.Run.Input, c.History, c.Signals)
		run.Output = plan.Output(facts)
		if w := run.WaitingFor; w != nil && w.Kind == workflow.WaitEvent {
			if n, ok := plan.Node(w.Step); ok && n.EndsByOutput() {
				w.Until = n.Ends(facts, c.Run.Park.Since)
			}
		}
	}
	run.Steps = steps(plan, place, c, run)
	if counts != nil {
		run.Children = &workflow.Children{Step: counts.Step, Total: counts.Total, Open: counts.Open, Completed: counts.Completed,
			Failed: counts.Failed, Canceled: counts.Canceled}
	}
	for _, s := range c.Signals {
		run.Events = append(run.Events, workflow.EventState{ID: s.ID, Type: s.Event, Data: s.Payload, ReceivedAt: s.At,
			ConsumedBy: s.ConsumedBy, Late: s.Late || run.Status.Ended() && s.ConsumedBy == ""})
	}
	if plan != nil {
		plan.Sift(run.Events)
	}
	run.History = items(c)
	return run
}

// countsOf is how far the sub-runs of an open run are, also as the fact that it is.
func (e *Engine) countsOf(ctx context.Context, plan *workflow.Plan, r store.Run) (g *store.Group, fact workflow.History) {
	if plan == nil || !plan.HasSubs() || r.Status != store.Open {
		return nil, nil
	}
	g, err := e.store.Group(ctx, r.ID)
	if err != nil {
		e.tell.RunnerFault("read", err) // the run is shown without
	}
	if g == nil {
		return nil, nil
	}
	return g, workflow.History{{Kind: workflow.FactGroup, Step: g.Step, Group: groupOf(g)}}
}

// steps says how far each step, wait and sleep is, and each handler that ran.
func steps(plan *workflow.Plan, place *workflow.Place, c store.Claimed, run workflow.Run) []workflow.StepState {
	var states []workflow.StepState
	at := map[string]int{}
	add := func(name string, kind workflow.Kind) int {
		at[name] = len(states)
		states = append(states, workflow.StepState{Name: name, Kind: kind, Status: workflow.StatusPending})
		return at[name]
	}
	if plan != nil {
		for _, n := range plan.Nodes {
			if n.Kind != workflow.KindFinish {
				add(n.Name, n.Kind)
			}
		}
	}
	for _, en := range effective(plan, c.History) {
		i, ok := at[en.Step]
		if !ok {
			i = add(en.Step, kindOf(plan, en.Step))
		}
		applyEntry(&states[i], plan, en, c.Signals)
	}
	if park := c.Run.Park.Step; workflow.IsHandler(park) && run.Status == workflow.StatusWaiting {
		if _, ok := at[park]; !ok {
			add(park, workflow.KindHandler)
		}
	}
	if i, ok := at[c.Run.Park.Step]; ok && run.Status == workflow.StatusWaiting {
		states[i].Status, states[i].StartedAt = workflow.StatusWaiting, c.Run.Park.Since
	} else if plan != nil && !run.Status.Ended() && run.Status != workflow.StatusPending {
		if d := plan.Next(factsOfRun(plan, place, c.Run.Input, c.History, c.Signals)); d.Node != nil {
			i, ok := at[d.Node.Name]
			if !ok {
				i = add(d.Node.Name, d.Node.Kind)
			}
			states[i].Status = workflow.StatusRunning
		}
	}
	for i := range states {
		if s := &states[i]; run.Status.Ended() && s.Status == workflow.StatusPending && !s.StartedAt.IsZero() {
			s.Status, s.EndedAt = run.Status, run.EndedAt // it ended between two attempts, with the run
		} else if run.FinishedBecause != "" && s.Status == workflow.StatusPending {
			s.Status, s.SkippedBecause = workflow.StatusSkipped, run.FinishedBecause
		}
	}
	return states
}

func kindOf(plan *workflow.Plan, step string) workflow.Kind {
	if plan != nil {
		if n, ok := plan.Node(step); ok {
			return n.Kind
		}
	}
	return workflow.KindStep
}

// effective are the entries about steps that still count after reopenings.
func effective(plan *workflow.Plan, history []store.Entry) []store.Entry {
	out := make([]store.Entry, 0, len(history))
	for _, en := range history {
		switch en.Kind {
		case store.EntryReopened:
			out = slices.DeleteFunc(out, func(old store.Entry) bool {
				return plan == nil || workflow.IsHandler(old.Step) || precedes(plan, en.Step, old.Step)
			})
		case store.EntryCancel, store.EntryEnded:
		default:
			out = append(out, en)
		}
	}
	return out
}

// applyEntry tells a step's state what an entry says.
func applyEntry(s *workflow.StepState, plan *workflow.Plan, en store.Entry, signals []store.Signal) {
	if s.StartedAt.IsZero() {
		s.StartedAt = en.StartedAt
	}
	attempt := workflow.Attempt{N: en.Attempt, StartedAt: en.StartedAt, EndedAt: en.At, NextAt: en.NextAt}
	if en.Failure != nil {
		attempt.Error = en.Failure.Message
	}
	switch en.Kind {
	case store.EntryRetrying:
		s.Attempts = append(s.Attempts, attempt)
		return
	case store.EntrySnoozed, store.EntryChecked:
		return
	case store.EntrySkipped:
		s.Status, s.SkippedBecause, s.StartedAt = workflow.StatusSkipped, en.Label, time.Time{}
	case store.EntryCompleted:
		s.Status = workflow.StatusCompleted
		if plan != nil {
			s.Output = outputOf(plan, en, signals)
		}
	case store.EntryResolved:
		if s.Status, s.Output = workflow.StatusCompleted, en.Output; en.Failure != nil {
			s.Status = workflow.StatusFailed
		}
	case store.EntryFailed:
		s.Status, s.Output = workflow.StatusFailed, en.Output
		switch {
		case failureOf(en).Reason == workflow.ReasonCanceled:
			s.Status = workflow.StatusCanceled
		case failureOf(en).Reason == workflow.ReasonTimeout && s.Kind != workflow.KindStep && s.Kind != workflow.KindHandler:
			s.Status = workflow.StatusTimedOut
		}
	}
	s.EndedAt = en.At
	if en.Attempt > 0 {
		s.Attempts = append(s.Attempts, attempt)
	}
}

// items numbers everything that happened. The beginning and the ending come from
// the run's row, a wait's beginning from its park or its outcome.
func items(c store.Claimed) []workflow.HistoryItem {
	bySeq := map[int64]workflow.HistoryItem{}
	put := func(i workflow.HistoryItem) { bySeq[i.Seq] = i }
	put(workflow.HistoryItem{Seq: 1, At: c.Run.CreatedAt, Type: workflow.HistoryRunStarted,
		Data: data(map[string]any{"workflow": c.Run.Workflow, "version": c.Run.Version})})
	if p := c.Run.Park; p.Seq != 0 {
		put(workflow.HistoryItem{Seq: p.Seq, At: p.Since, Type: workflow.HistoryWaitStarted, Step: p.Step})
	}
	for _, s := range c.Signals {
		kind := workflow.HistoryEventReceived
		if s.Late || cameLate(s.Seq, c.History) {
			kind = workflow.HistoryEventLate
		}
		put(workflow.HistoryItem{Seq: s.Seq, At: s.At, Type: kind, Data: data(map[string]any{"id": s.ID, "type": s.Event})})
	}
	for _, en := range c.History {
		for _, i := range itemsOf(en) {
			put(i)
		}
	}
	if c.Run.Status != store.Open {
		i := ending(c.Run.Status, c.Run.EndedSeq, c.Run.EndedAt)
		i.Data = data(endingData(c.Run.Failure, c.Run.Because))
		put(i)
	}
	all := make([]workflow.HistoryItem, 0, len(bySeq))
	for _, i := range bySeq {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b workflow.HistoryItem) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// cameLate says whether a number lies between an ending and the reopening after
// it: then the event was late when it came, whatever consumed it since.
func cameLate(seq int64, history []store.Entry) bool {
	late := false
	for _, en := range history {
		if en.Seq > seq {
			break
		}
		switch en.Kind {
		case store.EntryEnded:
			late = true
		case store.EntryReopened:
			late = false
		}
	}
	return late
}

func ending(s store.Status, seq int64, at time.Time) workflow.HistoryItem {
	types := map[store.Status]workflow.HistoryType{store.Completed: workflow.HistoryRunCompleted, store.Failed: workflow.HistoryRunFailed,
		store.TimedOut: workflow.HistoryRunTimedOut, store.Canceled: workflow.HistoryRunCanceled}
	return workflow.HistoryItem{Seq: seq, At: at, Type: types[s]}
}

func endingData(f *workflow.Failure, because string) map[string]any {
	switch {
	case f != nil:
		return map[string]any{"failure": f}
	case because != "":
		return map[string]any{"finishedBecause": because}
	}
	return nil
}

// itemsOf are the items an entry stands for: Width of them, the last with its
// Seq, and the beginning that a park had numbered.
func itemsOf(en store.Entry) []workflow.HistoryItem {
	var out []workflow.HistoryItem
	next := en.Seq - en.Width() + 1
	add := func(t workflow.HistoryType, fields map[string]any) {
		out = append(out, workflow.HistoryItem{Seq: next, At: en.At, Type: t, Step: en.Step, Attempt: en.Attempt, Data: data(fields)})
		next++
	}
	if en.Begins {
		add(workflow.HistoryWaitStarted, nil)
		out[0].At, out[0].Attempt = en.StartedAt, 0
	} else if en.StartedSeq != 0 {
		out = append(out, workflow.HistoryItem{Seq: en.StartedSeq, At: en.StartedAt, Type: workflow.HistoryWaitStarted, Step: en.Step})
	}
	for _, id := range en.Consumed {
		add(workflow.HistoryEventConsumed, map[string]any{"id": id})
	}
	if en.Reconciled {
		add(workflow.HistoryReconcileChecked, map[string]any{"found": true})
	}
	switch en.Kind {
	case store.EntryCompleted:
		add(workflow.HistoryStepCompleted, nil)
	case store.EntryFailed:
		t := workflow.HistoryStepFailed
		if en.StartedSeq != 0 || en.Begins {
			if failureOf(en).Reason == workflow.ReasonTimeout {
				t = workflow.HistoryWaitTimedOut
			}
		}
		add(t, map[string]any{"failure": failureOf(en)})
	case store.EntrySkipped:
		add(workflow.HistoryStepSkipped, map[string]any{"because": en.Label})
	case store.EntryRetrying:
		add(workflow.HistoryStepRetrying, map[string]any{"error": failureOf(en).Message, "nextAt": en.NextAt})
	case store.EntrySnoozed:
		add(workflow.HistoryStepSnoozed, folded(en, map[string]any{"nextAt": en.NextAt}))
	case store.EntryChecked:
		fields := map[string]any{"found": false}
		if en.Failure != nil {
			fields["error"] = en.Failure.Message
		}
		add(workflow.HistoryReconcileChecked, folded(en, fields))
	case store.EntryCancel:
		add(workflow.HistoryCancelRequested, map[string]any{"reason": en.Label})
	case store.EntryEnded:
		i := ending(store.Status(en.Label), en.Seq, en.At)
		i.Data = data(endingData(en.Failure, ""))
		out = append(out, i)
	case store.EntryResolved:
		add(workflow.HistoryStepResolved, resolved(en))
	case store.EntryReopened:
		add(workflow.HistoryRunReopened, nil)
	}
	return out
}

// resolved is what an entry says of who gave a step its outcome.
func resolved(en store.Entry) map[string]any {
	fields := map[string]any{}
	_ = json.Unmarshal([]byte(en.Label), &fields) // one that was cut says nothing
	if en.Failure != nil {
		fields["failure"] = en.Failure
	}
	return fields
}

// folded adds what an entry says that stands for several.
func folded(en store.Entry, fields map[string]any) map[string]any {
	if en.Count > 1 {
		maps.Copy(fields, workflow.Folded{Count: en.Count, First: en.First, Latest: en.At}.Fields())
	}
	return fields
}

func data(fields map[string]any) json.RawMessage {
	if fields == nil {
		return nil
	}
	// Strings, numbers, times and failures always encode.
	raw, _ := json.Marshal(fields)
	return raw
}
