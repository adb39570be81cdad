package nodes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// world is a simulator, a database, and servers behind a balancer.
type world struct {
	t        *testing.T
	ctx      context.Context
	random   *rand.Rand
	control  simulator.Control
	balancer *balancer
	client   *apiclient.Client // through the balancer
	database *pgxpool.Pool     // as the tests reach it
	env      []string
	nodes    []*node

	load      sync.WaitGroup // what comes in beside the test
	enough    atomic.Bool    // ends it
	addresses atomic.Int64   // acknowledged
}

// node is a server; it keeps its address when it is started again.
type node struct {
	*process.Process
	w      *world
	addr   string
	client *apiclient.Client
}

// settings of all servers; a test's own come after them.
var settings = []string{"LIWANAG_ADMIN_ADDR=off", "FULLENRICH_API_KEY=" + simulator.DefaultKey,
	"LIWANAG_AMBIGUITY_GRACE=20s", "LIWANAG_PROBE_EVERY=1s", "LIWANAG_FETCH_SCHEDULE=2s,4s,2s", "LIWANAG_BATCH_SIZE=20", "LIWANAG_BATCH_WINDOW=200ms",
	"LIWANAG_CALLS_PER_MINUTE=4000"}

// newWorld starts a simulator and a number of servers on a database, which the
// tests reach under its own URL and the servers through another one.
func newWorld(t *testing.T, servers int, database, through string, env ...string) *world {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	base, control := process.StartSimulator(t, "--speed", "100", "--dir", t.TempDir())
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := &world{t: t, ctx: ctx, random: rand.New(rand.NewPCG(seed, 0)), control: control, balancer: newBalancer(t),
		database: pool}
	w.env = append(append([]string{"DATABASE_URL=" + through, "FULLENRICH_BASE_URL=" + base, "LIWANAG_PUBLIC_URL=" +
		w.balancer.url}, settings...), env...)
	w.client = client(t, w.balancer.url)
	for range servers {
		w.join()
	}
	w.balance(w.nodes...)
	for _, n := range w.nodes {
		n.awaitReady()
	}
	return w
}

// join starts one more server, which the balancer does not know yet.
func (w *world) join() *node {
	w.t.Helper()
	n := &node{w: w, addr: process.FreeAddr(w.t)}
	n.client = client(w.t, "http://"+n.addr)
	w.nodes = append(w.nodes, n)
	n.start()
	return n
}

// balance lets the balancer use these servers.
func (w *world) balance(nodes ...*node) {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.addr)
	}
	w.balancer.use(addrs...)
}

func client(t *testing.T, server string) *apiclient.Client {
	t.Helper()
	c, err := apiclient.New(apiclient.Config{Server: server})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (n *node) start() {
	n.w.t.Helper()
	n.Process = process.Start(n.w.t, append(n.w.env, "LIWANAG_ADDR="+n.addr), "serve")
}

func (n *node) awaitReady() {
	n.w.t.Helper()
	n.w.await("a server is ready", func() error { return n.client.Ready(n.w.ctx) })
}

// epoch is what the engine's rows call this process, as it registered last.
func (n *node) epoch() int64 {
	n.w.t.Helper()
	return n.w.number("SELECT coalesce(max(epoch), 0) FROM wf_node WHERE name LIKE '%-' || $1", fmt.Sprint(n.Cmd.Process.Pid))
}

// await polls until check finds nothing wrong. Servers that end by themselves
// and the end of the test's time fail the test.
func (w *world) await(what string, check func() error) {
	w.t.Helper()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-w.ctx.Done():
			w.t.Fatalf("%s: %v; last: %v\n%s", what, w.ctx.Err(), err, w.logs())
		}
	}
}

// within is await that takes at most d; it returns how long it took.
func (w *world) within(d time.Duration, what string, check func() error) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.await(what, func() error {
		err := check()
		if err != nil && time.Since(began) > d {
			w.t.Fatalf("%s: not within %s: %v\n%s", what, d, err, w.logs())
		}
		return err
	})
	return time.Since(began)
}

// logs is what to know when a test fails: what is open, and the ends of the
// servers' logs.
func (w *world) logs() string {
	var all strings.Builder
	last, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), time.Minute)
	defer cancel()
	for _, table := range []string{
		"SELECT 'run', encode(id, 'hex'), 'owner', owner, 'token', token, 'seq', seq, 'inbox', inbox_seq, park_kind, park_step, 'due', to_timestamp(due_at / 1e6), 'taken over', takeovers FROM wf_run WHERE status = 'open'",
		"SELECT 'history', encode(run_id, 'hex'), h.seq, kind, step, label, to_timestamp(at / 1e6) FROM wf_history h JOIN wf_run r ON r.id = run_id WHERE r.status = 'open' ORDER BY run_id, h.seq",
		"SELECT 'signal', encode(run_id, 'hex'), s.seq, event, late, to_timestamp(at / 1e6) FROM wf_signal s JOIN wf_run r ON r.id = run_id WHERE r.status = 'open'",
		"SELECT 'submission', s.id, s.run_id, s.state, s.cause, s.sender FROM submission s JOIN wf_run r ON r.id = uuid_send(s.run_id) WHERE r.status = 'open' OR s.state NOT IN ('settled', 'refused')",
		"SELECT 'delivery', submission_id, state, note FROM delivery WHERE state <> 'settled'",
		"SELECT 'server', epoch, name, expires - clock_timestamp() FROM wf_node",
		"SELECT 'upload', id, status, owner, position, rows FROM upload WHERE status NOT IN ('enriching', 'done')",
	} {
		rows, err := w.database.Query(last, table)
		if err != nil {
			continue // the logs say more
		}
		for rows.Next() {
			if values, err := rows.Values(); err == nil {
				fmt.Fprintln(&all, values...)
			}
		}
		rows.Close()
	}
	for i, n := range w.nodes {
		fmt.Fprintf(&all, "server %d:\n%s\n", i+1, n.Tail())
	}
	return all.String()
}

// number asks the database.
func (w *world) number(sql string, args ...any) (n int64) {
	w.t.Helper()
	n, err := w.query(sql, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) query(sql string, args ...any) (n int64, err error) {
	return n, w.database.QueryRow(w.ctx, sql, args...).Scan(&n)
}

// zero wants a query to count nothing.
func (w *world) zero(sql string, args ...any) error {
	n, err := w.query(sql, args...)
	if err == nil && n != 0 {
		err = fmt.Errorf("%d: %s", n, sql)
	}
	return err
}

// fault adds a fault to the simulator.
func (w *world) fault(f simulator.Fault) {
	w.t.Helper()
	if _, err := w.control.AddFault(w.ctx, f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ledger() simulator.Ledger {
	w.t.Helper()
	ledger, err := w.control.Ledger(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return ledger
}

// signUp signs up through c, again and again until it is acknowledged.
func (w *world) signUp(c *apiclient.Client, email string) error {
	for {
		_, err := api.AddSubscriber.Call(w.ctx, c, api.SignUp{Email: email})
		if err == nil {
			w.addresses.Add(1)
			return nil
		}
		select {
		case <-w.ctx.Done():
			return fmt.Errorf("sign up: %w; last: %w", w.ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// begin lets sign-ups and files come in through the balancer, one after the
// other, beside the test, until finish. Half of the paid calls are answered
// slowly, some fifty bytes with a pause after each.
func (w *world) begin(pause time.Duration) {
	w.t.Helper()
	w.fault(simulator.Fault{Action: simulator.ActionSlowDrip, Method: http.MethodPost, Probability: 0.5, Delay: pause})
	w.load.Go(func() {
		every := time.NewTicker(25 * time.Millisecond)
		defer every.Stop()
		for i := 0; !w.enough.Load(); i++ {
			<-every.C
			if err := w.signUp(w.client, fmt.Sprintf("reader%04d@gmail.com", i)); err != nil {
				w.t.Error(err)
				return
			}
		}
	})
	w.load.Go(func() {
		const rows = 30
		for from := 0; !w.enough.Load(); from += rows {
			if err := process.Import(w.ctx, w.client, process.File(from, from+rows)); err != nil {
				w.t.Error(err)
				return
			}
			w.addresses.Add(rows)
		}
	})
}

// finish ends the load, waits until everything that was acknowledged is final,
// and compares what the database says with the ledger.
func (w *world) finish() {
	w.t.Helper()
	w.enough.Store(true)
	w.load.Wait()
	if w.t.Failed() {
		w.t.Fatal(w.logs())
	}
	addresses := int(w.addresses.Load())
	w.t.Logf("%d addresses", addresses)
	w.settle()
	for _, want := range []struct {
		what, sql string
		n         int
	}{
		{"subscribers", "SELECT count(*) FROM subscriber", addresses},
		{"jobs", "SELECT count(*) FROM job", addresses},
		{"final jobs", "SELECT count(*) FROM job WHERE status IN ('enriched', 'not_found')", addresses},
		{"runs that did not complete", "SELECT count(*) FROM wf_run WHERE status <> 'completed'", 0},
		{"steps that completed twice", "SELECT count(*) FROM (SELECT FROM wf_history WHERE kind = 'completed' GROUP BY run_id, step HAVING count(*) > 1) AS twice", 0},
		{"submissions with an odd end", "SELECT count(*) FROM submission WHERE state NOT IN ('settled', 'refused', 'superseded')", 0},
	} {
		if n := w.number(want.sql); n != int64(want.n) {
			w.t.Errorf("%d %s, want %d", n, want.what, want.n)
		}
	}
	ledger := w.ledger()
	process.WantEachOnce(w.t, ledger, addresses)
	if credits := w.number("SELECT coalesce(sum(credits), 0)::bigint FROM submission"); credits != ledger.Totals.Credits {
		w.t.Errorf("we count %d credits, the ledger %d", credits, ledger.Totals.Credits)
	}
}

// settle waits until nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	w.await("everything ends", func() error {
		return errors.Join(
			w.zero("SELECT count(*) FROM job WHERE status IN ('pending', 'submitted')"),
			w.zero("SELECT count(*) FROM wf_run WHERE status = 'open'"),
			// what was sent to a run that had a result is settled later
			w.zero("SELECT count(*) FROM delivery WHERE state NOT IN ('sent', 'settled')"))
	})
}

// adopted counts what this process adopted.
func (n *node) adopted() int { return strings.Count(n.Output(), "a submission in doubt was adopted") }
