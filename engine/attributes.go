package engine

import (
	"errors"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// roomForAttributes takes what the attempt has set. It is an error when the run has no room
// for it: only this node sets attributes of the run meanwhile.
func (x *execution) roomForAttributes() error {
	set := x.setting.Take()
	if set == nil {
		return nil
	}
	all, err := x.attributesOfRun()
	for _, en := range x.pending {
		if err == nil && en.Attributes != nil {
			all, err = all.With(en.Attributes)
		}
	}
	if err == nil {
		_, err = all.With(set)
	}
	if err != nil {
		return err
	}
	x.attributes = set
	return nil
}

// attributesOfRun reads what the run has, as often as it takes.
func (x *execution) attributesOfRun() (workflow.Attributes, error) {
	for failures := 1; ; failures++ {
		all, err := x.e.store.Attributes(x.e.working(), x.run.ID)
		if err == nil {
			return all[x.run.ID], nil
		}
		x.e.tell.RunnerFault("read", err)
		if pause(x.e.working(), backoff(failures)); errors.Is(err, store.ErrClosed) || x.e.working().Err() != nil {
			return nil, err
		}
	}
}
