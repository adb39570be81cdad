package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// movable is a store that can be lost.
type movable struct {
	store.Store
	lost atomic.Pointer[error]
}

func (m *movable) Check() error {
	if err := m.lost.Load(); err != nil {
		return *err
	}
	return nil
}

func TestAStoreThatIsNotWhereItWasIsToldOnceAndNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, h := &movable{Store: memory.New()}, &hearing{}
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{nap(time.Second)}, Observers: []workflow.Observer{h}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		time.Sleep(time.Minute)
		if err := e.Ready(ctx); err != nil || len(h.heard("store")) != 0 {
			t.Errorf("nothing has happened: %v, %q", err, h.heard("store"))
		}
		gone := errors.New("gone")
		for range 2 { // it comes back in between
			st.lost.Store(&gone)
			if err := e.Ready(ctx); !errors.Is(err, gone) {
				t.Errorf("Ready: %v", err)
			}
			time.Sleep(time.Minute)
			st.lost.Store(nil)
			if err := e.Ready(ctx); err != nil {
				t.Errorf("Ready: %v", err)
			}
			time.Sleep(time.Minute)
		}
		if told := strings.Join(h.heard("store"), "|"); told != "store: gone|store: gone" {
			t.Errorf("told %s", told)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
