package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// world is a simulator, a server, and addresses on their way in.
type world struct {
	t       *testing.T
	ctx     context.Context
	random  *rand.Rand
	control simulator.Control
	client  *apiclient.Client
	env     []string
	server  *process.Process

	addresses, interruptions int
	met                      int // interruptions that fell between a paid call and its answer
	adopted, superseded      int // submissions that were in doubt; that were sent again
}

// newWorld starts a simulator and a server. Half of the paid calls are answered
// slowly, so that interruptions fall between a call and its answer. At a hundredth of
// the time the six attempts of a webhook are over in three seconds, in which a busy
// machine may not let the server up once; what is lost then is paid for twice, as is
// known. Here they go on for longer than a call is in doubt.
func newWorld(t *testing.T, addresses, interruptions int) *world {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	t.Cleanup(cancel)
	base, control := process.StartSimulator(t, "--speed", "100", "--webhook-retries", "60", "--dir", t.TempDir())
	w := &world{t: t, ctx: ctx, random: rand.New(rand.NewPCG(seed, 0)), addresses: addresses, interruptions: interruptions, control: control}
	w.answer(8*time.Millisecond, 0.5)
	addr := process.FreeAddr(t)
	w.env = []string{"LIWANAG_ADDR=" + addr, "LIWANAG_ADMIN_ADDR=off", "DATABASE_URL=sqlite:" + t.TempDir() + "/liwanag.db",
		"FULLENRICH_BASE_URL=" + base, "FULLENRICH_API_KEY=" + simulator.DefaultKey,
		"LIWANAG_AMBIGUITY_GRACE=20s", "LIWANAG_PROBE_EVERY=1s", "LIWANAG_FETCH_SCHEDULE=2s,4s,2s",
		"LIWANAG_BATCH_SIZE=20", "LIWANAG_CALLS_PER_MINUTE=2000", "LIWANAG_SINK_ALLOW=127.0.0.0/8"}
	var err error
	if w.client, err = apiclient.New(apiclient.Config{Server: "http://" + addr}); err != nil {
		t.Fatal(err)
	}
	w.server = process.Start(t, w.env, "serve")
	return w
}

// interrupt imports the addresses, and ends the server in the given way at random
// moments meanwhile; each time it is started again. A third of the moments may come
// before the server answers, a third comes after, on a busy machine too, and a third
// when a paid call is under way.
func (w *world) interrupt(end func()) {
	w.t.Helper()
	// A file for every second interruption, so that there is work to interrupt.
	next, imported := make(chan struct{}, w.interruptions), make(chan error, 1)
	go func() { imported <- w.importAll(next) }()
	n := 0
	for ; n < w.interruptions || imported != nil; n++ {
		moment := time.Duration(50+w.random.IntN(900)) * time.Millisecond
		switch n % 3 {
		case 1:
			w.ready()
		case 2:
			w.ready()
			w.answer(40*time.Millisecond, 1) // the call that is seen lasts beyond the moment
			if w.calling() {
				w.met++
				moment = time.Duration(w.random.IntN(100)) * time.Millisecond
			}
		}
		select {
		case err := <-imported:
			if err != nil {
				w.t.Fatalf("import: %v\n%s", err, w.server.Tail())
			}
			imported = nil
		case <-time.After(moment):
		case <-w.server.Ended:
			w.t.Fatalf("the server ended by itself: %v\n%s", w.server.Err, w.server.Tail())
		}
		if n%2 == 0 {
			select {
			case next <- struct{}{}:
			default: // all files were asked for
			}
		}
		w.restart(end)
		w.answer(8*time.Millisecond, 0.5)
	}
	w.t.Logf("%d interruptions", n)
}

// answer lets a share of the paid calls be answered slowly, some fifty bytes with a
// pause before each.
func (w *world) answer(pause time.Duration, share float64) {
	w.t.Helper()
	if err := w.control.ClearFaults(w.ctx, ""); err != nil {
		w.t.Fatal(err)
	}
	slow := simulator.Fault{Action: simulator.ActionSlowDrip, Method: "POST", Probability: share, Delay: pause}
	if _, err := w.control.AddFault(w.ctx, slow); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restart(end func()) {
	end()
	w.adopted += strings.Count(w.server.Output(), "a submission in doubt was adopted")
	w.server = process.Start(w.t, w.env, "serve")
}

// ready waits until the server answers.
func (w *world) ready() {
	w.t.Helper()
	for err := w.client.Ready(w.ctx); err != nil; err = w.client.Ready(w.ctx) {
		w.pause(10*time.Millisecond, err)
	}
}

// calling waits until FullEnrich has accepted one more paid call, whose answer is under
// way; for ten seconds at most, since there may be nothing left to look up.
func (w *world) calling() bool {
	w.t.Helper()
	before := w.accepted()
	for began := time.Now(); time.Since(began) < 10*time.Second; w.pause(10*time.Millisecond, errors.New("no call yet")) {
		if w.accepted() > before {
			return true
		}
	}
	return false
}

func (w *world) accepted() int {
	w.t.Helper()
	ledger, err := w.control.Ledger(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(ledger.Submissions)
}

// importAll uploads all addresses in files, one for each token.
func (w *world) importAll(next <-chan struct{}) error {
	size := w.addresses / (w.interruptions / 2)
	for from := 0; from < w.addresses; from += size {
		select {
		case <-next:
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
		if err := process.Import(w.ctx, w.client, process.File(from, from+size)); err != nil {
			return err
		}
	}
	return nil
}

// finish waits until every job is over and compares what lasts with the ledger.
func (w *world) finish() {
	w.t.Helper()
	for w.count("pending")+w.count("submitted") > 0 {
		w.pause(200*time.Millisecond, errors.New("jobs are still open"))
	}
	w.restart(func() { w.server.Stop(w.t, time.Minute) }) // what is in the database now is what lasts
	enriched, notFound, total := w.count("enriched"), w.count("not_found"), w.count("")
	if total != w.addresses || enriched+notFound != w.addresses || enriched == 0 || notFound == 0 {
		w.t.Errorf("%d subscribers, %d enriched and %d not found; want %d, all of them final", total, enriched, notFound, w.addresses)
	}
	ledger, err := w.control.Ledger(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.checkLedger(ledger)
	w.server.Stop(w.t, time.Minute)
	w.t.Logf("%d submissions accepted, the answers of %d never heard; %d more never reached the partner",
		len(ledger.Submissions), w.adopted, w.superseded)
}

// count counts subscribers by the status of their job, waiting for a server that
// just starts.
func (w *world) count(status string) int {
	w.t.Helper()
	for {
		n := 0
		var failed error
		for _, err := range apiclient.All(w.ctx, func(ctx context.Context, p runapi.Paging) (runapi.List[api.Subscriber], error) {
			found, err := api.ListSubscribers.Call(ctx, w.client, api.SubscriberQuery{
				SubscriberFilter: api.SubscriberFilter{Status: status}, Paging: p})
			return found.List, err
		}) {
			if failed = err; err == nil {
				n++
			}
		}
		if failed == nil {
			return n
		}
		w.pause(20*time.Millisecond, failed)
	}
}

// pause waits before something is tried again that failed with err.
func (w *world) pause(d time.Duration, err error) {
	w.t.Helper()
	select {
	case <-time.After(d):
	case <-w.server.Ended:
		w.t.Fatalf("the server ended by itself: %v\n%s", w.server.Err, w.server.Tail())
	case <-w.ctx.Done():
		w.t.Fatalf("%v; last: %v\n%s", w.ctx.Err(), err, w.server.Tail())
	}
}

func (w *world) checkLedger(ledger simulator.Ledger) {
	w.t.Helper()
	process.WantEachOnce(w.t, ledger, w.addresses)
	var credits int64
	for s, err := range apiclient.All(w.ctx, func(ctx context.Context, p runapi.Paging) (runapi.List[api.Submission], error) {
		return api.ListSubmissions.Call(ctx, w.client, api.SubmissionQuery{Paging: p})
	}) {
		if err != nil {
			w.t.Fatal(err)
		}
		credits += s.Credits
		switch s.State {
		case "settled", "refused":
		case "superseded":
			w.superseded++
		default:
			w.t.Errorf("%s is %s (%s)", s.ID, s.State, s.Cause)
		}
	}
	if credits != ledger.Totals.Credits {
		w.t.Errorf("we count %d credits, the ledger %d", credits, ledger.Totals.Credits)
	}
}
