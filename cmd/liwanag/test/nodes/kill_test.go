package nodes

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

const (
	lease = time.Second
	// takeover is how long a run may lie idle whose server was lost.
	takeover = lease + time.Minute
)

// sendingQuery counts the paid calls under way of a server.
const sendingQuery = "SELECT count(*) FROM submission s JOIN wf_run r ON r.id = uuid_send(s.run_id) " +
	"WHERE s.state = 'sending' AND r.owner = $1"

// Of two servers one after the other is killed at any moment: the other one goes
// on with its runs, nothing is lost and nothing paid twice.
func TestKilledServersLoseNothingAndPayNothingTwice(t *testing.T) {
	database := pgtest.Database(t)
	w := newWorld(t, 2, database, database, "LIWANAG_LEASE="+lease.String())
	w.begin(20 * time.Millisecond)
	kills, takenOver, cut := 0, 0, 0
	var longest time.Duration
	for ; kills < 8 || kills < 24 && (takenOver == 0 || cut == 0); kills++ {
		time.Sleep(time.Duration(100+w.random.IntN(700)) * time.Millisecond) // any moment
		n := w.nodes[w.random.IntN(2)]
		lost := n.epoch()
		for began := time.Now(); kills%2 == 1 && w.number(sendingQuery, lost) == 0 && time.Since(began) < 3*time.Second; {
			time.Sleep(time.Millisecond) // or one in a paid call
		}
		n.Kill()
		if w.number("SELECT count(*) FROM wf_run WHERE status = 'open' AND owner = $1", lost) > 0 {
			takenOver++
		}
		if w.number(sendingQuery, lost) > 0 {
			cut++
		}
		n.start()
		longest = max(longest, w.within(takeover, "the runs of a killed server are taken over", func() error {
			return w.zero("SELECT count(*) FROM wf_run WHERE status = 'open' AND owner = $1", lost)
		}))
		n.awaitReady()
	}
	w.finish()
	t.Logf("%d of %d kills left runs, %d of them paid calls under way; the longest takeover took %s; %d "+
		"submissions were sent again", takenOver, kills, cut,
		longest.Round(time.Millisecond), w.number("SELECT count(*) FROM submission WHERE state = 'superseded'"))
	if takenOver == 0 {
		t.Error("no kill left a run to take over: the run proves nothing about it")
	}
	if cut == 0 {
		t.Error("no kill fell between a paid call and its answer: the run proves nothing about that moment")
	}
}
