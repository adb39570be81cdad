package notify

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// golden files are rewritten with -update.
var _ = flag.Bool("update", false, "rewrite golden files")

// A changed definition needs a new version: runs that are open keep theirs.
func TestThePlanOfVersion1(t *testing.T) {
	raw, err := json.MarshalIndent(New(nil).Plan().Describe(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := New(nil).Plan().Validate(); err != nil {
		t.Fatal(err)
	}
	workflowtest.Golden(t, "testdata/plan-v1.golden", string(raw)+"\n")
}

// A process may die before or after any of its writes: every message is delivered
// by the next one, under its id, and none is sent once more that was recorded.
func TestNothingIsLostWhenAProcessDiesAtAnyWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%t", after), func(t *testing.T) {
			t.Parallel()
			deaths := 0
			for n := 1; ; n++ {
				died := false
				play(t, func(s *stage) { died = s.dieAt(n, after) })
				if !died {
					break
				}
				deaths++
			}
			if deaths < 8 {
				t.Errorf("only %d writes were died at", deaths)
			}
		})
	}
}

// dieAt announces three messages of which each is refused once, dies at the n-th
// write, and lets another process go on. False: there was no n-th write.
func (s *stage) dieAt(n int, after bool) bool {
	s.t.Helper()
	s.boot(0, false)
	s.sink("crm.example.com")
	s.stop()
	s.boot(n, after)
	s.answersBy(func(c call) (int, http.Header, time.Duration) {
		return map[bool]int{true: 503, false: 200}[c.n == 1], nil, 0
	})
	s.tell(3)
	s.sleep(45 * time.Second) // both attempts, and no sweep
	select {
	case <-s.act.store.killed:
	default:
		return false
	}
	before, _ := s.heard()
	s.stop()
	s.boot(0, false)
	s.sleep(time.Hour)
	s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 3})
	calls, ids := s.heard()
	if ids != 3 {
		s.t.Errorf("death at write %d: %d ids", n, ids)
	}
	// What was under way when it died may be sent again, nothing else.
	if len(calls) > 6+3 || len(before) > 6 {
		s.t.Errorf("death at write %d: %d calls, %d of them before", n, len(calls), len(before))
	}
	for _, m := range s.messages(liwanag.MessageFilter{}) {
		log, err := s.act.store.Messages.Attempts(context.Background(), m.ID)
		s.must(err)
		if len(log) != m.Attempts || m.Attempts < 1 || !m.Started {
			s.t.Errorf("death at write %d: %+v with a log of %d", n, m, len(log))
		}
		if run := s.run(m); run.Status != workflow.StatusCompleted {
			s.t.Errorf("death at write %d: the run is %s", n, run.Status)
		}
	}
	open, err := s.act.engine.List(context.Background(), workflow.Query{})
	s.must(err)
	if len(open.Runs) != 3 {
		s.t.Errorf("death at write %d: %d runs for 3 messages", n, len(open.Runs))
	}
	return true
}

// An operator may end a run without a word to its message.
func TestAMessageWhoseRunWasTerminatedIsSentByAnother(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("crm.example.com")
		s.answers(http.StatusBadGateway)
		s.tell(1)
		first := s.messages(liwanag.MessageFilter{})[0]
		s.must(s.act.engine.Terminate(context.Background(), first.RunID.String(), "by hand"))
		s.answers(http.StatusOK)
		s.sleep(30 * time.Minute)
		m := s.messages(liwanag.MessageFilter{})[0]
		if m.State != liwanag.MessageDelivered || m.RunID == first.RunID {
			t.Errorf("%+v", m)
		}
	})
}

func TestSeveralNodesSendEachMessageOnce(t *testing.T) {
	onStage(t, func(s *stage) {
		s.nodes = 3
		s.boot(0, false)
		s.sink("crm.example.com")
		s.answersBy(func(call) (int, http.Header, time.Duration) { return 200, nil, time.Second })
		s.tell(300)
		s.sleep(5 * time.Minute)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 300})
		if calls, ids := s.heard(); len(calls) != 300 || ids != 300 {
			t.Errorf("%d calls with %d ids", len(calls), ids)
		}
		if s.most > 32 {
			t.Errorf("%d calls at once to one sink", s.most)
		}
	})
}

func TestNobodyAsksWhileThereIsNothingToTell(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("crm.example.com")
		s.sleep(time.Minute)
		before := s.act.store.asked()
		s.sleep(30 * time.Minute)
		if asked := s.act.store.asked() - before; asked > 31 {
			t.Errorf("%d questions in 30 idle minutes", asked)
		}
	})
}

// paid is a workflow that wants a place of the runner, as paid calls do.
func paid() *workflow.Workflow[struct{}] {
	wf := workflow.New[struct{}]("paid")
	workflow.Step(wf, "call", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	return wf
}

// Slow sinks keep at most 64 of the runner's 256 places, so runs of others never
// wait for one: each is over in the instant it is started in.
func TestABurstToSlowSinksLeavesTheRunnersPlacesToOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	onStage(t, func(s *stage) {
		other := paid()
		s.also = []workflow.Definition{other}
		s.boot(0, false)
		for i := range 5 {
			s.sink(fmt.Sprintf("slow%d.example.com", i))
		}
		s.answersBy(func(call) (int, http.Header, time.Duration) { return 200, nil, 14 * time.Second })
		s.tell(1000) // to five sinks
		late := 0
		for i := range 200 {
			id := fmt.Sprintf("other-%d", i)
			s.must(other.Start(context.Background(), s.act.engine, id, struct{}{}))
			s.sleep(time.Millisecond)
			run, err := s.act.engine.Describe(context.Background(), id)
			s.must(err)
			if run.Status != workflow.StatusCompleted {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of 200 runs of others waited", late)
		}
		s.sleep(time.Minute)
		if s.most > atOnce || s.most < atOnce/2 {
			t.Errorf("%d calls at once, want about and at most %d", s.most, atOnce)
		}
		busy := 0
		for state, n := range s.states() {
			if state == liwanag.MessageSending {
				busy += n
			}
		}
		if busy > 5*window {
			t.Errorf("%d messages have runs", busy)
		}
		if strings.Contains(s.log.String(), "ERROR") {
			t.Error(s.log.String())
		}
	})
}
