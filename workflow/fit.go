package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Kept is what a run keeps, as far as a plan must fit it.
type Kept struct {
	// Begun is the shape of the definition that the run was begun with; nil: that of
	// the plan. Where they differ, values must fit the plan without a rest: a field that
	// the plan's type does not have would be lost, one that it adds is empty.
	Begun   *Shape
	Input   json.RawMessage // nil: it fits
	History History
	Inbox   []Signal // what no wait has consumed
}

// Fits says why this plan cannot have led to a history: nil when at every point of it
// the plan asks for what happened next. A runner leaves a run alone whose history does
// not fit: another definition of the same name and version began it. Fits is pure.
func (p *Plan) Fits(history History) error { return p.FitsRun(Kept{History: history}) }

// FitsRun is Fits for all that a run keeps.
func (p *Plan) FitsRun(k Kept) error {
	var mine Shape
	if k.Begun != nil {
		mine = p.Shape()
	} else {
		k.Begun = &mine
	}
	if err := fitsType(k.Input, p.input, k.Begun.Input != mine.Input); err != nil {
		return fmt.Errorf("the run's input is of another type than that of version %d: %w", p.Version, err)
	}
	if err := p.fitsInbox(k.Inbox, *k.Begun, mine); err != nil {
		return err
	}
	path := make(History, 0, len(k.History)+1) // without what turned the run from its way
	if k.Input != nil && (len(k.History) == 0 || k.History[0].Kind != FactStarted) {
		path = append(path, Fact{Kind: FactStarted, Output: k.Input})
	}
	for _, f := range k.History {
		switch {
		case f.Kind == FactCanceled, f.Kind == FactDeadline, f.Kind == FactGroup:
			continue
		case f.Kind == FactStarted:
		case f.Kind == FactReopened:
			if _, known := p.index[f.Step]; !known && f.Step != EndName && f.Step != UndoName {
				return fmt.Errorf("the run was reopened from step %q, which version %d does not have", f.Step, p.Version)
			}
		case IsHandler(f.Step):
			if _, known := p.Node(f.Step); !known {
				return fmt.Errorf("the handler %s has run, and version %d has none", f.Step, p.Version)
			}
		default:
			if err := p.leadsTo(path, f); err != nil {
				return err
			}
			if err := p.fitsOutput(f, *k.Begun, mine); err != nil {
				return err
			}
		}
		path = append(path, f)
	}
	return nil
}

// leadsTo says why an outcome is none of what the plan asks for.
func (p *Plan) leadsTo(path History, f Fact) error {
	i, known := p.index[f.Step]
	if !known {
		return fmt.Errorf("the run has an outcome of step %q, which version %d does not have", f.Step, p.Version)
	}
	d := p.Next(path)
	skipped := f.Kind == FactSkipped
	switch n := p.Nodes[i]; {
	case d.Failure != nil && d.Failure.Step == f.Step && d.Failure.Code == CodeDefinition && f.Kind == FactFailed:
		return nil // a predicate that panicked
	case p.Nodes[i].Sub != nil && f.Kind == FactFailed && d.Node == p.Nodes[i]:
		return nil
	case d.Node == nil:
		return fmt.Errorf("the run went on with step %q, where version %d ends", f.Step, p.Version)
	case d.Node != n:
		return fmt.Errorf("the run went on with step %q, where version %d has %q", f.Step, p.Version, d.Node.Name)
	case skipped != (d.Move == MoveSkip):
		return fmt.Errorf("step %q was %s, which the condition of version %d says otherwise", f.Step, f.Kind, p.Version)
	case skipped && f.Reason != "" && f.Reason != d.Because:
		return fmt.Errorf("step %q was skipped because of %q, and version %d has the condition %q", f.Step, f.Reason, p.Version, d.Because)
	}
	return nil
}

// fitsOutput says why the output of a step, or the events that a wait consumed, are of
// other types than the plan's.
func (p *Plan) fitsOutput(f Fact, begun, mine Shape) error {
	n, known := p.Node(f.Step)
	if f.Kind != FactCompleted || !known || n.yields == nil {
		return nil
	}
	was, _ := begun.node(f.Step)
	is, _ := mine.node(f.Step)
	strict := was.Output != is.Output
	if n.Kind == KindWait && !n.many {
		strict = begun.Events[n.Events[0].EventName()] != mine.Events[n.Events[0].EventName()]
	}
	err := fitsType(f.Output, n.yields, strict)
	var arrived Arrived
	if err == nil && n.many && json.Unmarshal(f.Output, &arrived) == nil {
		for _, e := range arrived.Events {
			if t, typed := p.payloads[e.Type]; typed && err == nil {
				err = fitsType(e.Data, t, begun.Events[e.Type] != mine.Events[e.Type])
			}
		}
	}
	if err != nil {
		return fmt.Errorf("the output of step %q is of another type than that of version %d: %w", f.Step, p.Version, err)
	}
	return nil
}

// fitsInbox says why an event that the run keeps for a wait would be set aside.
func (p *Plan) fitsInbox(inbox []Signal, begun, mine Shape) error {
	for _, s := range inbox {
		was, expected := begun.Events[s.Event]
		is, takes := mine.Events[s.Event]
		switch {
		case !expected, was == is && takes:
		case !takes:
			return fmt.Errorf("the inbox holds an event %q, which no wait of version %d takes", s.Event, p.Version)
		default:
			if t, typed := p.payloads[s.Event]; typed {
				if err := fitsType(s.Payload, t, true); err != nil {
					return fmt.Errorf("the inbox holds an event %q of another type than that of version %d: %w", s.Event, p.Version, err)
				}
			}
		}
	}
	return nil
}

// fitsType says why a stored value is none of a type: none that decodes, or, strictly,
// one with a field or with elements that the type does not have. What is no JSON at all fits nothing, and
// fails its run by itself.
func fitsType(raw json.RawMessage, t reflect.Type, strict bool) error {
	var err error
	fault := guard("", func() { // a decoder of the type
		into := reflect.New(t).Interface()
		if !strict {
			err = json.Unmarshal(raw, into)
			return
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err = d.Decode(into); err == nil {
			err = keepsLists(raw, into)
		}
	})
	if fault != nil {
		err = errors.New(fault.Message)
	}
	if err != nil && !json.Valid(raw) {
		return nil
	}
	return err
}

// keepsLists says which list of a stored value is cut by the array that it was decoded
// into: encoding/json drops what an array has no room for.
func keepsLists(raw json.RawMessage, decoded any) error {
	again, err := json.Marshal(decoded)
	if err != nil {
		return nil // a type that is only read
	}
	var was, is any
	if json.Unmarshal(raw, &was) != nil || json.Unmarshal(again, &is) != nil {
		return nil
	}
	return cut(was, is)
}

func cut(was, is any) error {
	switch was := was.(type) {
	case map[string]any:
		is, _ := is.(map[string]any)
		for name, v := range was {
			if err := cut(v, is[name]); err != nil {
				return fmt.Errorf("in %q: %w", name, err)
			}
		}
	case []any:
		is, list := is.([]any)
		if list && len(is) < len(was) {
			return fmt.Errorf("a list of %d where the type holds %d", len(was), len(is))
		}
		for i := range min(len(was), len(is)) {
			if err := cut(was[i], is[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
