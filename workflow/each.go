package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"time"
)

// subOption is an option of steps with sub-runs.
func subOption(option string, n int, least, most int, set func(*Sub), kinds ...Kind) StepOption {
	return stepOption(func(p *Plan, node *Node) {
		if !allow(option, p, node, kinds...) {
			return
		}
		p.once(node.Name, &node.given, option)
		if n < least || n > most {
			p.fault(node.Name, "%s(%d): %d to %d are allowed", option, n, least, most)
		}
		set(node.Sub)
	})
}

// AtMost bounds how many sub-runs of a [Map] are open at once, from 1 to [MaxAtMost];
// default [DefaultAtMost]. It counts for each run by itself: it is no limit of calls to
// a partner.
func AtMost(n int) StepOption {
	return subOption("AtMost", n, 1, MaxAtMost, func(s *Sub) { s.AtMost = n }, KindMap)
}

// Tolerate is how many sub-runs of a [Map] or [Parallel] may fail, default 0. One more,
// and no new ones begin, those that are open are canceled, and the step fails with
// [CodeSubRuns].
func Tolerate(n int) StepOption {
	return subOption("Tolerate", n, 0, MaxSubRuns, func(s *Sub) { s.Tolerate = n }, KindMap, KindParallel)
}

// Enough ends a [Map] or [Parallel] when so many sub-runs have completed: the others are
// canceled, and are no failures. When fewer complete, the step fails with [CodeSubRuns].
func Enough(n int) StepOption {
	return subOption("Enough", n, 1, MaxSubRuns, func(s *Sub) { s.Need = n }, KindMap, KindParallel)
}

// ContinueOnFailure lets a [Map], [Parallel], [Race] or [Child] complete whatever fails: its
// output tells what became of the sub-runs. None is stopped for the failure of another,
// unless [Tolerate] is given and more fail.
var ContinueOnFailure StepOption = stepOption(func(p *Plan, n *Node) {
	if allow("ContinueOnFailure", p, n, KindMap, KindParallel, KindRace, KindChild) {
		p.once(n.Name, &n.given, "ContinueOnFailure")
		n.Sub.GoesOn = true
	}
})

// EachWithin bounds each sub-run of a [Map], [Repeat], [Parallel] or [Race] by itself, from
// when it begins: the [RunTimeout] of its body.
type EachWithin time.Duration

func (w EachWithin) apply(p *Plan, n *Node) {
	if !allow("EachWithin", p, n, KindMap, KindRepeat, KindParallel, KindRace) {
		return
	}
	if p.once(n.Name, &n.given, "EachWithin"); w <= 0 {
		p.fault(n.Name, "a bound of %s for each sub-run: it must be positive", time.Duration(w))
	}
	n.Sub.Each = time.Duration(w)
}

// Items are what a [Map] goes over: [Each] or [EachOf].
type Items[T any] struct {
	on   []*Node
	list func(outputs) []T
}

// Each are the elements of an earlier output, or of the run's [Input]. Without that
// output there are none.
func Each[T any](list *Result[[]T]) Items[T] { return EachOf(list, func(l []T) []T { return l }) }

// EachOf are the elements that a pure function finds in an earlier output.
func EachOf[L, T any](on *Result[L], pick func(L) []T) Items[T] {
	items := Items[T]{on: on.of()}
	if pick != nil {
		items.list = func(o outputs) []T {
			v, ok := on.in(o)
			if !ok {
				return nil
			}
			return pick(v)
		}
	}
	return items
}

// Mapped is the handle of a [Map].
type Mapped[R any] struct{ node *Node }

// Map runs the body once for each element of a list, as a sub-run: a run of its own,
// with its own retries, waits and history, which takes the element as input. Up to
// [AtMost] are open at once. The step ends when all have ended, see [Tolerate] and
// [Enough]; its output is a [Summary], and [Mapped.All] reads what became of each.
//
// Inside, the body sees the handles of what stands before the map, at any depth; outside,
// nobody sees those of the body. A run that is retried from the map runs only those again
// that did not complete.
func Map[In, T, R any](wf *Workflow[In], name string, over Items[T], body func(*Workflow[T]) *Result[R], opts ...StepOption) *Mapped[R] {
	s := &Sub{AtMost: DefaultAtMost, Over: namesOf(over.on)}
	n := &Node{Name: name, Kind: KindMap, Sub: s, yields: reflect.TypeFor[Summary]()}
	wf.mine().add(n, opts)
	wf.plan.earlier(n, "the list", over.on...)
	if over.list == nil {
		wf.plan.fault(n.Name, "a map needs a list")
		over.list = func(outputs) []T { return nil }
	}
	s.count = func(v *view) int { return len(over.list(v.outputs)) }
	s.items = func(o outputs) ([]json.RawMessage, error) {
		list := over.list(o)
		raws := make([]json.RawMessage, len(list))
		for i := range list {
			raw, err := json.Marshal(&list[i])
			if err != nil {
				return nil, fmt.Errorf("item %d cannot be encoded: %w", i, err)
			}
			raws[i] = raw
		}
		return raws, nil
	}
	newBody(n, "the body", body)
	return &Mapped[R]{n}
}

// Summary is the handle of the map's output, for conditions.
func (m *Mapped[R]) Summary() *Result[Summary] { return &Result[Summary]{[]*Node{m.node}} }

// Item is what became of an element.
type Item[R any] struct {
	Index   int
	Status  Status
	Output  R        // the zero value unless it completed and the body yields something
	Failure *Failure // of one that ended badly
}

// All reads what became of the elements, in order, page by page, in a step or handler
// behind the map. Those that never began, since the step was stopped before, are
// missing. After an error there are no more.
func (m *Mapped[R]) All(ctx context.Context) iter.Seq2[Item[R], error] {
	const page = 100
	c, n := callFrom(ctx), m.node
	if c == nil || c.Subs == nil || !c.plan.within(n.plan) {
		panic(fmt.Sprintf("workflow: the items of %q were read outside of a run of workflow %q", n.Name, n.plan.Name))
	}
	if !n.before(c.node) {
		panic(misuse("step %q reads the items of %q, which does not stand before it", c.node.Name, n.Name))
	}
	return func(yield func(Item[R], error) bool) {
		id, v := c.RunID, c.plan.fold(c.History)
		for ; v.outputs.plan != n.plan; v = v.outputs.scope.view {
			id = v.outputs.scope.RunID
		}
		generation := 0
		if v.gens != nil {
			generation = v.gens[n.index]
		}
		for from := 0; ; {
			subs, err := c.Subs(ctx, id, n, generation, from, page)
			if err != nil {
				yield(Item[R]{}, fmt.Errorf("the items of %q cannot be read: %w", n.Name, err))
				return
			}
			for _, s := range subs {
				it := Item[R]{Index: s.Index, Status: s.Status, Failure: s.Failure}
				if s.Output != nil && s.Status == StatusCompleted {
					if err := json.Unmarshal(s.Output, &it.Output); err != nil {
						yield(it, misuse("the output of %s[%d] no longer fits the definition: %w", n.Name, s.Index, err))
						return
					}
				}
				if !yield(it, nil) {
					return
				}
			}
			if len(subs) < page {
				return
			}
			from = subs[len(subs)-1].Index + 1
		}
	}
}

// SubReader reads sub-runs of a step of a run, in order, from an index on, up to limit.
type SubReader func(ctx context.Context, runID string, step *Node, generation, from, limit int) ([]SubRun, error)

// SubRun is a sub-run, as far as it is.
type SubRun struct {
	Index   int
	Status  Status
	Output  json.RawMessage
	Failure *Failure
}

// Repeat runs the body again and again, each round as a sub-run that takes what the one
// before yielded, until the predicate holds for what a round yielded, or max rounds were
// run. The first round takes an earlier output; nil, or one that is missing, is the zero
// value. The result is what the last round yielded. The predicate must be pure.
func Repeat[In, S any](wf *Workflow[In], name string, max int, start *Result[S], body func(*Workflow[S]) *Result[S],
	until func(S) bool, opts ...StepOption) *Result[S] {
	s := &Sub{AtMost: 1, Rounds: max}
	n := &Node{Name: name, Kind: KindRepeat, Sub: s, yields: reflect.TypeFor[S]()}
	wf.mine().add(n, opts)
	if start != nil {
		wf.plan.earlier(n, "the first round", start.of()...)
	}
	if until == nil {
		wf.plan.fault(n.Name, "a repeat needs a predicate")
		until = func(S) bool { return true }
	}
	if max < 1 || max > MaxSubRuns {
		wf.plan.fault(n.Name, "a repeat of %d rounds: 1 to %d are allowed", max, MaxSubRuns)
	}
	s.first = func(sc *Scope) (json.RawMessage, error) {
		var v S
		if start != nil {
			v, _ = start.in(sc.view.outputs)
		}
		return json.Marshal(&v)
	}
	s.until = func(raw json.RawMessage) bool {
		var v S
		if err := json.Unmarshal(raw, &v); err != nil {
			panic(misuse("what a round yielded no longer fits the definition: %w", err))
		}
		return until(v)
	}
	newBody(n, "the body", body)
	if len(s.yields) == 0 || s.yields[0] == nil {
		wf.plan.fault(n.Name, "the body of a repeat yields nothing for the next round")
	}
	return &Result[S]{[]*Node{n}}
}
