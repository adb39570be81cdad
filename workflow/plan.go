package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

// Kind is what a node of a plan is.
type Kind string

// The kinds of node.
const (
	KindStep    Kind = "step"    // runs a function
	KindWait    Kind = "wait"    // waits for events
	KindSleep   Kind = "sleep"   // pauses
	KindFinish  Kind = "finish"  // ends the run early when its condition holds
	KindHandler Kind = "handler" // runs when the run fails or is canceled

	// These have sub-runs: see Sub.
	KindMap      Kind = "map"      // one for each item of a list
	KindRepeat   Kind = "repeat"   // one after the other, until a condition holds
	KindParallel Kind = "parallel" // one a branch
	KindRace     Kind = "race"     // one a branch, until the first has completed
	KindChild    Kind = "child"    // one of another definition
)

// subKinds are the kinds that have sub-runs.
var subKinds = []Kind{KindMap, KindRepeat, KindParallel, KindRace, KindChild}

// Names of the handlers in histories; no step may have them.
const (
	OnErrorName  = "on-error"
	OnCancelName = "on-cancel"
)

// DefaultTimeout bounds an attempt of a step that sets no [Timeout].
const DefaultTimeout = time.Minute

// Plan is a definition as runners see it: data to read, and functions to call.
type Plan struct {
	Name       string
	Version    int
	RunTimeout time.Duration // 0: unbounded
	Nodes      []*Node       // in order
	ErrorNode  *Node         // nil without OnError
	CancelNode *Node         // nil without OnCancel

	index    map[string]int
	start    *Node   // what Input reads
	returns  []*Node // see Returns
	owner    *Node   // of a body: the node whose sub-runs it is the plan of
	way      way     // of a Choose that is being built
	input    reflect.Type
	payloads map[string]reflect.Type // of events, by name
	given    given
	faults   []error
	sealed   atomic.Bool
}

// Node is one element of a plan. Only the fields of its kind are set.
type Node struct {
	Name       string
	Kind       Kind
	Conditions []*Condition // all must hold, those of the ways of a Choose around it first
	FailsWith  string       // of an early end: the code that it fails the run with; empty: it completes

	Retry      Retry         // steps, handlers, and the look of a wait at its deadline
	Timeout    time.Duration // of one attempt
	Within     time.Duration // of all attempts of a step together (0: unbounded), of a wait, of a sleep
	AtMostOnce bool
	Store      string // the kind of store in whose transaction the step runs; empty: in none

	Events            []AnyEvent
	All               bool // wait for all of Events instead of any
	ContinueOnTimeout bool
	// Reconciles says that the wait looks for its answer by itself; see Check.
	Reconciles bool

	Sub *Sub // of a node that has sub-runs

	plan     *Plan
	index    int
	reads    []*Node // what its conditions, list, deadline, schedule and first round are asked of
	undo     *Node   // takes its effect back
	undoes   *Node   // of an undo: what it takes back
	many     bool    // the output is Arrived even for one event
	branch   string  // of what a handle of a branch reads: its part of the output
	invoke   func(context.Context, json.RawMessage) (json.RawMessage, error)
	handle   func(context.Context, json.RawMessage, Failure) error
	check    func(context.Context, json.RawMessage) (json.RawMessage, bool, error)
	schedule func(outputs) Schedule
	until    *until       // when a wait or sleep ends, beside Within
	yields   reflect.Type // the type of the output
	given    given
}

// Plan makes a plan usable as a Definition.
func (p *Plan) Plan() *Plan { return p }

// Validate returns every fault of the definition, joined; nil when it is sound.
// Runners call it before they take a definition.
func (p *Plan) Validate() error {
	if p.index == nil {
		return errors.New("workflow: a zero definition: make it with New")
	}
	faults := slices.Clip(p.faults)
	if len(p.Nodes) == 0 {
		faults = append(faults, fmt.Errorf("workflow %q has no steps", p.Name))
	}
	for _, n := range p.Nodes {
		if n.Sub != nil && len(n.Sub.Bodies) == 0 {
			faults = append(faults, fmt.Errorf("workflow %q, step %q: a %s needs a branch", p.Name, n.Name, n.Kind))
		}
	}
	return errors.Join(append(faults, p.nameless()...)...)
}

// nameless returns the faults of names and labels that not every database keeps, or
// shows, as they are.
func (p *Plan) nameless() (faults []error) {
	check := func(what, name string) {
		if err := CheckName(what, name); err != nil {
			faults = append(faults, fmt.Errorf("workflow %q: %w", p.Name, err))
		}
	}
	check("name", p.Name)
	for _, n := range p.Nodes {
		check("step", n.Name)
		for _, e := range n.Events {
			if e != nil {
				check("event", e.EventName())
			}
		}
		for _, c := range n.Conditions {
			check("label", c.Label)
		}
	}
	return faults
}

// PlansOf are the plans of definitions, for a runner to take; the error joins every
// fault of each, nil and zero ones and two of one name and version included.
func PlansOf(definitions []Definition) (plans []*Plan, err error) {
	var faults []error
	for i, d := range definitions {
		var p *Plan
		if !isNil(d) {
			p = d.Plan()
		}
		if p == nil {
			faults = append(faults, fmt.Errorf("workflow: definition number %d is nil or zero: make it with New", i+1))
			continue
		}
		faults = append(faults, p.Validate())
		if slices.ContainsFunc(plans, func(o *Plan) bool { return o.Name == p.Name && o.Version == p.Version }) {
			faults = append(faults, fmt.Errorf("workflow %q: version %d is defined twice", p.Name, p.Version))
		}
		plans = append(plans, p)
	}
	return plans, errors.Join(faults...)
}

// WithChildren are plans and those that they run as children, which a runner takes with
// them. The error is that a child is another definition than the one that was given.
func WithChildren(plans []*Plan) (all []*Plan, err error) {
	all = slices.Clone(plans)
	var faults []error
	for _, p := range plans {
		for _, child := range p.Children() {
			same := func(o *Plan) bool { return o.Name == child.Name && o.Version == child.Version }
			if i := slices.IndexFunc(all, same); i < 0 {
				all = append(all, child)
			} else if all[i] != child {
				faults = append(faults, fmt.Errorf("workflow %q: version %d, which %q runs as a child, is another definition",
					child.Name, child.Version, p.Name))
			}
		}
	}
	return all, errors.Join(faults...)
}

// Seal ends the definition: adding to it panics from now on. Runners call it when
// they have taken the definition.
func (p *Plan) Seal() {
	p.sealed.Store(true)
	for _, n := range p.Nodes {
		if n.Sub != nil {
			for _, b := range n.Sub.Bodies {
				b.Seal()
			}
			n.undoable()
		}
	}
}

// open panics when the definition is sealed.
func (p *Plan) open() {
	if p.sealed.Load() {
		panic(fmt.Sprintf("workflow %q: a runner has taken the definition: add to it before that", p.Name))
	}
}

// Node finds a node or a handler by name.
func (p *Plan) Node(name string) (*Node, bool) {
	if i, ok := p.index[name]; ok {
		return p.Nodes[i], true
	}
	for _, n := range []*Node{p.ErrorNode, p.CancelNode} {
		if n != nil && n.Name == name {
			return n, true
		}
	}
	if n := p.undoOf(name); n != nil {
		return n.undo, true
	}
	return nil, false
}

// Event finds an event that some wait of the plan consumes.
func (p *Plan) Event(name string) (AnyEvent, bool) {
	for _, n := range p.Nodes {
		for _, e := range n.Events {
			if e.EventName() == name {
				return e, true
			}
		}
	}
	return nil, false
}

// CheckEvent says whether an event is one that a run of the plan may consume:
// ErrUnknownEvent, ErrPayload.
func (p *Plan) CheckEvent(s Signal) error {
	e, known := p.Event(s.Event)
	if !known {
		return fmt.Errorf("%w: %q in %s version %d", ErrUnknownEvent, s.Event, p.Name, p.Version)
	}
	if s.asSent() && s.of == p.payloads[s.Event] {
		return nil
	}
	if err := e.Check(s.Payload); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return nil
}

// CheckInput says whether an input is of the type that the plan takes: ErrPayload.
func (p *Plan) CheckInput(input json.RawMessage) error {
	if err := json.Unmarshal(input, reflect.New(p.input).Interface()); err != nil {
		return fmt.Errorf("%w: the input of %s version %d: %w", ErrPayload, p.Name, p.Version, err)
	}
	return nil
}

func (p *Plan) fault(node, format string, args ...any) {
	where := fmt.Sprintf("workflow %q", p.Name)
	if node != "" {
		where += fmt.Sprintf(", step %q", node)
	}
	p.faults = append(p.faults, fmt.Errorf("%s: "+format, append([]any{where}, args...)...))
}

// add appends a node and applies its options.
func (p *Plan) add(n *Node, opts []StepOption) {
	n.plan, n.index = p, len(p.Nodes)
	n.Conditions = slices.Clone(p.way.conditions)
	if n.Name != "" {
		n.Name = p.way.prefix + n.Name
	}
	switch _, taken := p.index[n.Name]; {
	case n.Name == "":
		p.fault("", "%s number %d needs a name", n.Kind, n.index+1)
	case IsHandler(n.Name):
		p.fault(n.Name, "the name is that of a handler")
	case taken:
		p.fault(n.Name, "two steps have this name")
	}
	p.index[n.Name] = n.index
	p.Nodes = append(p.Nodes, n)
	p.options(n, opts)
}

func (p *Plan) options(n *Node, opts []StepOption) {
	n.plan = p
	n.Timeout = DefaultTimeout
	p.apply(n, opts)
	if n.Sub != nil && n.Sub.GoesOn && !slices.Contains(n.given, "Tolerate") {
		n.Sub.Tolerate = MaxSubRuns
	}
	if n.Sub != nil && n.ContinueOnTimeout && n.Within == 0 {
		p.fault(n.Name, "ContinueOnTimeout on a %s that nothing bounds: give it Within", n.Kind)
	}
	if n.Kind == KindWait || n.Within <= 0 {
		return
	}
	if n.Timeout > n.Within && slices.Contains(n.given, "Timeout") {
		p.fault(n.Name, "a timeout of %s for one attempt above the bound of %s for all", short(n.Timeout), short(n.Within))
	}
	if n.Retry.MaxAttempts > 1 && n.Retry.InitialDelay > n.Within {
		p.fault(n.Name, "a retry with an initial delay of %s above the bound of %s for all attempts", short(n.Retry.InitialDelay),
			short(n.Within))
	}
}

func (p *Plan) apply(n *Node, opts []StepOption) {
	for i, o := range opts {
		if isNil(o) {
			p.fault(n.Name, "the option number %d is nil", i+1)
			continue
		}
		o.apply(p, n)
	}
}

// given are the names of the options that were given.
type given []string

// again notes an option, and says whether it was given before.
func (g *given) again(option string) (before bool) {
	before = slices.Contains(*g, option)
	*g = append(*g, option)
	return before
}

// once notes a fault when an option of a node, or of the whole workflow, is given
// again.
func (p *Plan) once(node string, g *given, option string) {
	if g.again(option) {
		p.fault(node, "%s is given twice: which one counts?", option)
	}
}
