package storetest

import (
	"testing"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var first = map[string]func(t *testing.T, h Harness){
	"a run is created with its first event, or not at all": firstEvent,
}

func firstEvent(t *testing.T, h Harness) {
	b := open(t, h)
	r := b.fresh("r")
	r.Owner, r.StartedAt, r.Seq = b.node.Epoch, b.now, 2
	r.First = &workflow.Signal{ID: "s1", Event: "answer", Payload: []byte(`"hello"`)}
	b.ok(b.s.Create(t.Context(), r))
	r.First = &workflow.Signal{ID: "s2", Event: "answer", Payload: []byte(`"again"`)}
	b.is("a creation again", b.s.Create(t.Context(), r), store.ErrExists)
	c, err := b.s.Get(t.Context(), "r")
	b.ok(err)
	if len(c.Signals) != 1 || c.Signals[0].ID != "s1" || c.Signals[0].Seq != 2 || string(c.Signals[0].Payload) != `"hello"` ||
		!c.Signals[0].At.Equal(b.now) || c.Signals[0].Late || c.Run.Seq != 2 {
		t.Errorf("the run has %+v, and its seq is %d", c.Signals, c.Run.Seq)
	}
	if got := b.deliver("r", "s1", "answer"); !got.Duplicate {
		t.Errorf("the first event again: %+v", got)
	}
	b.deliver("r", "s3", "answer")
	if c, err = b.s.Get(t.Context(), "r"); err != nil || len(c.Signals) != 2 || c.Signals[1].Seq != 3 {
		t.Errorf("the run has %+v, %v", c.Signals, err)
	}
}
