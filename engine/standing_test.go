package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

func TestARunInLineTellsHowManyStandBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := workflow.New[string]("held")
		free := make(chan struct{})
		workflow.Step(wf, "hold", func(context.Context, string) (int, error) { <-free; return 1, nil })
		e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		start := func(i int) {
			if err := wf.Start(t.Context(), e, fmt.Sprint("r", i), ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		standing := func(i int) engine.Standing {
			s, err := e.Standing(t.Context(), fmt.Sprint("r", i))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		for i := range 3 { // nobody runs them
			start(i)
			time.Sleep(time.Millisecond)
		}
		if s := standing(2); s.Before != 2 || s.Node != "" || s.Dead || s.Latest.IsZero() {
			t.Errorf("the third of three: %+v", s)
		}
		stop := running(t, e)
		synctest.Wait()
		if s := standing(0); s.Before != 0 || s.Node == "" || s.Dead {
			t.Errorf("the one that is executed: %+v", s)
		}
		for i := 3; i < 6; i++ {
			start(i)
			time.Sleep(time.Millisecond)
		}
		if before, s := standing(4).Before, standing(5); s.Before <= before {
			t.Errorf("the last of six: %+v, the one before it has %d before it", s, before)
		}
		close(free)
		synctest.Wait()
		stop()
		if s := standing(5); s != (engine.Standing{}) {
			t.Errorf("one that has ended: %+v", s)
		}
		if _, err := e.Standing(t.Context(), "nobody"); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("an unknown run: %v", err)
		}
	})
}

// ownedBy is a store whose runs a node of another epoch has, and lost workers before.
type ownedBy struct {
	store.Store
	epoch int64
	lost  int
	nodes []store.Node
}

func (s ownedBy) Get(ctx context.Context, id string) (store.Claimed, error) {
	c, err := s.Store.Get(ctx, id)
	c.Run.Owner, c.Run.Takeovers = s.epoch, s.lost
	return c, err
}

func (s ownedBy) Nodes(context.Context) ([]store.Node, error) { return s.nodes, nil }

func TestARunOfADeadNodeAndASuspectSaySo(t *testing.T) {
	wf := workflow.New[string]("idle")
	workflow.Step(wf, "idle", func(context.Context, string) (int, error) { return 1, nil })
	st := memory.New()
	for _, tc := range []struct {
		s    ownedBy
		want engine.Standing
	}{
		{ownedBy{st, 7, 0, []store.Node{{Name: "a", Epoch: 7}}}, engine.Standing{Node: "a"}},
		{ownedBy{st, 7, 1, []store.Node{{Name: "a", Epoch: 7, Dead: true}}}, engine.Standing{Node: "a", Dead: true, Lost: 1}},
		{ownedBy{st, 7, store.SuspectAfter, nil}, engine.Standing{Dead: true, Lost: store.SuspectAfter, Suspect: true}},
	} {
		e, err := engine.New(engine.Config{Store: tc.s, Definitions: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		got, err := e.Standing(t.Context(), "r")
		if got.Latest = tc.want.Latest; err != nil || got != tc.want {
			t.Errorf("%+v, %v, want %+v", got, err, tc.want)
		}
	}
}
