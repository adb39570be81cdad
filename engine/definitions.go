package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// countedRuns is up to how many runs of another definition are counted to be told of.
const countedRuns = 500

// define is defineAll, for as long as a lease.
func (e *Engine) define(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, e.cfg.Lease)
	defer cancel()
	var fault error
	if !bounded(asking, func() { fault = e.defineAll(asking) }) {
		return errSilent
	}
	return fault
}

// defineAll compares the definitions that are held with what the store notes of those
// that open runs were begun with, tells the differences, or returns them when Strict
// refuses, and notes what is held. A shape that no open run was begun with is forgotten.
func (e *Engine) defineAll(ctx context.Context) error {
	noted, err := e.store.Shapes(ctx)
	if err == nil {
		err = e.findAlone(ctx)
	}
	if err != nil {
		return err
	}
	var refused []error
	var news []func() error
	for _, d := range e.defs {
		mine := e.plans[d].Shape()
		kept, words, err := e.differing(ctx, d, mine, noted[d])
		if err != nil {
			return err
		}
		if n := len(kept); n == 0 || kept[n-1].Shape.Differs(mine) != nil {
			next := store.Shape{Shape: mine}
			if n > 0 { // what was created until now is of the one before
				next.Since = e.now().Add(time.Microsecond)
			}
			kept = append(kept, next)
		}
		e.mu.Lock()
		e.shapes[d], e.differ[d] = kept, words
		e.mu.Unlock()
		switch {
		case words != "" && e.cfg.Strict:
			refused = append(refused, fmt.Errorf("engine: %s. Hold the definition again that they were begun "+
				"with, and give the change a new version", words))
		case !reflect.DeepEqual(kept, noted[d]):
			news = append(news, func() error { return e.store.Note(ctx, d, kept) })
		}
		if words != "" && !e.cfg.Strict {
			e.tell.RunnerFault("definition", fmt.Errorf("%s. Those that do not fit are left alone, and go on when it is held again; "+
				"give a change a new version", words))
		}
	}
	if refused != nil {
		return errors.Join(refused...)
	}
	for _, note := range news {
		if err := note(); err != nil {
			return err
		}
	}
	return nil
}

// differing returns which noted shapes of a definition still matter, and says in words
// what is another in the one that is held.
func (e *Engine) differing(ctx context.Context, d store.Definition, mine workflow.Shape,
	noted []store.Shape) (kept []store.Shape, words string, err error) {
	runs, more := 0, ""
	var differences []string
	for i, s := range noted {
		differs := mine.Differs(s.Shape)
		until := time.Time{}
		if i+1 < len(noted) {
			until = noted[i+1].Since
		} else if differs == nil {
			kept = append(kept, s)
			break
		}
		n, err := e.openRuns(ctx, d, s.Since, until)
		if err != nil {
			return nil, "", err
		}
		if n == 0 {
			continue
		}
		if kept = append(kept, s); differs == nil {
			continue
		}
		if runs += n; n == countedRuns {
			more = " or more"
		}
		for _, one := range differs {
			if !slices.Contains(differences, one) {
				differences = append(differences, one)
			}
		}
	}
	if runs > 0 {
		words = fmt.Sprintf("%d%s open runs of %s version %d were begun by another definition: %s",
			runs, more, d.Workflow, d.Version, workflow.Clip(strings.Join(differences, "; ")))
	}
	return kept, words, nil
}

// openRuns counts open runs of a definition by their creation, up to countedRuns.
func (e *Engine) openRuns(ctx context.Context, d store.Definition, since, until time.Time) (n int, err error) {
	q := store.Query{Workflow: d.Workflow, Status: store.Open, Since: since, Until: until, Limit: countedRuns, Now: e.now()}
	for {
		runs, next, err := e.store.List(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, r := range runs {
			if r.Version == d.Version {
				n++
			}
		}
		if n >= countedRuns || next == "" {
			return min(n, countedRuns), nil
		}
		q.Cursor = next
	}
}

// begunAs is the shape of the definition that a run was begun with; nil when it is that
// of the one that is held, or not known.
func (e *Engine) begunAs(r store.Run) *workflow.Shape {
	e.mu.Lock()
	defer e.mu.Unlock()
	shapes := e.shapes[store.Definition{Workflow: r.Workflow, Version: r.Version}]
	for i := len(shapes) - 1; i >= 0; i-- {
		if !shapes[i].Since.After(r.CreatedAt) {
			if i == len(shapes)-1 {
				return nil
			}
			return &shapes[i].Shape
		}
	}
	return nil
}

// findAlone notes since when no other node begins runs, on a store with one process: since
// now, or, where a clock was set back, the latest run that others began.
func (e *Engine) findAlone(ctx context.Context) error {
	latest, _, err := e.store.List(ctx, store.Query{Limit: 1, Now: e.now()})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.alone = e.now(); len(latest) > 0 && latest[0].CreatedAt.After(e.alone) {
		e.alone = latest[0].CreatedAt
	}
	return err
}

// beganAlone says whether a run was begun since no other node is there: then all that it
// keeps is of the definition that is held, and need not be looked at to know it.
func (e *Engine) beganAlone(r store.Run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.node.Renew == 0 && !e.alone.IsZero() && r.CreatedAt.After(e.alone)
}

// Notices are what people should know of this node although it is ready: which runs it
// leaves alone, and why. They cost no query.
func (e *Engine) Notices() []string {
	left := map[store.Definition][]Misfit{}
	for _, m := range e.Misfits() {
		d := store.Definition{Workflow: m.Workflow, Version: m.Version}
		left[d] = append(left[d], m)
	}
	var notices []string
	for _, d := range e.defs {
		e.mu.Lock()
		words := e.differ[d]
		e.mu.Unlock()
		if m := left[d]; len(m) > 0 {
			notices = append(notices, fmt.Sprintf("%d runs of %s version %d do not fit the definition that is held, and are left alone: run %s: %s",
				len(m), d.Workflow, d.Version, m[0].RunID, m[0].Why))
		} else if words != "" {
			notices = append(notices, "at the start "+words)
		}
	}
	return notices
}
