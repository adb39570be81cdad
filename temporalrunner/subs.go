package temporalrunner

import (
	"encoding/json"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

const (
	// mostOpen is how many sub-runs of a step are open at once, whatever AtMost says: the
	// server takes 2,000 pending children.
	mostOpen = 1000
	// beginAtOnce is how many of them one workflow task begins, and inputsAtOnce how many
	// bytes their inputs have.
	beginAtOnce, inputsAtOnce = 100, 1 << 20
	// A sub-run tells its run when it ends. One that the server ended could not: between
	// two looks after them lies a minute at first, and an hour at most.
	soonest, latest = time.Minute, time.Hour
)

// group is the sub-runs of a step, as their run keeps them.
type group struct {
	Step       string `json:"step"`
	Generation int    `json:"generation,omitempty"`
	Total      int    `json:"total"`
	Next       int    `json:"next"`
	Completed  int    `json:"completed,omitempty"`
	Failed     int    `json:"failed,omitempty"`
	Canceled   int    `json:"canceled,omitempty"`
	Open       []open `json:"open,omitempty"`
	Bad        []int  `json:"bad,omitempty"`   // that ended otherwise than completed
	Again      []int  `json:"again,omitempty"` // that are to be run again
	Undo       bool   `json:"undo,omitempty"`  // to undo their steps
	Stopped    bool   `json:"stopped,omitempty"`
	Closed     bool   `json:"closed,omitempty"` // the step has its outcome
	Unread     bool   `json:"unread,omitempty"` // a child has ended that only its own definition can read

	First   *workflow.SubFailure    `json:"first,omitempty"`
	Outputs map[int]json.RawMessage `json:"outputs,omitempty"` // of branches, a child and the last round
}

// open is a sub-run that has not ended, and the first of its executions.
type open struct {
	Index int    `json:"i"`
	Run   string `json:"r,omitempty"`
}

// substart is what a sub-run begins with.
type substart struct {
	Key string `json:"key"` // the part of idempotency keys that is its own
	// Again is the execution whose record is reopened, to Undo its steps or to go on from
	// the one that failed.
	Again string            `json:"again,omitempty"`
	Undo  bool              `json:"undo,omitempty"`
	Fault *workflow.Failure `json:"fault,omitempty"` // there is no input for it
}

// subEnd is how a sub-run ended.
type subEnd struct {
	Key     string            `json:"key"` // the step and its generation
	Index   int               `json:"index"`
	Run     string            `json:"run,omitempty"` // the first of its executions; empty: whichever
	Status  workflow.Status   `json:"status"`
	Failure *workflow.Failure `json:"failure,omitempty"`
	Output  json.RawMessage   `json:"output,omitempty"`
	Read    bool              `json:"read,omitempty"` // Output is what the step reads of it
}

// group is the one whose step has no outcome; nil without.
func (r *record) group() *group {
	if n := len(r.Groups); n > 0 && !r.Groups[n-1].Closed {
		return r.Groups[n-1]
	}
	return nil
}

// told are the facts and how far the sub-runs are.
func (x *interpreter) told(now time.Time) workflow.History {
	g := x.group()
	if x.Run.Children = nil; g == nil {
		return x.facts
	}
	x.Run.Children = &workflow.Children{Step: g.Step, Total: g.Total, Open: len(g.Open), Completed: g.Completed, Failed: g.Failed,
		Canceled: g.Canceled}
	f := &workflow.Group{Total: g.Total, Next: g.Next, Open: len(g.Open), Completed: g.Completed, Failed: g.Failed,
		Canceled: g.Canceled, Stopped: g.Stopped, First: g.First}
	n, _ := x.plan.Node(g.Step)
	f.Late = n.Within > 0 && !g.Undo && !now.Before(x.At.Since.Add(n.Within))
	if f.Open == 0 && n.Kind != workflow.KindMap {
		from := 0
		if n.Sub.Rounds > 0 {
			from = max(0, g.Next-1)
		}
		for i := from; i < g.Next; i++ {
			f.Outputs = append(f.Outputs, g.Outputs[i])
		}
	}
	return append(slices.Clip(x.facts), workflow.Fact{Kind: workflow.FactGroup, Step: g.Step, Group: f})
}

// decide asks for the next move. While the run has sub-runs its deadline is a fact as
// soon as it has passed: they end first.
func (x *interpreter) decide(now time.Time) workflow.Decision {
	if g := x.group(); g != nil && g.Unread {
		g.Unread = false
		x.lookAfter(g, true)
	}
	x.moved = false
	d := x.plan.Next(x.told(now))
	at, bounded := x.deadline()
	begins := d.Failure == nil && (d.Move == workflow.MoveOpen || d.Move == workflow.MoveJoin && d.Stop == "")
	if x.group() == nil || !begins || !bounded || now.Before(at) {
		return d
	}
	x.facts = append(x.facts, workflow.Fact{Kind: workflow.FactDeadline})
	return x.plan.Next(x.told(now))
}

// goOn makes a move of a step with sub-runs.
func (x *interpreter) goOn(d workflow.Decision, now time.Time) {
	switch d.Move {
	case workflow.MoveOpen:
		x.open(d, now)
	case workflow.MoveJoin:
		x.join(d, now)
	case workflow.MoveSettle:
		x.settleSubs(d, now)
	}
}

// open begins sub-runs, or counts those of an earlier opening.
func (x *interpreter) open(d workflow.Decision, now time.Time) {
	n, o := d.Node, d.Opening
	g := x.group()
	if g == nil {
		g = x.opened(n.Subject().Name, o)
		x.enter(n, now)
		if x.scope = nil; o.Again { // how many is decided anew
			return
		}
	}
	g.Total = max(g.Total, g.Next, o.Total)
	room := min(o.Count, mostOpen-len(g.Open), beginAtOnce)
	if room <= 0 {
		x.await(d, now)
		return
	}
	if len(g.Again) > 0 {
		x.beginAgain(n.Subject(), g, room)
	} else {
		x.beginNew(n.Subject(), g, room)
	}
	// The context is never canceled, so there is no error to see.
	_ = sdk.Await(x.ctx, func() bool {
		x.hear()
		return x.starting == 0
	})
}

// opened is the group of a step: a new one, or that of an earlier opening, of which those
// that are to be run again count as not begun.
func (x *interpreter) opened(step string, o workflow.Opening) *group {
	i := slices.IndexFunc(x.Groups, func(g *group) bool { return g.Step == step && g.Generation == o.Generation })
	g := &group{Step: step, Generation: o.Generation}
	if i >= 0 {
		g = x.Groups[i]
		x.Groups = slices.Delete(x.Groups, i, i+1)
	}
	x.Groups = append(x.Groups, g)
	slices.Sort(g.Bad)
	g.Again, g.Undo, g.Stopped, g.Closed, g.First = g.Bad, o.Undo, o.Undo, false, nil
	g.Total, g.Completed, g.Failed, g.Canceled = max(o.Total, g.Next), g.Next-len(g.Bad), 0, 0
	if g.Bad = nil; !o.Undo {
		return g
	}
	bad := g.Again
	g.Total, g.Completed, g.Canceled, g.Again, g.Bad = g.Next, 0, len(bad), nil, bad
	for i := g.Next - 1; i >= 0; i-- {
		if _, isBad := slices.BinarySearch(bad, i); !isBad {
			g.Again = append(g.Again, i)
		}
	}
	return g
}

// beginAgain runs sub-runs again that have ended.
func (x *interpreter) beginAgain(n *workflow.Node, g *group, count int) {
	indices := slices.Clone(g.Again[:min(count, len(g.Again))])
	g.Again = slices.Clone(g.Again[len(indices):])
	var before []string
	x.ask(executionsName, lookup{Step: g.Step, Generation: g.Generation, Indices: indices}, &before)
	for i, index := range indices {
		sub := substart{Undo: g.Undo}
		if i < len(before) {
			sub.Again = before[i]
		}
		if sub.Again == "" && sub.Undo { // the server has forgotten it
			g.Canceled++
			continue
		}
		x.beginSub(n, g, index, sub)
	}
}

// beginNew begins the next sub-runs.
func (x *interpreter) beginNew(n *workflow.Node, g *group, count int) {
	for size := 0; count > 0 && size < inputsAtOnce && g.Next < g.Total; count-- {
		g.Next++
		size += x.beginSub(n, g, g.Next-1, substart{})
	}
}

// beginSub begins a sub-run, and says how many bytes its input has.
func (x *interpreter) beginSub(n *workflow.Node, g *group, index int, sub substart) int {
	if x.scope == nil {
		x.scope = x.plan.Scope(x.Run.ID, slices.Clone(x.facts))
	}
	place := &workflow.Place{Scope: x.scope, Node: n, Index: index}
	sub.Key = place.RunKey()
	body := n.Body(index)
	shape := body.Shape()
	s := start{Keys: x.Keys, Shape: &shape, Sub: &sub}
	if !sub.Undo {
		input, err := place.Input(g.Outputs[index-1])
		if s.Input = input; err != nil {
			f := workflow.FailureOf(g.Step, 0, err)
			s.Input, sub.Fault = json.RawMessage("null"), &f
		}
	}
	ctx := sdk.WithChildOptions(x.ctx, sdk.ChildWorkflowOptions{TaskQueue: x.def.queueOf(body),
		WorkflowID:            workflow.SubRunID(x.Run.ID, g.Step, g.Generation, index),
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		// They are asked to end, and told by a walk when their run is terminated.
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON})
	g.Open = append(g.Open, open{Index: index})
	x.starting++
	child := sdk.ExecuteChildWorkflow(ctx, typeOfPlan(body), s)
	sdk.Go(x.ctx, func(ctx sdk.Context) {
		var began sdk.Execution
		err := child.GetChildWorkflowExecution().Get(ctx, &began)
		x.starting--
		if i := g.find(index); i >= 0 && err == nil {
			g.Open[i].Run = began.RunID
		} else if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			f := workflow.FailureOf(g.Step, 0, err)
			x.subEnded(subEnd{Key: g.key(), Index: index, Status: workflow.StatusFailed, Failure: &f})
		}
	})
	return len(s.Input)
}

func (g *group) key() string { return workflow.SubRunKey(g.Step, g.Generation) }

func (g *group) find(index int) int {
	return slices.IndexFunc(g.Open, func(o open) bool { return o.Index == index })
}

// subEnded counts a sub-run that has ended, once.
func (x *interpreter) subEnded(e subEnd) {
	g := x.group()
	if g == nil || g.key() != e.Key {
		return
	}
	i := g.find(e.Index)
	if i < 0 || e.Run != "" && g.Open[i].Run != "" && e.Run != g.Open[i].Run {
		return
	}
	x.moved, x.idle = true, 0
	n, _ := x.plan.Node(g.Step)
	if n.Sub.Own && e.Status == workflow.StatusCompleted && !e.Read {
		g.Unread = true
		return
	}
	g.Open = slices.Delete(g.Open, i, i+1)
	if e.Status == workflow.StatusCompleted {
		g.Completed++
		switch {
		case n.Kind == workflow.KindMap:
		case n.Sub.Rounds > 0 || g.Outputs == nil: // the next round needs the last one's
			g.Outputs = map[int]json.RawMessage{e.Index: e.Output}
		default:
			g.Outputs[e.Index] = e.Output
		}
		return
	}
	g.Bad = append(g.Bad, e.Index)
	if e.Status == workflow.StatusCanceled && g.Stopped {
		g.Canceled++
		return
	}
	g.Failed++
	if f := e.Failure; f != nil && (g.First == nil || g.First.Index > e.Index) {
		g.First = &workflow.SubFailure{Index: e.Index, Failure: *f}
	}
}

// join waits for the sub-runs, and cancels them first when they are to stop.
func (x *interpreter) join(d workflow.Decision, now time.Time) {
	g := x.group()
	if d.Stop == "" || g.Stopped {
		x.await(d, now)
		return
	}
	g.Stopped = true
	ids := make([]string, len(g.Open))
	for i, o := range g.Open {
		ids[i] = workflow.SubRunID(x.Run.ID, g.Step, g.Generation, o.Index)
	}
	for some := range slices.Chunk(ids, beginAtOnce) {
		told := make([]sdk.Future, len(some))
		for i, id := range some {
			told[i] = sdk.SignalExternalWorkflow(x.ctx, id, "", signalName, message{Cancel: true, Reason: d.Stop})
		}
		for _, t := range told {
			_ = t.Get(x.ctx, nil) // one that has ended says so itself
		}
	}
}

// await waits until something came to the sub-runs, or the step or the run is over.
func (x *interpreter) await(d workflow.Decision, now time.Time) {
	n, g := d.Node, x.group()
	x.idle = min(max(2*x.idle, soonest), latest)
	until := now.Add(x.idle)
	sooner := func(at time.Time) {
		if at.After(now) && at.Before(until) {
			until = at
		}
	}
	if at, bounded := x.deadline(); bounded && d.Stop == "" && d.Failure == nil {
		sooner(at)
	}
	if n.Within > 0 && !g.Undo {
		sooner(x.At.Since.Add(n.Within))
	}
	step := x.step(n)
	step.Status, step.StartedAt = workflow.StatusWaiting, x.At.Since
	x.Run.Status, x.Run.WaitingFor = workflow.StatusWaiting, &workflow.WaitingFor{Step: n.Name, Kind: workflow.WaitRuns}
	canceled := x.Run.CancelRequested
	options := sdk.AwaitOptions{Timeout: until.Sub(now), TimerOptions: sdk.TimerOptions{Summary: n.Name}}
	// The context is never canceled, so there is no error to see.
	came, _ := sdk.AwaitWithOptions(x.ctx, options, func() bool {
		x.hear()
		return x.moved || x.Run.CancelRequested != canceled || x.crowded()
	})
	x.step(n).Status = workflow.StatusPending
	x.Run.Status, x.Run.WaitingFor = workflow.StatusRunning, nil
	if !came && x.idle >= soonest && until.Sub(now) == x.idle {
		x.lookAfter(g, false)
	}
}

// lookAfter counts the sub-runs that have ended without a word, or whose word says less
// than the step reads: then ending is how they end, which is waited for.
func (x *interpreter) lookAfter(g *group, ending bool) {
	indices := make([]int, len(g.Open))
	for i, o := range g.Open {
		indices[i] = o.Index
	}
	for some := range slices.Chunk(indices, beginAtOnce) {
		var ended []subEnd
		x.ask(endsName, lookup{Step: g.Step, Generation: g.Generation, Indices: some, Wait: ending}, &ended)
		for _, e := range ended {
			x.subEnded(e)
		}
	}
}

// settleSubs writes the outcome of a step with sub-runs.
func (x *interpreter) settleSubs(d workflow.Decision, now time.Time) {
	n, since := d.Node, now
	if g := x.group(); g != nil {
		g.Closed, since = true, x.At.Since
	} else { // there was nothing to run
		x.enter(n, now)
	}
	if x.scope = nil; d.Failure == nil {
		x.complete(n, 0, d.Output, since, now)
		return
	}
	x.fail(n.Name, 0, *d.Failure, since, now)
	x.facts[len(x.facts)-1].Output, x.step(n).Output = d.Output, d.Output
}

// ask has an activity answer that is none of the definition's. It is repeated until it
// does; what it cannot find out is left as it is.
func (x *interpreter) ask(name string, question, answer any) {
	ctx := sdk.WithActivityOptions(x.ctx, sdk.ActivityOptions{StartToCloseTimeout: time.Minute, Summary: name})
	done := sdk.ExecuteActivity(ctx, name, question)
	_ = sdk.Await(x.ctx, func() bool {
		if x.record != nil {
			x.hear()
		}
		return done.IsReady()
	})
	_ = done.Get(x.ctx, answer)
}

// tellParent tells the run around a sub-run that this one has ended. One that is not
// there any more needs no word.
func (x *interpreter) tellParent() {
	parent, step, generation, index, sub := workflow.SplitRunID(x.Run.ID)
	if !sub {
		return
	}
	e := subEnd{Key: workflow.SubRunKey(step, generation), Index: index, Run: sdk.GetInfo(x.ctx).FirstRunID, Status: x.Run.Status,
		Failure: x.Run.Failure}
	if n := x.plan.Owner(); n != nil && n.Kind != workflow.KindMap && e.Status == workflow.StatusCompleted {
		e.Output, e.Read = n.SubOutput(index, x.facts), true
	}
	_ = sdk.SignalExternalWorkflow(x.ctx, parent, "", signalName, message{Ended: &e}).Get(x.ctx, nil)
}

// again reads what an earlier execution of the sub-run left, to go on from there; without
// it the sub-run begins anew.
func (x *interpreter) again(s *start) {
	var left *record
	x.ask(recordName, s.Sub.Again, &left)
	if s.Carried = left; left == nil {
		s.Sub = &substart{Key: s.Sub.Key, Fault: s.Sub.Fault}
	}
}
