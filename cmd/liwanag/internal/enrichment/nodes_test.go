package enrichment_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// Several nodes on one store: each has an Enricher, a Service with its loops, and
// a client of FullEnrich. They share an engine, since SQLite belongs to one; its
// steps are executed by the nodes in turn.

// inTurn gives every step to another node, as the engines of several nodes would.
type inTurn struct {
	nodes []*enrichment.Enricher
	n     atomic.Uint64
}

func (i *inTurn) next() *enrichment.Enricher { return i.nodes[i.n.Add(1)%uint64(len(i.nodes))] }

func (i *inTurn) ClaimBatch(ctx context.Context) (enrichment.Batch, error) {
	return i.next().ClaimBatch(ctx)
}

func (i *inTurn) Submit(ctx context.Context) (enrichment.Submission, error) {
	return i.next().Submit(ctx)
}

func (i *inTurn) Follow(ctx context.Context) (enrichment.Arrival, bool, error) {
	return i.next().Follow(ctx)
}

func (i *inTurn) Settle(ctx context.Context, a enrichment.Arrival) (enrichment.Settlement, error) {
	return i.next().Settle(ctx, a)
}

func (i *inTurn) MarkFailed(ctx context.Context, f workflow.Failure) error {
	return i.next().MarkFailed(ctx, f)
}

func (i *inTurn) MarkCanceled(ctx context.Context, reason string) error {
	return i.next().MarkCanceled(ctx, reason)
}

// calls counts what FullEnrich was asked: paid calls, fetches, and balances.
func (w *world) calls() (submits, gets, accounts int) {
	for _, m := range w.sim.Ledger().Calls {
		submits, gets = submits+m.Submits, gets+m.Gets
		accounts += m.Total - m.Submits - m.Gets - m.Limited - m.Unauthorized
	}
	return submits, gets, accounts
}

func TestSeveralNodesEnrichEverybodyOnce(t *testing.T) {
	takesSeconds(t)
	onNodes(t, 3, enrichment.Config{BatchSize: 7}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookDuplicate, Times: 3, Count: 2})
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Nth: 4})
		people := addresses(60)
		w.signUp(people...)
		w.sleep(2 * time.Hour)
		counts, err := w.life.store.Jobs.Count(context.Background())
		w.must(err)
		if counts[liwanag.JobEnriched]+counts[liwanag.JobNotFound] != 60 {
			t.Errorf("jobs: %v", counts)
		}
		w.wantAccepted(1, people...)
		w.wantFired(simulator.ActionWebhookDuplicate, simulator.ActionAcceptThenReset)
		w.wantPaidOnce()
	})
}

func TestSeveralNodesShareTheCallsOfAMinute(t *testing.T) {
	takesSeconds(t)
	onNodes(t, 3, enrichment.Config{BatchSize: 1, CallsPerMinute: 6}, simulator.Config{}, func(w *world) {
		people := addresses(40)
		w.signUp(people...)
		w.sleep(time.Hour)
		most := 0
		for _, m := range w.sim.Ledger().Calls {
			most = max(most, m.Total)
		}
		if most != 6 {
			t.Errorf("%d calls in a minute, the budget of all nodes is 6", most)
		}
		w.wantAccepted(1, people...)
		w.wantPaidOnce()
	})
}

func TestSeveralNodesShareTheContactsInFlight(t *testing.T) {
	onNodes(t, 3, enrichment.Config{BatchSize: 5, MaxInFlight: 10}, simulator.Config{}, func(w *world) {
		people := addresses(60)
		w.signUp(people...)
		most := 0
		for range 360 {
			w.sleep(5 * time.Second)
			state := w.sim.State()
			most = max(most, state.InFlight+state.Queued)
		}
		if most != 10 {
			t.Errorf("at most %d in flight, the cap of all nodes is 10", most)
		}
		w.wantAccepted(1, people...)
	})
}

func TestSeveralNodesShareTheCreditsOfADay(t *testing.T) {
	takesSeconds(t)
	onNodes(t, 3, enrichment.Config{BatchSize: 2, CreditBudget: 12},
		simulator.Config{}, func(w *world) {
			var people []string
			for i := range 20 {
				people = append(people, fmt.Sprintf("p%02d+found@example.net", i))
			}
			w.signUp(people...)
			w.sleep(23 * time.Hour)
			if spent := w.sim.Ledger().Totals.Credits; spent != 12 {
				t.Errorf("%d credits were spent, the budget of all nodes is 12 a day", spent)
			}
			w.sleep(3 * time.Hour)
			w.wantAccepted(1, people...)
			w.wantPaidOnce()
		})
}

// What one node asks FullEnrich in the background, several do not ask more often.
func TestSeveralNodesAskFullEnrichNoMoreOftenThanOne(t *testing.T) {
	takesSeconds(t)
	asked := func(nodes int) (gets, accounts int) {
		onNodes(t, nodes, enrichment.Config{}, simulator.Config{}, func(w *world) {
			w.silence()
			run := w.signUp("eva+slow+found@example.net")[0] // takes 15 minutes
			w.sleep(time.Minute)
			w.must(w.life.svc.CancelRun(context.Background(), run.String(), "the sweep fetches it"))
			w.signUp("dan+slow+found@example.net") // there is work: the balance is asked
			w.sleep(2 * time.Hour)
			w.wantJob("eva+slow+found@example.net", liwanag.JobEnriched, "")
			w.wantPaidOnce()
			_, gets, accounts = w.calls()
		})
		return gets, accounts
	}
	gets, accounts := asked(1)
	if gets < 2 || accounts < 2 {
		t.Fatalf("one node fetches %d times and asks %d times for the balance", gets, accounts)
	}
	if manyGets, manyAccounts := asked(3); manyGets != gets || manyAccounts != accounts {
		t.Errorf("one node fetches %d times and asks %d times for the balance; three fetch %d times and ask %d times",
			gets, accounts, manyGets, manyAccounts)
	}
}

func TestALookThatAnotherNodeTookIsNotRepeated(t *testing.T) {
	onNodes(t, 2, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.silence()
		run := w.signUp("eva+slow+found@example.net")[0]
		w.sleep(time.Minute)
		w.must(w.life.svc.CancelRun(ctx, run.String(), "not wanted"))
		w.sleep(time.Second)
		due := w.wantSubmissions(run, liwanag.SubmissionAccepted)[0]
		_, before, _ := w.calls()
		w.must(w.life.all[0].FollowOne(ctx, due))
		next := w.submissions(run)[0].FollowAt
		w.must(w.life.all[1].FollowOne(ctx, due))
		if _, gets, _ := w.calls(); gets != before+1 {
			t.Errorf("it was fetched %d times", gets-before)
		}
		// One that ends meanwhile is not looked at again by who read it before.
		if got := w.submissions(run)[0].FollowAt; !got.Equal(next) || !got.After(due.FollowAt) {
			t.Errorf("looked at next at %s, then at %s, was due at %s", next, got, due.FollowAt)
		}
	})
}

func TestAWebhookOfANodeThatDiedIsDeliveredByAnotherWithinAMinute(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
		// The bell that this one rings is heard by nobody: its loops do not run.
		dying := w.node(w.life.store.Store)
		w.mu.Lock()
		w.life.all = []*enrichment.Service{enrichment.NewService(dying, enrichment.New(dying, w.cfg), w.life.engine)}
		w.mu.Unlock()
		run := w.signUp(ana)[0]
		for len(w.deliveries()) == 0 {
			w.sleep(time.Second)
		}
		w.wantRun(run, workflow.StatusWaiting)
		w.sleep(time.Minute)
		w.wantRun(run, workflow.StatusCompleted)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestSeveralNodesMakeOneNewJobAfterAPassingFailure(t *testing.T) {
	onNodes(t, 3, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 2 * time.Minute})
		w.signUp(ana)
		w.sleep(time.Minute)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.sleep(20 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		if jobs, err := w.life.store.Jobs.OfSubscriber(context.Background(), w.subscriber(ana).ID); err != nil || len(jobs) != 2 {
			t.Errorf("%d jobs, %v", len(jobs), err)
		}
		w.wantPaidOnce()
	})
}

func TestAnUnmatchedResultIsAppliedOnceOverAllNodes(t *testing.T) {
	onNodes(t, 2, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "nothing is sent"))
		w.signUp(ana)
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error { // as a restored backup has it: pending, never sent
			_, err := tx.Jobs.Assign([]liwanag.ID{w.job(ana).ID}, liwanag.ID{})
			return err
		}))
		body := fmt.Appendf(nil, `{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","status":"CREDITS_INSUFFICIENT","cost":{"credits":1},
			"data":[{"input":{"email":%q},"custom":{"lw_job":%q}}]}`, ana, w.job(ana).ID)
		d := liwanag.Delivery{Digest: liwanag.Digest{1}, Source: liwanag.FromWebhook, State: liwanag.DeliveryUnmatched,
			Raw: body, Size: len(body), ReceivedAt: time.Now()}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			_, err := tx.Deliveries.Insert(d)
			return err
		}))
		for _, node := range w.life.all { // both have read it before
			w.must(node.Place(ctx, d))
		}
		credits, err := w.life.store.Ledger.Credits(ctx, liwanag.DayOf(time.Now()))
		w.must(err)
		if credits.Spent != 1 {
			t.Errorf("%d credits were spent, FullEnrich said 1", credits.Spent)
		}
	})
}

// Row 21: the sending commit was durable, its node stood still, and others have
// taken over since.
func TestASenderThatStoodStillInItsCommitNeverPosts(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.life.store.pauseAfter("submission.sending", 11*time.Second)
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		if sub := w.wantSubmissions(run, liwanag.SubmissionAmbiguous)[0]; sub.Cause != "stale" {
			w.t.Errorf("cause %q", sub.Cause)
		}
		w.wantAccepted(0, ana)
		w.sleep(time.Hour + 10*time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

// Row 21, the other way round: a stale node found the submission prepared, stood
// still, and comes back while its successor's POST is out, or after it.
func TestAStaleNodeLeavesASubmissionThatItsSuccessorSendsAlone(t *testing.T) {
	for name, action := range map[string]simulator.Action{"accepted": simulator.ActionWebhookNever,
		"nobody knows": simulator.ActionAcceptThenHang} {
		t.Run(name, func(t *testing.T) {
			onNodes(t, 2, enrichment.Config{}, simulator.Config{}, func(w *world) {
				ctx := context.Background()
				w.must(w.life.svc.Pause(ctx, "keep it prepared"))
				run := w.signUp(ana)[0]
				w.sleep(10 * time.Second)
				stale := w.wantSubmissions(run, liwanag.SubmissionPrepared)[0]
				w.fault(simulator.Fault{Action: action, Count: 1})
				w.must(w.life.svc.Resume(ctx))
				for w.submissions(run)[0].State == liwanag.SubmissionPrepared {
					w.sleep(time.Second)
				}
				before := w.submissions(run)[0] // accepted, or still sending
				w.must(w.life.work.Transmit(ctx, stale))
				w.wantSubmissions(run, before.State)
				w.wantJob(ana, liwanag.JobSubmitted, "")
				w.sleep(3 * time.Hour)
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantRun(run, workflow.StatusCompleted)
				w.wantFired(action)
				w.wantPaidOnce()
			})
		})
	}
}

func TestWhatAnotherNodeSendsCostsTheStepNoAttempt(t *testing.T) {
	onNodes(t, 2, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.life.store.pauseAfter("submission.insert", 5*time.Second)
		run := w.signUp(ana)[0]
		for len(w.submissions(run)) == 0 {
			w.sleep(time.Second)
		}
		w.must(w.life.work.Transmit(context.Background(), w.wantSubmissions(run, liwanag.SubmissionPrepared)[0]))
		w.sleep(10 * time.Minute)
		for _, h := range w.wantRun(run, workflow.StatusCompleted).History {
			if h.Type == workflow.HistoryStepRetrying {
				t.Errorf("%+v", h)
			}
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

// stale answers a question as it was answered some time ago, once.
type stale struct {
	datastore.Database
	question string
	then     datastore.Statement
}

func staleStore(store *datastore.Store, question, then string, args ...any) *datastore.Store {
	return store.Through(func(db datastore.Database) datastore.Database {
		return &stale{db, question, datastore.Statement{Query: then, Args: args}}
	})
}

func (s *stale) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	if strings.Contains(query, s.question) && s.then.Query != "" {
		query, args = strings.Replace(query, s.question, s.then.Query, 1), s.then.Args
		s.then.Query = ""
	}
	return s.Database.Query(ctx, query, args...)
}

func TestANodeThatStoodStillDoesNotRetryAJobThatAnotherOneRetried(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 2 * time.Minute})
		w.signUp(ana)
		w.sleep(time.Minute)
		failed := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.sleep(20 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		work := w.node(staleStore(w.life.store.Store, "j.retry_at <= $1", "j.id = $1", failed.ID.Bytes(), 1))
		once, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		w.must(enrichment.NewService(work, enrichment.New(work, w.cfg), w.life.engine).Run(once))
		w.sleep(time.Hour)
		w.wantAccepted(1, ana)
		w.wantPaidOnce()
	})
}

func TestANodeThatStoodStillDoesNotQuarantineADeliveryThatAnotherOneSettled(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		settled := w.deliveries()[0]
		work := w.node(staleStore(w.life.store.Store, "state = 'stored' OR (state = 'unmatched' AND note IS NULL)", "digest = $2",
			1, settled.Digest[:]))
		once, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		w.must(enrichment.NewService(work, enrichment.New(work, w.cfg), w.life.engine).Run(once))
		if d := w.deliveries()[0]; d.State != liwanag.DeliverySettled {
			t.Errorf("a settled delivery became %s (%s)", d.State, d.Note)
		}
	})
}

// counting is a runner that counts how often runs are read.
type counting struct {
	workflow.Runner
	reads *atomic.Int64
}

func (r counting) Describe(ctx context.Context, runID string) (workflow.Run, error) {
	r.reads.Add(1)
	return r.Runner.Describe(ctx, runID)
}

func TestSeveralNodesReadTheWaitingRunsNoMoreOftenThanOne(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: 1000 * time.Hour}, simulator.Config{}, func(w *world) {
		ctx, stop := context.WithCancel(context.Background())
		w.must(w.life.svc.Pause(ctx, "the run waits"))
		w.signUp(ana)
		w.sleep(time.Hour)
		w.cfg.SweepEvery = time.Minute
		var reads atomic.Int64
		for range 3 {
			work := w.node(w.life.store.Store)
			svc := enrichment.NewService(work, enrichment.New(work, w.cfg), counting{w.life.engine, &reads})
			w.life.ended.Go(func() { _ = svc.Run(ctx) })
		}
		w.sleep(time.Hour)
		stop()
		if n := reads.Load(); n < 6 || n > 7 {
			t.Errorf("a waiting run was read %d times in an hour, want every ten minutes", n)
		}
	})
}

// What a probe proves it proves of the time when it began: its process may have
// stood still since.
func TestAProbeCountsFromItsBeginning(t *testing.T) {
	begun := map[time.Time]bool{}
	slow := func(context.Context) error {
		begun[time.Now().UTC()] = true
		time.Sleep(15 * time.Second)
		return nil
	}
	inWorld(t, watchful(enrichment.Config{Probe: slow}), simulator.Config{}, func(w *world) {
		w.silence()
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		evidence, err := w.life.store.Ledger.Evidence(context.Background(), publicURL)
		w.must(err)
		if n := len(evidence.Reaches); n != 1 || !begun[evidence.Reaches[0].Since] || !begun[evidence.Reaches[0].Until] {
			t.Errorf("reached %+v, probes began at %v", evidence.Reaches, begun)
		}
	})
}

// noStarts is a runner whose store cannot be asked.
type noStarts struct {
	workflow.Runner
	asked *atomic.Int64
}

func (r noStarts) Start(context.Context, workflow.StartRequest) error {
	r.asked.Add(1)
	return liwanag.ErrDatabase
}

func TestAThousandRunsDoNotAllWaitForAStoreThatIsGone(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		var asked atomic.Int64
		runs := make([]liwanag.ID, 1000)
		for i := range runs {
			runs[i] = liwanag.NewID(liwanag.RunKind)
		}
		work := w.node(w.life.store.Store)
		err := enrichment.NewService(work, enrichment.New(work, w.cfg), noStarts{w.life.engine, &asked}).Start(context.Background(), runs...)
		if liwanag.ClassOf(err) != liwanag.Unavailable || asked.Load() > 10 || len(err.Error()) > 2000 {
			t.Errorf("asked %d times: %v", asked.Load(), err)
		}
	})
}

// reluctant is a runner that cannot start runs for a while.
type reluctant struct {
	workflow.Runner
	fails atomic.Int64
}

func (r *reluctant) Start(ctx context.Context, run workflow.StartRequest) error {
	if r.fails.Add(-1) >= 0 {
		return errors.New("the store is away")
	}
	return r.Runner.Start(ctx, run)
}

func TestRunsThatCouldNotBeStartedAreStartedSoonAfter(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: 1000 * time.Hour}, simulator.Config{}, func(w *world) {
		ctx, stop := context.WithCancel(context.Background())
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		person := w.wantJob(ana, liwanag.JobEnriched, "").SubscriberID
		work, runner := w.node(w.life.store.Store), &reluctant{Runner: w.life.engine}
		svc := enrichment.NewService(work, enrichment.New(work, w.cfg), runner)
		w.life.ended.Go(func() { _ = svc.Run(ctx) })
		runner.fails.Store(3)
		if _, err := svc.Enrich(ctx, []liwanag.ID{person}, true); err == nil {
			t.Error("a run that could not be started was said to be")
		}
		w.sleep(5 * time.Minute)
		stop()
		w.wantAccepted(2, ana)
	})
}
