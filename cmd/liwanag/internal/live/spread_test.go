package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// ringOf is what a process would tell its listeners.
func ringOf(h *Hints) (all []string) {
	hints, _, _, _ := h.since(0)
	for _, one := range hints {
		all = append(all, one.Run+" "+one.Status)
	}
	slices.Sort(all)
	return all
}

func run(id string) workflow.RunRef {
	return workflow.RunRef{ID: id, Workflow: "subscriber-enrichment"}
}

func TestListenersHearOfWhatOtherProcessesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := NewHints(), NewHints()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var sent []string
		go func() {
			_ = here.Spread(ctx, func(_ context.Context, payload string) error {
				sent = append(sent, payload)
				here.Hear(payload, false) // it is told of its own messages too
				there.Hear(payload, false)
				return nil
			})
		}()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(sent) > 0 {
			t.Errorf("nothing happened, and %v was sent", sent)
		}
		here.WaitStarted(run("A"), "result")
		here.WaitEnded(run("A"), "result", "event", 0)
		here.RunEnded(run("B"), workflow.StatusFailed, nil, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := ringOf(there), []string{"A running", "B failed"}; !slices.Equal(got, want) || len(sent) != 1 {
			t.Errorf("heard %v of %v, want %v", got, sent, want)
		}
		if got := ringOf(here); len(got) != 3 {
			t.Errorf("it hears itself: %v", got)
		}
		for i := range 10 * spreadAtOnce {
			here.WaitStarted(run(fmt.Sprintf("run_01a211d3-5451-7917-a5b4-%012d", i)), "result")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := ringOf(there); len(sent) != 2 || len(got) != 3 || got[0] != " " {
			t.Errorf("of many: %v, %v", sent, got)
		}
		for i := range spreadAtOnce {
			here.WaitStarted(run(fmt.Sprintf("run_01a211d3-5451-7917-a5b5-%012d", i)), "result")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if last := sent[len(sent)-1]; len(last) >= 8000 || strings.Contains(last, "many") {
			t.Errorf("a message of %d bytes", len(last))
		}
		there.Hear("", true)
		there.Hear("no JSON", false)
		if got := ringOf(there); len(got) != 3+spreadAtOnce+1 {
			t.Errorf("after a lost connection: %d hints", len(got))
		}
	})
}
