package workflow

import (
	"context"
	"reflect"
	"time"
)

// Workflow is a definition whose runs take an In as input. Build it with [New],
// [Step], [WaitFor] and the other functions of this package; hand it to a runner
// when it is complete.
type Workflow[In any] struct{ plan *Plan }

// Definition is what a runner takes: every *Workflow is one.
type Definition interface{ Plan() *Plan }

// Option sets a property of a whole workflow.
type Option func(*Plan)

// Version sets the definition's version, default 1. A run keeps the version it
// was started with, and a runner may hold several versions of one workflow. Raise
// it when steps are added, removed, renamed or reordered while runs are open.
func Version(n int) Option {
	return func(p *Plan) {
		p.once("", &p.given, "Version")
		p.Version = n
	}
}

// RunTimeout bounds a whole run from its start, error handler excluded. A run
// past it ends as timed_out with code run_timeout. Default: unbounded.
func RunTimeout(d time.Duration) Option {
	return func(p *Plan) {
		if d <= 0 {
			p.fault("", "a run timeout of %s: it must be positive", d)
		}
		p.once("", &p.given, "RunTimeout")
		p.RunTimeout = d
	}
}

// New begins a definition. Names identify workflows in the store and in every
// view, so keep them: lower-case words joined by hyphens.
func New[In any](name string, opts ...Option) *Workflow[In] {
	p := &Plan{Name: name, Version: 1, index: map[string]int{}, payloads: map[string]reflect.Type{}, input: reflect.TypeFor[In]()}
	if name == "" {
		p.fault("", "a workflow needs a name")
	}
	for i, o := range opts {
		if o == nil {
			p.fault("", "the option number %d is nil", i+1)
			continue
		}
		o(p)
	}
	if p.Version < 1 {
		p.fault("", "version %d: versions begin at 1", p.Version)
	}
	p.keeps("", "the input", p.input)
	p.start = &Node{Name: inputName, Kind: kindInput, plan: p, index: -1}
	return &Workflow[In]{plan: p}
}

// Plan is the definition as runners see it; nil of one that was not made with [New].
func (w *Workflow[In]) Plan() *Plan {
	if w == nil {
		return nil
	}
	return w.plan
}

// mine is the plan that is added to.
func (w *Workflow[In]) mine() *Plan {
	if w.Plan() == nil {
		panic("workflow: a step, wait or handler is added to a workflow that was not made with New")
	}
	w.plan.open()
	return w.plan
}

// Start starts a run. It is idempotent by run ID: the same ID with the same
// input is a success, with another input [ErrInputDiffers].
func (w *Workflow[In]) Start(ctx context.Context, on Starter, runID string, in In, opts ...StartOption) error {
	return w.Ref().Start(ctx, on, runID, in, opts...)
}

// Ref names the workflow, in this version.
func (w *Workflow[In]) Ref() Ref[In] { return Ref[In]{w.plan.Name, w.plan.Version} }
