package workflow

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// CodeSubRuns: more sub-runs failed than the step tolerates, or fewer completed than it
// needs.
const CodeSubRuns = "sub_runs"

// Limits of sub-runs.
const (
	MaxSubRuns  = 1_000_000 // of one step
	MaxAtMost   = 100_000   // open at once
	MaxSubDepth = 8         // how deep sub-runs may lie in each other
)

// DefaultAtMost is how many sub-runs of a map are open at once without [AtMost].
const DefaultAtMost = 100

// Sub is what a node with sub-runs is. Each of them is a run of its own, with retries,
// waits and a history of its own, whose plan is a body. While a run has sub-runs it
// stands still, so that what they read of it does not change.
type Sub struct {
	Bodies   []*Plan       // one for all, or one a branch
	Branches []string      // the names of Bodies
	AtMost   int           // open at once
	Tolerate int           // that may fail
	Need     int           // completed ones that suffice; 0: all
	Rounds   int           // of a repeat: the most; 0: no repeat
	Own      bool          // the body is a definition of its own, and sees nothing around it
	GoesOn   bool          // the step completes whatever fails
	Each     time.Duration // bounds each sub-run; 0: nothing does
	Over     string        // of a map: the steps whose output is the list

	count  func(*view) int                          // nil: one
	items  func(outputs) ([]json.RawMessage, error) // of a map
	first  func(*Scope) (json.RawMessage, error)    // the input of a child and of the first round; nil: the run's
	until  func(json.RawMessage) bool               // of a repeat
	yields []func(outputs) json.RawMessage          // by body
}

// Group is how far the sub-runs of a node are: counters that a runner keeps.
type Group struct {
	Total     int // that there will be at most
	Next      int // that have begun
	Open      int
	Completed int
	Failed    int // or ended badly otherwise, unless a stop canceled them
	Canceled  int // by a stop
	Stopped   bool
	Late      bool // what bounds the step as a whole is over
	// Of the ended ones, once none is open: of branches, a child and the last round the
	// outputs in order; and the first failure.
	Outputs []json.RawMessage
	First   *SubFailure
}

// SubFailure is the failure of a sub-run.
type SubFailure struct {
	Index   int
	Failure Failure
}

// Opening says which sub-runs to begin: Count more.
type Opening struct {
	Count, Total, AtMost, Need, Tolerate int
	// Generation is how often what stands before the step was done anew: then its
	// sub-runs are others.
	Generation int
	// Again: the run was reopened, so that there may be some of an earlier opening. Those
	// that completed stay, the others are run again.
	Again bool
	// Undo: those that completed are reopened, to undo their steps.
	Undo bool
}

// Summary is the output of a map.
type Summary struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// within says whether a plan is another one, or stands in a body of it, at any depth.
func (p *Plan) within(outer *Plan) bool {
	for p != outer {
		if p.owner == nil {
			return false
		}
		p = p.owner.plan
	}
	return true
}

func (p *Plan) outermost() *Plan {
	for p.owner != nil {
		p = p.owner.plan
	}
	return p
}

// before says whether a node has its outcome when another one runs, which stands in the
// same plan or in a body behind it. What a handler reads may be missing.
func (n *Node) before(at *Node) bool {
	for at.plan != n.plan {
		if at.plan.owner == nil {
			return false
		}
		at = at.plan.owner
	}
	return at.Kind == KindHandler || n.index < at.index
}

// Owner is the node whose sub-runs the plan is a body of; nil of a definition.
func (p *Plan) Owner() *Node { return p.owner }

// Plan is the plan in which the node stands.
func (n *Node) Plan() *Plan { return n.plan }

// Reads are the steps of a plan around this one whose outputs decide what a run of this
// one does: they are read by conditions, lists, deadlines, schedules and first rounds.
// input says that the run's input is, too; all that any may be, by the input of a child.
// Functions of steps are not asked: they may read every output around them.
func (p *Plan) Reads(around *Plan) (steps []string, input, all bool) {
	for _, n := range p.Nodes {
		reads := slices.Clip(n.reads)
		for _, c := range n.Conditions {
			reads = append(reads, c.sees...)
		}
		for _, r := range reads {
			switch {
			case r.plan != around:
			case r.Kind == kindInput:
				input = true
			default:
				steps = append(steps, around.Nodes[r.index].Name)
			}
		}
		all = all || n.Kind == KindChild
	}
	slices.Sort(steps)
	return slices.Compact(steps), input, all
}

// Body is the plan of a sub-run of the node.
func (n *Node) Body(index int) *Plan {
	if len(n.Sub.Branches) == 0 {
		return n.Sub.Bodies[0]
	}
	if index < 0 || index >= len(n.Sub.Bodies) {
		return nil
	}
	return n.Sub.Bodies[index]
}

// HasSubs says whether a run of the plan may have sub-runs.
func (p *Plan) HasSubs() bool {
	return slices.ContainsFunc(p.Nodes, func(n *Node) bool { return n.Sub != nil })
}

// Children are the definitions that steps of the plan, and of its bodies, run.
func (p *Plan) Children() (all []*Plan) {
	for _, n := range p.Nodes {
		if n.Sub == nil {
			continue
		}
		for _, b := range n.Sub.Bodies {
			if n.Sub.Own {
				all = append(all, b)
			}
			all = append(all, b.Children()...)
		}
	}
	return all
}

// open is the node whose sub-runs exist and that has no outcome yet.
func (v *view) open() *Node {
	if v.group == nil {
		return nil
	}
	n, ok := v.outputs.plan.Node(v.group.Step)
	if !ok || n.Sub == nil || v.outcomes[n.index] != nil {
		return nil
	}
	return n
}

func (n *Node) opening(v *view, total int) Opening {
	s := n.Sub
	o := Opening{Total: total, AtMost: min(s.AtMost, total), Need: s.Need, Tolerate: s.Tolerate}
	if v.gens != nil {
		o.Generation = v.gens[n.index]
	}
	return o
}

// nextOpen is the first move of a node with sub-runs.
func (n *Node) nextOpen(v *view) (d Decision, fault *Failure) {
	total := 1
	if fault = guard(n.Name, func() {
		if n.Sub.count != nil {
			total = n.Sub.count(v)
		}
	}); fault != nil {
		return d, fault
	}
	switch {
	case total == 0:
		return n.settled(&Group{}), nil
	case total > MaxSubRuns:
		return d, &Failure{Step: n.Name, Reason: ReasonError, Code: CodeTooLarge,
			Message: fmt.Sprintf("the list has %d items, %d are allowed", total, MaxSubRuns)}
	}
	o := n.opening(v, total)
	o.Count, o.Again = o.AtMost, v.again
	return Decision{Move: MoveOpen, Node: n, Opening: o}, nil
}

// nextGroup is the next move of a node whose sub-runs exist.
func (n *Node) nextGroup(v *view) Decision {
	g, s := v.group.Group, n.Sub
	enough := s.Need > 0 && g.Completed >= s.Need
	over := !enough && g.Failed > s.Tolerate
	d, more := n.more(v, g)
	late := g.Late && !enough && !over && (g.Open > 0 || more || g.Stopped)
	stop := ""
	switch {
	case v.ending != nil:
		stop = Clip("the run around it ends: " + v.ending.Message)
	case enough:
		stop = "enough have completed"
	case over:
		stop = "too many have failed"
	case late:
		stop = "the time of the step is over"
	}
	if more && stop == "" && !g.Stopped {
		return d
	}
	switch {
	case g.Open > 0:
		return Decision{Move: MoveJoin, Node: n, Stop: stop}
	case v.ending != nil:
		f := Failure{Step: n.Name, Reason: v.ending.Reason, Code: v.ending.Code, Message: v.ending.Message}
		return Decision{Move: MoveSettle, Node: n, Failure: &f}
	case late:
		f := Failure{Step: n.Name, Reason: ReasonTimeout, Code: CodeTimeout,
			Message: fmt.Sprintf("%d of %d completed within %s", g.Completed, g.Total, short(n.Within))}
		d := n.settled(g)
		d.Failure = &f
		return d
	case s.GoesOn:
	case over, s.Need > 0 && !enough:
		return Decision{Move: MoveSettle, Node: n, Failure: n.tooFew(g, over)}
	}
	return n.settled(g)
}

// more are the sub-runs that there is room for.
func (n *Node) more(v *view, g *Group) (d Decision, more bool) {
	count, total := min(n.Sub.AtMost, g.Total-g.Completed-g.Failed-g.Canceled)-g.Open, g.Total
	if n.Sub.Rounds > 0 && g.Open == 0 && n.another(g) {
		count, total = 1, g.Next+1
	}
	if count <= 0 {
		return d, false
	}
	o := n.opening(v, total)
	o.Count = count
	return Decision{Move: MoveOpen, Node: n, Opening: o}, true
}

// another says whether a repeat goes on after the rounds so far.
func (n *Node) another(g *Group) (more bool) {
	last := g.last()
	if g.Next >= n.Sub.Rounds || g.Next != g.Completed || last == nil {
		return false
	}
	fault := guard(n.Name, func() { more = !n.Sub.until(last) })
	return more && fault == nil
}

func (g *Group) last() json.RawMessage {
	if len(g.Outputs) == 0 {
		return nil
	}
	return g.Outputs[len(g.Outputs)-1]
}

// tooFew is the failure of a step of whose sub-runs too many failed, or too few were
// left.
func (n *Node) tooFew(g *Group, over bool) *Failure {
	f := &Failure{Step: n.Name, Reason: ReasonError, Code: CodeSubRuns}
	if f.Message = fmt.Sprintf("%d of %d failed, %d are tolerated", g.Failed, g.Total, n.Sub.Tolerate); !over {
		f.Message = fmt.Sprintf("%d of %d completed, %d are needed", g.Completed, g.Total, n.Sub.Need)
	}
	if g.First != nil {
		f.Message += fmt.Sprintf("; %s[%d]/%s", n.Name, g.First.Index, g.First.Failure.Error())
	}
	f.Message = Clip(f.Message)
	return f
}

// settled is the outcome of a node whose sub-runs have ended well enough.
func (n *Node) settled(g *Group) Decision {
	d := Decision{Move: MoveSettle, Node: n}
	switch {
	case n.Kind == KindMap:
		d.Output, _ = json.Marshal(Summary{g.Total, g.Completed, g.Failed})
	case len(n.Sub.Branches) > 0:
		parts := map[string]json.RawMessage{}
		for i, out := range g.Outputs {
			if out != nil && i < len(n.Sub.Branches) {
				parts[n.Sub.Branches[i]] = out
			}
		}
		d.Output, _ = json.Marshal(parts)
		if len(d.Output) > MaxPayload {
			d.Output, d.Failure = nil, &Failure{Step: n.Name, Reason: ReasonError, Code: CodeTooLarge, Message: fmt.Sprintf("the outputs "+
				"of the branches have %d bytes together, %d are allowed: store them and return ids", len(d.Output), MaxPayload)}
		}
	default:
		if d.Output = g.last(); n.Kind == KindRepeat && d.Output != nil {
			if fault := guard(n.Name, func() { n.Sub.until(d.Output) }); fault != nil {
				d.Output, d.Failure = nil, fault
			}
		}
	}
	return d
}

// SubOutput is what a sub-run of the node has yielded, by its own history; nil without.
func (n *Node) SubOutput(index int, history History) (out json.RawMessage) {
	body := n.Body(index)
	if len(n.Sub.Branches) == 0 {
		index = 0
	}
	if body == nil || n.Sub.yields[index] == nil {
		return nil
	}
	_ = guard(n.Name, func() { out = n.Sub.yields[index](body.fold(history).outputs) })
	return out
}

// Generation is how often what stands before a step was done anew.
func (p *Plan) Generation(step string, history History) int {
	i, ok := p.index[step]
	if v := p.fold(history); ok && v.gens != nil {
		return v.gens[i]
	}
	return 0
}

// EndName is where a sub-run is reopened from of which nothing is to be done again.
const EndName = "(end)"

// ResumeFrom is the step that a sub-run goes on from when its step is run again: the one
// that failed, else the first that is not done, else [EndName], since no completed step
// is repeated: a cancel came when all was done.
func (p *Plan) ResumeFrom(history History) string {
	v := p.fold(history)
	if v.ending != nil {
		if _, ok := p.index[v.ending.Step]; ok {
			return v.sooner(v.ending.Step)
		}
	}
	for _, n := range p.Nodes {
		if n.Kind != KindFinish && !n.done(v.outcomes[n.index]) {
			return v.sooner(n.Name)
		}
	}
	return v.sooner(EndName)
}

// newBody makes the plan of sub-runs of a node by a function of the author.
func newBody[T, R any](n *Node, name string, body func(*Workflow[T]) *Result[R]) {
	outer := n.plan
	p := &Plan{Name: outer.Name, Version: outer.Version, index: map[string]int{}, payloads: map[string]reflect.Type{},
		input: reflect.TypeFor[T](), owner: n, RunTimeout: n.Sub.Each}
	p.start = &Node{Name: inputName, Kind: kindInput, plan: p, index: -1}
	n.Sub.Bodies = append(n.Sub.Bodies, p)
	if body == nil {
		outer.fault(n.Name, "%s needs a body", name)
		return
	}
	depth := 1
	for q := outer; q.owner != nil; q = q.owner.plan {
		depth++
	}
	if depth > MaxSubDepth {
		outer.fault(n.Name, "sub-runs lie %d deep in each other, %d are allowed", depth, MaxSubDepth)
		return
	}
	outer.keeps(n.Name, "the input of "+name, p.input)
	r := body(&Workflow[T]{plan: p})
	n.Sub.yields = append(n.Sub.yields, yielded(outer, n, p, r))
	if err := p.Validate(); err != nil {
		outer.fault(n.Name, "%s: %w", name, err)
	}
	n.undoable()
}

// yielded reads what runs of a body yield; nil when that is nothing.
func yielded[R any](outer *Plan, n *Node, body *Plan, r *Result[R]) func(outputs) json.RawMessage {
	if r == nil {
		return nil
	}
	for _, from := range r.of() {
		if from.Kind == kindInput {
			outer.fault(n.Name, "its body yields its input: let a step of it return that")
			return nil
		}
		if from.plan != body {
			outer.fault(n.Name, "its body yields what %q of another body or workflow leaves", from.Name)
			return nil
		}
	}
	return func(o outputs) json.RawMessage {
		for _, from := range r.of() {
			if raw := o.of(from); raw != nil {
				return raw
			}
		}
		return nil
	}
}
