// Package runnertest is the suite that every [workflow.Runner] passes: the same
// definition behaves the same wherever it runs.
//
//	func TestRunner(t *testing.T) {
//		runnertest.Run(t, runnertest.Config{New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
//			…
//		}})
//	}
//
// Compared are how runs end, what happens in which order and when, how often
// steps are tried, which events are consumed, and what handlers are told.
package runnertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Config says how runners are made and how time passes for them.
type Config struct {
	// New starts a runner that holds the definitions and remembers no run, and
	// registers with t.Cleanup what stops it. In virtual time it is called inside of
	// a testing/synctest bubble.
	New func(t *testing.T, defs ...workflow.Definition) Harness
	// Second is how long a second of the suite lasts, in real time. A scenario that
	// fails on a machine too busy to keep this pace is tried again at a slower one.
	// 0: the suite runs in virtual time, each test in a testing/synctest bubble, and
	// times are compared exactly.
	Second time.Duration
	// Slack is how much later than planned something may happen in real time;
	// default 5 s.
	Slack time.Duration
	// Differs says of scenarios, by their names as Scenarios tells them, why this
	// runner behaves otherwise. How it does is tested in their place.
	Differs map[string]string
}

// Harness is a runner under test.
type Harness struct {
	Runner workflow.Runner
	// Restart stops the runner as a deployment does and returns another one with the
	// same definitions and memory. nil: the runner forgets its runs.
	Restart func() workflow.Runner
	// Elsewhere is another runner with the same memory that holds no definition and
	// executes nothing: a program that only sends. nil: there can be none.
	Elsewhere workflow.Runner
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	if c.Slack == 0 {
		c.Slack = 5 * time.Second
	}
	for name := range c.Differs {
		if differing[name] == nil {
			t.Errorf("the suite does not know how a runner could differ in %q", name)
		}
	}
	for _, group := range groups() {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range group.tests {
				if _, differs := c.Differs[group.name+"/"+s.name]; differs {
					s.test = differing[group.name+"/"+s.name]
				}
				t.Run(s.name, func(t *testing.T) { c.run(t, s) })
			}
		})
	}
}

// Scenarios are the names of all scenarios, each behind its group's and a slash,
// in the order in which they run.
func Scenarios() (names []string) {
	for _, group := range groups() {
		for _, s := range group.tests {
			names = append(names, group.name+"/"+s.name)
		}
	}
	return names
}

// scenario is one test of the suite.
type scenario struct {
	name string
	test func(w *world)
}

type group struct {
	name  string
	tests []scenario
}

func groups() []group {
	return []group{
		{"steps", stepScenarios()},
		{"conditions", wayScenarios()},
		{"failures", failureScenarios()},
		{"events", eventScenarios()},
		{"reconcile", reconcileScenarios()},
		{"cancel", cancelScenarios()},
		{"wake", wakeScenarios()},
		{"run timeout", runTimeoutScenarios()},
		{"retry of runs", reopenScenarios()},
		{"undo", undoScenarios()},
		{"sub-runs", subScenarios()},
		{"calls", callScenarios()},
		{"await", awaitScenarios()},
		{"attributes", attributeScenarios()},
		{"start or send", startOrSendScenarios()},
		{"bounds", boundScenarios()},
		{"views", viewScenarios()},
		{"restart", restartScenarios()},
	}
}

func (c Config) run(t *testing.T, s scenario) {
	t.Parallel()
	if c.Second > 0 {
		for _, fault := range c.paced(t, s) {
			t.Error(fault)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) { s.test(&world{T: t, cfg: c}) })
}
