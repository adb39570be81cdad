package crash

import (
	"syscall"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// A server that is killed again and again, at any moment, loses no job and pays
// for none twice.
func TestAKilledServerLosesNothingAndPaysNothingTwice(t *testing.T) {
	w := newWorld(t, 1000, 20)
	w.interrupt(func() { w.server.Kill() })
	w.finish()
	if w.met == 0 {
		t.Error("no kill met a paid call under way: the run proves nothing about that moment")
	}
}

// A server that is stopped again and again, paid calls under way, lets them end:
// none is in doubt, and nothing has to be sent again.
func TestStopsUnderLoadLeaveNothingInDoubt(t *testing.T) {
	w := newWorld(t, 400, 10)
	w.interrupt(func() { w.server.Stop(t, time.Minute) })
	w.finish()
	if w.adopted > 0 || w.superseded > 0 {
		t.Errorf("%d submissions were in doubt, %d were sent again", w.adopted, w.superseded)
	}
	if w.met == 0 {
		t.Error("no stop met a paid call under way: the run proves nothing about that moment")
	}
}

// A stop is quick when nothing runs: a graceful one may take 35 s.
func TestAnIdleServerStopsLongBeforeItMust(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.ready()
	w.server.Stop(t, time.Minute)
}

// The first signal waits for a paid call under way; the second one kills.
func TestASecondSignalKills(t *testing.T) {
	w := newWorld(t, 0, 0)
	if err := w.control.ClearFaults(w.ctx, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.control.AddFault(w.ctx, simulator.Fault{Action: simulator.ActionHangWithoutAccepting, Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, err := api.AddSubscriber.Call(w.ctx, w.client,
		api.SignUp{Email: "ann@gmail.com"}); err != nil; _, err = api.AddSubscriber.Call(w.ctx, w.client, api.SignUp{Email: "ann@gmail.com"}) {
		w.pause(10*time.Millisecond, err)
	}
	for {
		list, err := api.ListSubmissions.Call(w.ctx, w.client, api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{State: "sending"}})
		if err == nil && len(list.Items) == 1 {
			break
		}
		w.pause(10*time.Millisecond, err)
	}
	signal := func() {
		if err := w.server.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	signal()
	select {
	case <-w.server.Ended:
		t.Fatalf("it did not wait for the paid call: %v\n%s", w.server.Err, w.server.Output())
	case <-time.After(500 * time.Millisecond):
	}
	signal()
	select {
	case <-w.server.Ended:
		if w.server.Err == nil {
			t.Error("it ended as if all was well")
		}
	case <-time.After(time.Minute):
		t.Error("it survives a second signal")
	}
}
