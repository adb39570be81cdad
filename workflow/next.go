package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// FactKind is what a fact says.
type FactKind string

// The kinds of fact.
const (
	FactStarted   FactKind = "started"   // the run has its input, in Output; it comes first
	FactCompleted FactKind = "completed" // the step has an output
	FactSkipped   FactKind = "skipped"   // the step's condition did not hold
	FactFailed    FactKind = "failed"    // the step has failed for good
	FactCanceled  FactKind = "canceled"  // somebody canceled the run
	FactDeadline  FactKind = "deadline"  // the run's RunTimeout has passed
	FactReopened  FactKind = "reopened"  // the run was reopened from a step
	FactGroup     FactKind = "group"     // the step has sub-runs: Group says how far they are; it comes last
)

// Fact is one thing that happened to a run. Everything that comes from outside
// becomes a fact before it is decided upon.
type Fact struct {
	Kind    FactKind
	Step    string          // of an outcome; the step a reopened run goes on from
	Output  json.RawMessage // of a completed step, or what one with sub-runs has that timed out; the input of a started run
	Failure *Failure        // of a failed step
	Reason  string          // of a cancel; the label of a skip, if it is known
	Group   *Group          // of sub-runs
	In      *Place          // of a started sub-run

	decoded *decoded
}

// Took hands what [Node.Match] decoded to the first that reads the output of a wait
// that consumed one signal, in this process.
func (f *Fact) Took(consumed []Signal) {
	if len(consumed) == 1 {
		f.decoded = consumed[0].decoded
	}
}

// History is what happened to a run, in order.
type History []Fact

// Move is what to do next.
type Move string

// The moves.
const (
	MoveAct    Move = "act"    // invoke the step Node
	MoveWait   Move = "wait"   // match the inbox against Node, else park until its deadline
	MoveSleep  Move = "sleep"  // park for Node.Within
	MoveSkip   Move = "skip"   // record that Node is skipped, Because of its label
	MoveHandle Move = "handle" // call the handler Node with Failure
	MoveOpen   Move = "open"   // begin sub-runs of Node as Opening says, and park until they ended
	MoveJoin   Move = "join"   // park until the sub-runs of Node ended; with Stop cancel them first
	MoveSettle Move = "settle" // record the outcome of Node: Output or Failure
	MoveEnd    Move = "end"    // record the run's end: Status, Failure, Because
)

// Decision is what [Plan.Next] decides.
type Decision struct {
	Move    Move
	Node    *Node
	Because string   // the label of a skip or of an early finish
	Failure *Failure // what a handler handles, or what the run ends with
	Status  Status   // of an end

	Opening Opening         // of sub-runs
	Stop    string          // why sub-runs are canceled
	Output  json.RawMessage // of a settled node
}

// view is a history folded: what counts after the last reopening.
type view struct {
	outcomes []*Fact // by node
	outputs  outputs
	handled  [2]bool // error handler, cancel handler
	// ending is the first fact that turned the run from its way: a failure, a
	// cancel or the run's deadline. Later ones change nothing.
	ending *Failure
	status Status

	group *Fact // of sub-runs, of a node that has no outcome
	gens  []int // by node: how often what stands before it was done anew
	again bool  // the run was reopened

	undone []*Fact // by node: how its undo ended; nil: none has
	undos  []int   // by node: how often it was undone
	// undoing: a sub-run that had completed was reopened for that alone.
	undoing bool
}

// outcome is that of a node of the plan, or of one around it.
func (v *view) outcome(n *Node) *Fact {
	for v.outputs.plan != n.plan {
		if v.outputs.scope == nil {
			return nil
		}
		v = &v.outputs.scope.view
	}
	return v.outcomes[n.index]
}

// Next is the whole control flow: a pure function of the plan and what happened.
// It never panics: a predicate that does, or a stored output that no longer
// decodes, is a failure with [CodeDefinition].
func (p *Plan) Next(history History) Decision {
	v := p.fold(history)
	if n := v.open(); n != nil {
		return n.nextGroup(&v)
	}
	if v.ending == nil {
		for _, n := range p.Nodes {
			if v.outcomes[n.index] != nil {
				continue
			}
			d, fault := n.next(&v)
			if fault != nil {
				v.ending, v.status = fault, StatusFailed
				break
			}
			if d.Move != "" {
				return d
			}
		}
	}
	if v.ending == nil {
		return Decision{Move: MoveEnd, Status: StatusCompleted}
	}
	if u := v.toUndo(); u != nil {
		return u.nextUndo(&v)
	}
	handler, which := p.ErrorNode, 0
	if v.status == StatusCanceled {
		handler, which = p.CancelNode, 1
	}
	if handler != nil && !v.handled[which] {
		return Decision{Move: MoveHandle, Node: handler, Failure: v.ending}
	}
	if bad := v.badUndo(); bad != nil && v.undoing {
		return Decision{Move: MoveEnd, Status: StatusFailed, Failure: bad}
	}
	return Decision{Move: MoveEnd, Status: v.status, Failure: v.ending}
}

// next is what an unsettled node asks for; no move for an early end whose condition
// does not hold. The fault is what fails the run here.
func (n *Node) next(v *view) (d Decision, fault *Failure) {
	var against *Condition // the first that does not hold
	fault = guard(n.Name, func() {
		for _, c := range n.Conditions {
			if !c.holds(v) {
				against = c
				return
			}
		}
		if n.until != nil {
			n.until.at(v.outputs)
		}
	})
	switch {
	case fault != nil:
		return d, fault
	case n.Kind == KindFinish && against != nil:
		return Decision{}, nil
	case n.Kind == KindFinish && n.FailsWith != "":
		return Decision{}, n.fails()
	case n.Kind == KindFinish:
		return Decision{Move: MoveEnd, Status: StatusCompleted, Because: n.own().Label}, nil
	case against != nil:
		return Decision{Move: MoveSkip, Node: n, Because: against.Label}, nil
	case n.Kind == KindWait:
		return Decision{Move: MoveWait, Node: n}, nil
	case n.Kind == KindSleep:
		return Decision{Move: MoveSleep, Node: n}, nil
	case n.Sub != nil:
		return n.nextOpen(v)
	default:
		return Decision{Move: MoveAct, Node: n}, nil
	}
}

// guard calls a function of the definition and turns its panic into a failure.
func guard(step string, fn func()) (fault *Failure) {
	defer func() {
		if r := recover(); r != nil {
			message := fmt.Sprintf("a function of the definition panicked: %v", r)
			if coded, ok := r.(*codedError); ok {
				message = coded.Error()
			}
			fault = &Failure{Step: step, Reason: ReasonError, Code: CodeDefinition, Message: Clip(message)}
		}
	}()
	fn()
	return nil
}

func (p *Plan) fold(history History) view {
	v := view{outcomes: make([]*Fact, len(p.Nodes)), outputs: outputs{plan: p, own: make([]json.RawMessage, len(p.Nodes)+1)}}
	for i := range history {
		f := &history[i]
		switch f.Kind {
		case FactStarted:
			v.outputs.own[len(p.Nodes)] = f.Output
			if f.In != nil && !f.In.Node.Sub.Own {
				v.outputs.scope = f.In.Scope
			}
		case FactGroup:
			v.group = f
		case FactReopened:
			v.reopen(p, f.Step)
		case FactCanceled:
			v.end(Failure{Reason: ReasonCanceled, Message: f.Reason}, StatusCanceled)
		case FactDeadline:
			v.end(Failure{Reason: ReasonTimeout, Code: CodeRunTimeout,
				Message: fmt.Sprintf("the run took longer than %s", short(p.RunTimeout))}, StatusTimedOut)
		default:
			v.settle(p, f)
		}
	}
	return v
}

// handle takes the outcome of what is no node of the plan.
func (v *view) handle(p *Plan, f *Fact) {
	switch undone := p.undoOf(f.Step); {
	case undone != nil:
		v.undid(undone, f)
	case f.Step == OnErrorName:
		v.handled[0] = true
	case f.Step == OnCancelName:
		v.handled[1] = true
	default:
		v.end(Failure{Step: f.Step, Reason: ReasonError, Code: CodeDefinition,
			Message: fmt.Sprintf("the run has an outcome of step %q, which version %d does not have", f.Step, p.Version)}, StatusFailed)
	}
}

func (v *view) settle(p *Plan, f *Fact) {
	i, known := p.index[f.Step]
	if !known {
		v.handle(p, f)
		return
	}
	v.outcomes[i] = f
	n := p.Nodes[i]
	if f.Kind == FactFailed && f.Failure == nil {
		v.end(Failure{Step: f.Step, Reason: ReasonError, Code: CodeDefinition, Message: "the step failed and nothing says why"}, StatusFailed)
		return
	}
	switch {
	case f.Kind == FactCompleted:
		v.outputs.own[i] = f.Output
	case f.Kind == FactFailed && n.ContinueOnTimeout && f.Failure.Reason == ReasonTimeout:
		v.outputs.own[i] = f.Output
	case f.Kind == FactFailed && n.Kind == KindWait && f.Failure.Reason == ReasonTimeout:
		v.end(*f.Failure, StatusTimedOut)
	case f.Kind == FactFailed:
		v.end(*f.Failure, StatusFailed)
	}
}

func (v *view) end(f Failure, s Status) {
	if v.ending == nil {
		v.ending, v.status = &f, s
	}
}

// reopen forgets the outcomes of a step and of all later ones, of the handlers,
// and the ending.
func (v *view) reopen(p *Plan, from string) {
	if v.undoing = from == UndoName; v.undoing {
		v.undo()
		return
	}
	v.halfUndone()
	first := p.index[from]
	if from == EndName {
		first = len(v.outcomes)
	}
	if v.gens == nil {
		v.gens = make([]int, len(p.Nodes))
	}
	for i := first; i < len(v.outcomes); i++ {
		v.outcomes[i], v.outputs.own[i] = nil, nil
		if i > first || v.wasUndone(p.Nodes[i]) {
			v.gens[i]++ // what was undone is done anew, as a whole
		}
	}
	v.handled, v.ending, v.status, v.again, v.undone = [2]bool{}, nil, "", true, nil
}

// ReopenFrom is the step a run goes on from when it is retried without naming
// one: the step that failed or whose output a [FailIf] judged, else the first that is
// not done, else the last, so that no completed step is repeated without need; or the
// first that was undone, if that stands before it.
func (p *Plan) ReopenFrom(history History) string {
	v := p.fold(history)
	if v.ending != nil {
		if _, ok := p.index[v.ending.Step]; ok {
			return v.sooner(v.ending.Step)
		}
	}
	last := ""
	for _, n := range p.Nodes {
		if n.Kind == KindFinish {
			if _, fault := n.next(&v); v.ending == nil && fault != nil {
				return v.sooner(cmp.Or(fault.Step, p.first()))
			}
			continue
		}
		if last = n.Name; !n.done(v.outcomes[n.index]) {
			break
		}
	}
	return v.sooner(last)
}

// first is the first step.
func (p *Plan) first() string {
	for _, n := range p.Nodes {
		if n.Kind != KindFinish {
			return n.Name
		}
	}
	return ""
}

// done says whether an outcome lets the run go on. That of a wait which a cancel
// cut short does not.
func (n *Node) done(outcome *Fact) bool {
	switch {
	case outcome == nil:
		return false
	case outcome.Kind != FactFailed:
		return true
	}
	return n.ContinueOnTimeout && outcome.Failure != nil && outcome.Failure.Reason == ReasonTimeout
}

// LookAt is when an open wait looks for its answer next: the first time on its
// schedule after the given one, if that is before the deadline. A schedule that
// panics looks at the deadline only.
func (n *Node) LookAt(runID string, history History, start, after time.Time) (time.Time, bool) {
	if !n.Reconciles {
		return time.Time{}, false
	}
	o := n.plan.fold(history).outputs
	var at time.Time
	var ok bool
	if fault := guard(n.Name, func() {
		s := n.schedule(o)
		if s.validate() == nil {
			at, ok = s.Next(runID, start, after)
		}
	}); fault != nil {
		return time.Time{}, false
	}
	return at, ok && at.Before(n.Ends(history, start))
}
