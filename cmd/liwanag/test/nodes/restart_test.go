package nodes

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// Two servers are restarted in turn, again and again, while sign-ups and files
// come in: nothing is lost, nothing is repeated, and no paid call is in doubt.
func TestARollingRestartUnderLoadLosesAndRepeatsNothing(t *testing.T) {
	database := pgtest.Database(t)
	w := newWorld(t, 2, database, database)
	w.begin(8 * time.Millisecond)
	restarts, waited, adopted := 0, 0, 0
	for ; restarts < 6; restarts++ {
		n := w.nodes[restarts%2]
		began := time.Now()
		n.Stop(t, time.Minute)
		if time.Since(began) > 100*time.Millisecond {
			waited++
		}
		adopted += n.adopted()
		n.start()
		n.awaitReady()
	}
	w.finish()
	t.Logf("%d restarts", restarts)
	for _, n := range w.nodes {
		n.Stop(t, time.Minute)
		adopted += n.adopted()
	}
	if superseded := w.number("SELECT count(*) FROM submission WHERE state = 'superseded'"); adopted > 0 || superseded > 0 {
		t.Errorf("%d submissions were in doubt, %d were sent again", adopted, superseded)
	}
	if waited == 0 {
		t.Error("no stop met a paid call under way: the run proves nothing about that moment")
	}
}
