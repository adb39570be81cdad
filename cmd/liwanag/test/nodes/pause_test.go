package nodes

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// A server that is paused in the middle of its work, and of a paid call, for
// longer than its lease, changes nothing when it goes on: others did its work.
func TestAPausedServerWritesNothingWhenItGoesOn(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	w := newWorld(t, 2, database, database, "LIWANAG_LEASE="+lease.String(), "LIWANAG_FETCH_SCHEDULE=1h",
		"LIWANAG_AMBIGUITY_GRACE=1h")
	w.fault(simulator.Fault{Action: simulator.ActionSlowDrip, Method: http.MethodPost, Delay: 50 * time.Millisecond})
	w.fault(simulator.Fault{Action: simulator.ActionWebhookNever}) // the runs stay open
	paused, other := w.nodes[0], w.nodes[1]
	w.balance(other)
	old := paused.epoch()
	w.pauseAmidCalls(paused, old)
	began := time.Now()
	owned := w.number("SELECT count(*) FROM wf_run WHERE status = 'open' AND owner = $1", old)
	took := w.within(takeover, "the runs of a paused server are taken over", func() error {
		return w.zero("SELECT count(*) FROM wf_run WHERE status = 'open' AND owner = $1", old)
	})
	t.Logf("%d runs were taken over in %s", owned, took.Round(time.Millisecond))
	w.await("three leases are over, and all runs wait for their results", func() error {
		if time.Since(began) < 3*lease {
			return errors.New("not yet")
		}
		return errors.Join(w.zero("SELECT count(*) FROM wf_run WHERE owner <> 0 OR park_step <> 'wait-for-webhook'"),
			w.zero("SELECT count(*) FROM submission WHERE state <> 'accepted'"))
	})
	before := w.content()

	paused.Signal(t, syscall.SIGCONT)
	w.within(takeover, "the paused server is told that it lost its lease", func() error {
		if !paused.wasFenced() || paused.epoch() == old {
			return errors.New("not yet")
		}
		return nil
	})
	paused.awaitReady()
	for table, after := range w.content() {
		if after != before[table] {
			t.Errorf("%s was changed by a server whose lease was over:\n%s\n%s", table, before[table], after)
		}
	}
	w.balance(paused)
	if err := w.control.ClearFaults(w.ctx, ""); err != nil {
		t.Fatal(err)
	}
	for _, submission := range w.ledger().Submissions {
		if err := w.control.ResendWebhook(w.ctx, submission.EnrichmentID); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.signUp(w.client, "last@gmail.com"); err != nil {
		t.Fatal(err)
	}
	w.finish()
}

// pauseAmidCalls stops a server while it awaits the answers to paid calls.
func (w *world) pauseAmidCalls(paused *node, epoch int64) {
	w.t.Helper()
	for {
		if err := w.signUp(paused.client, fmt.Sprintf("reader%04d@gmail.com", w.addresses.Load())); err != nil {
			w.t.Fatal(err)
		}
		if w.number(sendingQuery, epoch) == 0 {
			continue
		}
		paused.Pause(w.t)
		if w.awaitsAnswers(epoch) {
			break
		}
		paused.Signal(w.t, syscall.SIGCONT)
	}
}

// wasFenced says whether the server tried to write what it had done, and was told
// that its lease is lost.
func (n *node) wasFenced() bool {
	return strings.Contains(n.Output(), `"op":"commit","error":"`+store.ErrLeaseLost.Error()+`"`)
}

// awaitsAnswers says whether a server has paid calls under way, and FullEnrich
// has accepted all of them.
func (w *world) awaitsAnswers(epoch int64) bool {
	w.t.Helper()
	var accepted []string
	for _, submission := range w.ledger().Submissions {
		accepted = append(accepted, submission.Name)
	}
	return w.number(sendingQuery, epoch) > 0 && w.number(sendingQuery+" AND s.name <> ALL ($2)", epoch, accepted) == 0
}

// content is what each table holds that work on a run changes.
func (w *world) content() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, table := range []string{"wf_run", "wf_history", "wf_signal", "job", "batch", "submission", "submission_job",
		"subscriber", "profile", "delivery", "credit_day"} {
		var rows string
		if err := w.database.QueryRow(w.ctx,
			"SELECT coalesce(string_agg(r, E'\\n' ORDER BY r), '') FROM (SELECT t::text AS r FROM "+table+" t) AS rows").Scan(&rows); err != nil {
			w.t.Fatal(err)
		}
		if len(rows) > 10_000 {
			rows = fmt.Sprintf("%x of %d bytes", sha256.Sum256([]byte(rows)), len(rows))
		}
		all[table] = rows
	}
	return all
}

// Row 3 of the failure table, with processes: a server is paused right after it
// has committed that it is about to send. Another one takes over and does not
// know; the first gives the call up, because it is too late; it is sent once.
func TestASenderThatWasPausedForTooLongGivesThePaidCallUp(t *testing.T) {
	t.Parallel()
	w := pausedSender(t, "14s")
	paused, other := w.nodes[0], w.nodes[1]
	const tooLate = 10 * time.Second
	w.await("the commit is too old to send", func() error {
		return w.zero("SELECT count(*) FROM submission WHERE sending_at > (extract(epoch FROM "+
			"clock_timestamp()) - $1) * 1e6", (tooLate + 500*time.Millisecond).Seconds())
	})
	paused.Signal(t, syscall.SIGCONT)
	w.within(takeover, "the paused server finds out", func() error {
		if !paused.wasFenced() {
			return errors.New("not yet")
		}
		return nil
	})
	if n := len(w.ledger().Submissions); n > 0 {
		t.Errorf("%d submissions were accepted of a call that should not have been made", n)
	}
	w.finish()
	if n := w.number("SELECT count(*) FROM submission WHERE state = 'superseded' AND n = 1"); n != 1 || other.adopted() > 0 {
		t.Errorf("%d submissions were superseded, %d adopted; want one that was sent again after its grace", n, other.adopted())
	}
}

// Row 21 of the failure table, with processes: a server is paused between its
// commit and the paid call, and goes on in time to make it, though another one
// has taken over. Its token brings the result to where it belongs.
func TestTheLatePaidCallOfAPausedServerIsAdoptedByItsToken(t *testing.T) {
	t.Parallel()
	w := pausedSender(t, "1h") // however slow the machine is, the call is not sent again
	// the webhook comes before the answer
	w.fault(simulator.Fault{Action: simulator.ActionSlowDrip, Method: http.MethodPost, Delay: 50 * time.Millisecond})
	w.nodes[0].Signal(t, syscall.SIGCONT)
	w.finish()
	if n := w.number("SELECT count(*) FROM submission"); n != 1 || w.nodes[1].adopted() != 1 {
		t.Errorf("%d submissions, %d adopted by the other server, want 1 and 1", n, w.nodes[1].adopted())
	}
}

// pausedSender is a world in which the first server was paused after its sending
// commit, before it heard of it, and the second one has taken the run over: the
// submission is in doubt. Webhooks come to the second.
func pausedSender(t *testing.T, grace string) *world {
	t.Helper()
	database := pgtest.Database(t)
	w := newWorld(t, 1, database, database, "LIWANAG_LEASE="+lease.String(), "LIWANAG_AMBIGUITY_GRACE="+grace)
	sender := w.nodes[0]
	commits := w.hold("CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON submission DEFERRABLE INITIALLY " +
		"DEFERRED FOR EACH ROW WHEN (NEW.state = 'sending') EXECUTE FUNCTION hold()")
	if err := w.signUp(sender.client, "ann@gmail.com"); err != nil {
		t.Fatal(err)
	}
	commits.await()
	sender.Pause(t)
	commits.release()
	w.await("the commit is durable", func() error {
		return w.zero("SELECT 1 - count(*) FROM submission WHERE state = 'sending'")
	})
	other := w.join()
	w.balance(other)
	other.awaitReady()
	w.within(takeover, "the run is taken over and its submission is in doubt", func() error {
		return w.zero("SELECT 1 - count(*) FROM submission WHERE state = 'ambiguous' AND cause = 'lost_worker'")
	})
	return w
}

// Row 16a of the failure table, with processes: a server dies after it has
// answered 200 to a webhook and before the event is sent. The next one that
// starts sends it; nothing is fetched.
func TestAWebhookThatWasAnsweredIsDeliveredByTheNextServer(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	w := newWorld(t, 1, database, database, "LIWANAG_LEASE="+lease.String(), "LIWANAG_FETCH_SCHEDULE=1h")
	events := w.hold("CREATE TRIGGER hold AFTER INSERT ON wf_signal FOR EACH ROW EXECUTE FUNCTION hold()")
	if err := w.signUp(w.client, "ann@gmail.com"); err != nil {
		t.Fatal(err)
	}
	events.await()
	w.await("the webhook is answered", func() error {
		for _, hook := range w.ledger().Webhooks {
			if hook.Kind == "batch" && hook.State == "delivered" {
				return nil
			}
		}
		return errors.New("not yet")
	})
	w.nodes[0].Kill()
	events.cut()
	events.release()
	if stored, sent := w.number("SELECT count(*) FROM delivery WHERE state = 'stored'"),
		w.number("SELECT count(*) FROM wf_signal"); stored != 1 || sent != 0 {
		t.Fatalf("%d deliveries stored, %d events sent, want 1 and 0", stored, sent)
	}
	w.join().awaitReady()
	w.balance(w.nodes[1])
	w.finish()
}

// gate lets certain statements of the servers wait.
type gate struct {
	w    *world
	open func()
}

// gateKey is the advisory lock of the gate.
const gateKey = 4711

// hold closes a gate in front of what the trigger names, which executes hold().
func (w *world) hold(trigger string) *gate {
	w.t.Helper()
	conn, err := w.database.Acquire(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	open := sync.OnceFunc(func() {
		_ = conn.Conn().Close(w.ctx) // with its lock
		conn.Release()
	})
	w.t.Cleanup(open)
	_, err = conn.Exec(w.ctx, fmt.Sprintf(`
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(%d); RETURN NULL; END';
		%s;
		SELECT pg_advisory_lock(%d)`, gateKey, trigger, gateKey))
	if err != nil {
		w.t.Fatal(err)
	}
	return &gate{w, open}
}

const waitingQuery = "FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted AND " +
	"database = (SELECT oid FROM pg_database WHERE datname = current_database())"

// await waits until somebody stands in front of the gate.
func (g *gate) await() {
	g.w.t.Helper()
	g.w.await("somebody comes to the gate", func() error { return g.w.zero("SELECT 1 - least(1, count(*)) "+waitingQuery, gateKey) })
}

// cut ends the connections that stand in front of the gate.
func (g *gate) cut() {
	g.w.t.Helper()
	g.w.number("SELECT count(pg_terminate_backend(pid)) "+waitingQuery, gateKey)
	g.w.await("they are gone", func() error { return g.w.zero("SELECT count(*) "+waitingQuery, gateKey) })
}

// release opens the gate.
func (g *gate) release() { g.open() }
