package engine

import (
	"log/slog"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// logged tells faults to the program's log: of an engine that nobody observes.
type logged struct{}

func (logged) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

func (logged) RunnerFault(op string, err error) {
	slog.Error("the engine goes on after a fault", "op", op, "error", err)
}

// takePosts tells the store what it needs to know about what transactions ask for.
func (e *Engine) takePosts() {
	p, ok := e.store.(store.Poster)
	if !ok {
		return
	}
	p.OnPosts(store.Posting{Now: e.now, Tell: func(err error) { e.tell.RunnerFault("post", err) }, Latest: func(name string) int {
		if plan := e.latest[name]; plan != nil {
			return plan.Version
		}
		return 0
	}})
}
