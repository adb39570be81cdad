package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

// StepIn adds a step that runs in a transaction of a kind of store, for the packages of
// stores: authors call their Step. What the function writes and its outcome are committed
// together.
func StepIn[In, Out, Tx any](wf *Workflow[In], kind, name string, fn func(ctx context.Context, tx Tx, in In) (Out, error),
	opts ...StepOption) *Result[Out] {
	n := &Node{Name: name, Kind: KindStep, Store: kind}
	n.invoke = func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		in, err := decodeInput[In](input)
		if err != nil {
			return nil, err
		}
		tx, ok := ctx.Value(txKey{}).(Tx)
		if !ok {
			return nil, Permanent(misuse("step %q was given no transaction of a %s store", name, kind))
		}
		out, err := fn(ctx, tx, in)
		if err != nil {
			return nil, err
		}
		return encodeOutput(&out)
	}
	wf.mine().add(n, opts)
	if fn == nil {
		wf.plan.fault(name, "a step needs a function")
	}
	if n.AtMostOnce {
		wf.plan.fault(name, "AtMostOnce means nothing on a step in a transaction: one that was lost has done nothing")
	}
	n.yields = reflect.TypeFor[Out]()
	wf.plan.keeps(name, "the output", n.yields)
	return &Result[Out]{[]*Node{n}}
}

type txKey struct{}

// InTx is a context by which the step of a [Node] with a Store has its transaction.
func InTx(ctx context.Context, tx any) context.Context { return context.WithValue(ctx, txKey{}, tx) }

// CheckStores says whether every step of a plan, its bodies included, can run where steps
// run in transactions of this kind of store; empty: in none.
func (p *Plan) CheckStores(kind string) error {
	for _, n := range p.Nodes {
		if n.Store != "" && n.Store != kind {
			return fmt.Errorf("workflow %q, step %q: it runs in a transaction of the %s store, which this runner is not over\n  "+
				"Try: an engine over that store, or Step", p.Name, n.Name, n.Store)
		}
		if n.Sub == nil {
			continue
		}
		for _, b := range n.Sub.Bodies {
			if err := b.CheckStores(kind); err != nil {
				return err
			}
		}
	}
	return nil
}
