package workflow

import (
	"encoding/json"
	"fmt"
)

// Fits says why this plan cannot have led to a history: nil when at every point of it
// the plan asks for what happened next. A runner leaves a run alone whose history does
// not fit: another definition of the same name and version began it. Fits is pure.
func (p *Plan) Fits(history History) error {
	path := make(History, 0, len(history)) // without what turned the run from its way
	for _, f := range history {
		switch {
		case f.Kind == FactCanceled, f.Kind == FactDeadline:
			continue
		case f.Kind == FactReopened:
			if _, known := p.index[f.Step]; !known {
				return fmt.Errorf("the run was reopened from step %q, which version %d does not have", f.Step, p.Version)
			}
		case f.Step == OnErrorName || f.Step == OnCancelName:
			if _, known := p.Node(f.Step); !known {
				return fmt.Errorf("the handler %s has run, and version %d has none", f.Step, p.Version)
			}
		default:
			if err := p.leadsTo(path, f); err != nil {
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
	case d.Node == nil:
		return fmt.Errorf("the run went on with step %q, where version %d ends", f.Step, p.Version)
	case d.Node != n:
		return fmt.Errorf("the run went on with step %q, where version %d has %q", f.Step, p.Version, d.Node.Name)
	case skipped != (d.Move == MoveSkip):
		return fmt.Errorf("step %q was %s, which the condition of version %d says otherwise", f.Step, f.Kind, p.Version)
	case skipped && f.Reason != "" && f.Reason != d.Because:
		return fmt.Errorf("step %q was skipped because of %q, and version %d has the condition %q", f.Step, f.Reason, p.Version, d.Because)
	case f.Kind == FactCompleted && n.decode != nil && json.Valid(f.Output): // what is no JSON fits nothing
		if err := n.decode(f.Output); err != nil {
			return fmt.Errorf("the output of step %q is of another type than that of version %d: %w", f.Step, p.Version, err)
		}
	}
	return nil
}
