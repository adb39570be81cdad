package workflow

import (
	"encoding/json"
	"fmt"
	"sync"
)

// Scope is what the sub-runs of a run see of it.
type Scope struct {
	RunID string
	view  view
	at    *Place // of the run itself

	mu    sync.Mutex
	items map[string][]json.RawMessage // by step, once asked for
}

// Place is where a sub-run stands in the run around it.
type Place struct {
	Scope *Scope // nil: nothing around is seen
	Node  *Node
	Index int
	// Key is the part of idempotency keys that is the sub-run's; empty: it follows from
	// the scope.
	Key string
}

// RunKey is the part of idempotency keys that is the sub-run's.
func (p *Place) RunKey() string { return p.key("") }

// Started is the fact that a run begins with; in is nil of a run that belongs to none.
func Started(input json.RawMessage, in *Place) Fact {
	return Fact{Kind: FactStarted, Output: input, In: in}
}

// place is where the run of a history stands; nil of one that belongs to none.
func (h History) place() *Place {
	if len(h) == 0 || h[0].Kind != FactStarted {
		return nil
	}
	return h[0].In
}

// Scope is the scope that a run is for its sub-runs; its history begins with its
// [Started].
func (p *Plan) Scope(runID string, history History) *Scope {
	return &Scope{RunID: runID, view: p.fold(history), at: history.place(), items: map[string][]json.RawMessage{}}
}

// Plan is the plan of the run that the scope is of.
func (s *Scope) Plan() *Plan { return s.view.outputs.plan }

// Size is about how many bytes the scope takes.
func (s *Scope) Size() (size int) {
	for _, o := range s.view.outputs.own {
		size += 2 * len(o) // a list is kept once more, item by item
	}
	return size
}

// Input is the input of the sub-run at a place: a pure function of the run around it,
// and in a repeat of the output of the round before. The error is a [Failure]: the
// definition no longer has such a sub-run.
func (p *Place) Input(before json.RawMessage) (in json.RawMessage, err error) {
	fault := guard(p.Node.Name, func() {
		switch s := p.Node.Sub; {
		case s.items != nil:
			in, err = p.item()
		case s.Rounds > 0 && p.Index > 0:
			in = before
		case s.first != nil:
			in, err = s.first(p.Scope)
		default:
			in = p.Scope.view.outputs.own[len(p.Node.plan.Nodes)]
		}
	})
	switch {
	case fault != nil:
		return nil, *fault
	case err == nil && in == nil:
		err = fmt.Errorf("there is no input for %s[%d]", p.Node.Name, p.Index)
	}
	if err != nil {
		return nil, Failure{Step: p.Node.Name, Reason: ReasonError, Code: CodeDefinition, Message: Clip(err.Error())}
	}
	return in, nil
}

func (p *Place) item() (json.RawMessage, error) {
	s := p.Scope
	s.mu.Lock()
	defer s.mu.Unlock()
	items, ok := s.items[p.Node.Name]
	if !ok {
		var err error
		if items, err = p.Node.Sub.items(s.view.outputs); err != nil {
			return nil, err
		}
		s.items[p.Node.Name] = items
	}
	if p.Index >= len(items) {
		return nil, fmt.Errorf("the list that %s goes over has %d items, and had more when it began", p.Node.Name, len(items))
	}
	return items[p.Index], nil
}
