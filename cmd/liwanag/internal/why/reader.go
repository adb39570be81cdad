package why

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/workflow"
)

// Config is what a Reader reads from. Store and Runner are needed; what else is nil is
// not known.
type Config struct {
	Store     *datastore.Store
	Runner    workflow.Runner
	Workflows []workflow.Definition
	// Standing tells what the runner knows of an open run besides.
	Standing func(ctx context.Context, runID string) (Standing, error)
	// Attempts knows the attempts that are under way in this process.
	Attempts *Attempts
	// Trouble says what keeps the database from being written.
	Trouble func(ctx context.Context) Trouble
	// Ahead is how far this node's clock is ahead of the database's.
	Ahead func() time.Duration
	// Budget is what a UTC day may cost that nobody confirmed; 0: no limit.
	Budget func(ctx context.Context) (int64, error)
	// Probed tells of the latest look whether the public URL reaches this server; the
	// zero time: none was made.
	Probed func() (time.Time, error)
	// NextBatch is when the scheduled batch is next.
	NextBatch func(now time.Time) time.Time

	PublicURL   string
	Unreachable bool
	NoKey       bool
	WorkToo     bool
	MostAtOnce  int
	CallLimit   int
	Now         func() time.Time
}

// Trouble is what keeps a database from being written; the zero value: nothing.
type Trouble struct {
	ReadOnly, DiskFull bool
	Fault              string
}

// Reader reads states. It is safe for concurrent use.
type Reader struct {
	cfg Config

	mu      sync.Mutex
	trouble Trouble
	looked  time.Time
}

// New is a reader.
func New(c Config) *Reader {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Reader{cfg: c}
}

// troubleLasts is how long it is not asked again what keeps the database from being
// written: finding out writes.
const troubleLasts = 5 * time.Second

func (r *Reader) troubles(ctx context.Context) Trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.Trouble != nil && (r.looked.IsZero() || time.Since(r.looked) > troubleLasts) {
		r.trouble, r.looked = r.cfg.Trouble(ctx), time.Now()
	}
	return r.trouble
}

// World reads what stands in the way of everything.
func (r *Reader) World(ctx context.Context) (w World, err error) {
	c := r.cfg
	t := r.troubles(ctx)
	w = World{Now: c.Now().UTC(), ReadOnly: t.ReadOnly, DiskFull: t.DiskFull, Fault: t.Fault, PublicURL: c.PublicURL,
		Unreachable: c.Unreachable, NoKey: c.NoKey, MostAtOnce: c.MostAtOnce, CallLimit: c.CallLimit, WorkToo: c.WorkToo}
	if c.Ahead != nil {
		w.Ahead = c.Ahead()
	}
	if c.NextBatch != nil {
		w.NextBatch = c.NextBatch(w.Now)
	}
	ledger := c.Store.Ledger
	for _, read := range []func() error{
		func() (err error) { w.Spending, err = ledger.Spending(ctx); return err },
		func() (err error) { w.Balance, err = ledger.Balance(ctx); return err },
		func() (err error) { w.InFlight, err = c.Store.Submissions.InFlight(ctx); return err },
		func() error {
			used, err := ledger.Credits(ctx, liwanag.DayOf(w.Now))
			w.Used = used.Unconfirmed
			return err
		},
		func() (err error) {
			if c.Budget != nil {
				w.Budget, err = c.Budget(ctx)
			}
			return err
		},
		func() error {
			stopped, err := ledger.StoppedSources(ctx)
			for _, f := range stopped {
				w.Stopped = append(w.Stopped, f.Source)
			}
			return err
		},
		func() error { return r.reached(ctx, &w) },
	} {
		if err := read(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// reached finds whether the public URL reaches this server.
func (r *Reader) reached(ctx context.Context, w *World) error {
	evidence, err := r.cfg.Store.Ledger.Evidence(ctx, w.PublicURL)
	if err != nil {
		return err
	}
	w.Proven = !evidence.ProvenAt.IsZero()
	if r.cfg.Probed == nil {
		return nil
	}
	if at, fault := r.cfg.Probed(); fault != nil {
		w.Gap = at
		if n := len(evidence.Reaches); n > 0 {
			w.Gap = evidence.Reaches[n-1].Until
		}
	}
	return nil
}

// Run says why a run stands where it stands. Errors are the runner's and the store's.
func (r *Reader) Run(ctx context.Context, id string) (api.Why, error) {
	w, err := r.World(ctx)
	if err != nil {
		return api.Why{}, err
	}
	state, err := r.run(ctx, w, id)
	return state.Why(), err
}

func (r *Reader) run(ctx context.Context, w World, id string) (state Run, err error) {
	state.World = w
	if state.Run, err = r.cfg.Runner.Describe(ctx, id); err != nil {
		return state, err
	}
	if r.cfg.Standing != nil && !state.Run.Status.Ended() {
		if state.Standing, err = r.cfg.Standing(ctx, id); err != nil && !errors.Is(err, workflow.ErrNotFound) {
			return state, err
		}
	}
	r.attempt(&state)
	if state.Message, err = r.messageOf(ctx, state.Run.Input); err != nil || state.Message != nil {
		return state, err
	}
	runID, err := liwanag.ParseID(liwanag.RunKind, id)
	if err != nil {
		return state, nil // a run of somebody else's
	}
	switch batch, err := r.cfg.Store.Batches.Get(ctx, runID); {
	case err == nil:
		state.Batch = &batch
	case !errors.Is(err, liwanag.ErrNotFound):
		return state, err
	}
	subs, err := r.cfg.Store.Submissions.OfRun(ctx, runID)
	if err != nil || len(subs) == 0 {
		return state, err
	}
	latest, err := r.submission(ctx, w, subs[len(subs)-1], state.Run)
	state.Latest = &latest
	return state, err
}

// attempt notes the attempt that is under way, and how long it may take.
func (r *Reader) attempt(state *Run) {
	for _, st := range state.Run.Steps {
		if st.Status == workflow.StatusRunning {
			state.Timeout = r.timeout(state.Run, st.Name)
			if r.cfg.Attempts != nil {
				state.Standing.Attempt = r.cfg.Attempts.Since(state.Run.ID, st.Name)
			}
		}
	}
}

func (r *Reader) timeout(run workflow.Run, step string) time.Duration {
	for _, d := range r.cfg.Workflows {
		if p := d.Plan(); p.Name == run.Workflow && p.Version == run.Version {
			if n, ok := p.Node(step); ok {
				return n.Timeout
			}
		}
	}
	return 0
}

// messageOf is the message that a run's input names, if it sends one.
func (r *Reader) messageOf(ctx context.Context, input json.RawMessage) (*Message, error) {
	var in struct {
		MessageID liwanag.ID `json:"messageId"`
	}
	if json.Unmarshal(input, &in) != nil || in.MessageID.IsZero() {
		return nil, nil
	}
	m, err := r.cfg.Store.Messages.Get(ctx, in.MessageID)
	if err != nil {
		return nil, notThere(err)
	}
	sink, err := r.cfg.Store.Sinks.Get(ctx, m.SinkID)
	if err != nil {
		return &Message{Message: m}, notThere(err)
	}
	return &Message{m, &sink}, nil
}

func notThere(err error) error {
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil
	}
	return err
}

// Submission says why a paid call stands where it stands. ErrNotFound.
func (r *Reader) Submission(ctx context.Context, id liwanag.ID) (api.Why, error) {
	sub, err := r.cfg.Store.Submissions.Get(ctx, id)
	if err != nil {
		return api.Why{}, err
	}
	w, err := r.World(ctx)
	if err != nil {
		return api.Why{}, err
	}
	run, err := r.cfg.Runner.Describe(ctx, sub.RunID.String())
	if err != nil && !errors.Is(err, workflow.ErrNotFound) {
		return api.Why{}, err
	}
	state, err := r.submission(ctx, w, sub, run)
	return state.Why(), err
}

func (r *Reader) submission(ctx context.Context, w World, sub liwanag.Submission, run workflow.Run) (state Submission,
	err error) {
	state = Submission{World: w, Submission: sub, RunOpen: run.ID != "" && !run.Status.Ended()}
	if f := run.WaitingFor; f != nil {
		state.LooksAt, state.EndsAt = f.NextFetchAt, f.Until
	}
	switch sub.State {
	case liwanag.SubmissionPrepared:
		if state.Before, err = r.cfg.Store.Submissions.PreparedBefore(ctx, sub.ID); err != nil {
			return state, err
		}
		batch, err := r.cfg.Store.Batches.Get(ctx, sub.RunID)
		state.Waiting, state.Until = batch.Waiting, batch.WaitingUntil
		return state, notThere(err)
	case liwanag.SubmissionSuperseded:
		all, err := r.cfg.Store.Submissions.OfRun(ctx, sub.RunID)
		for _, other := range all {
			if other.Supersedes == sub.ID {
				state.Next = other.ID
			}
		}
		if err != nil {
			return state, err
		}
	case liwanag.SubmissionSettled:
		return state, nil
	}
	return state, r.cameNear(ctx, &state)
}

// mostNear is how many webhooks that came near are told of, of each kind.
const mostNear = 5

// cameNear finds webhooks that came near a paid call, and did not count.
func (r *Reader) cameNear(ctx context.Context, state *Submission) error {
	sub, store := state.Submission, r.cfg.Store
	if sub.SendingAt.IsZero() {
		return nil
	}
	near, _, err := store.Deliveries.List(ctx, liwanag.DeliveryFilter{SubmissionID: sub.ID,
		States: []liwanag.DeliveryState{liwanag.DeliveryQuarantined}}, liwanag.Page{Limit: mostNear})
	if err != nil {
		return err
	}
	unmatched, _, err := store.Deliveries.List(ctx, liwanag.DeliveryFilter{
		States: []liwanag.DeliveryState{liwanag.DeliveryUnmatched}}, liwanag.Page{Limit: 500})
	if err != nil {
		return err
	}
	for _, d := range unmatched {
		if sub.EnrichmentID != "" && d.EnrichmentID == sub.EnrichmentID && len(near) < 2*mostNear {
			near = append(near, d)
		}
	}
	state.Near = near
	for _, act := range RefusedActs {
		refused, _, err := store.Acts.List(ctx, liwanag.ActFilter{Subject: sub.ID.String(), Act: act},
			liwanag.Page{Limit: mostNear})
		if err != nil {
			return err
		}
		state.Refused = append(state.Refused, refused...)
	}
	strangers, _, err := store.Acts.List(ctx, liwanag.ActFilter{Act: ActAddress}, liwanag.Page{Limit: mostNear})
	state.Strangers = slices.DeleteFunc(strangers, func(a liwanag.Act) bool {
		return a.At.Before(sub.SendingAt.Add(-paid.DeliveryGap))
	})
	return err
}

// What the audit trail calls webhooks of FullEnrich that were turned away: for their
// signature, since nothing could be done with them, since no paid call has the address.
const (
	ActSignature = "signature.refuse"
	ActWebhook   = "webhook.refuse"
	ActAddress   = "address.refuse"
)

// RefusedActs are those that have a paid call as their subject.
var RefusedActs = []string{ActSignature, ActWebhook}

// Subscriber says why a person was looked up, or was not. ErrNotFound.
func (r *Reader) Subscriber(ctx context.Context, id liwanag.ID) (api.Why, error) {
	person, err := r.cfg.Store.Subscribers.Get(ctx, id)
	if err != nil {
		return api.Why{}, err
	}
	w, err := r.World(ctx)
	if err != nil {
		return api.Why{}, err
	}
	state := Person{World: w, Person: person}
	jobs, err := r.cfg.Store.Jobs.OfSubscriber(ctx, id)
	if err != nil {
		return api.Why{}, err
	}
	if len(jobs) > 0 {
		state.Job = &jobs[0]
	}
	if err := r.lookup(ctx, &state); err != nil {
		return api.Why{}, err
	}
	return state.Why(), nil
}

// lookup reads what the latest lookup of a person stands at.
func (r *Reader) lookup(ctx context.Context, state *Person) error {
	j := state.Job
	if j == nil || !j.Status.Open() {
		return r.twin(ctx, state)
	}
	if j.RunID.IsZero() {
		return nil
	}
	run, err := r.run(ctx, state.World, j.RunID.String())
	switch {
	case errors.Is(err, workflow.ErrNotFound):
	case err != nil:
		return err
	default:
		state.Run = &run
	}
	sub, err := r.cfg.Store.Submissions.OfJob(ctx, j.ID)
	if err != nil {
		return notThere(err)
	}
	paidCall, err := r.submission(ctx, state.World, sub, run.Run)
	state.Paid = &paidCall
	return err
}

// twin finds the run that looks another address of the person's mailbox up.
func (r *Reader) twin(ctx context.Context, state *Person) error {
	if _, shared := liwanag.SharedMailbox(state.Person.EmailKey); !shared {
		return nil
	}
	others, err := r.cfg.Store.Subscribers.OfMailbox(ctx, state.Person.EmailKey)
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.ID == state.Person.ID {
			continue
		}
		jobs, err := r.cfg.Store.Jobs.OfSubscriber(ctx, other.ID)
		if err != nil {
			return err
		}
		if len(jobs) > 0 && jobs[0].Status.Open() {
			state.Twin = jobs[0].RunID
		}
	}
	return nil
}

// Upload says why a file stands where it stands. ErrNotFound.
func (r *Reader) Upload(ctx context.Context, id liwanag.ID) (api.Why, error) {
	up, err := r.cfg.Store.Uploads.Get(ctx, id)
	if err != nil {
		return api.Why{}, err
	}
	w, err := r.World(ctx)
	if err != nil {
		return api.Why{}, err
	}
	state := Upload{World: w, Upload: up}
	if up.Status == liwanag.UploadNeedsMapping {
		state.Forgets = up.CreatedAt.Add(unmappedFor)
	}
	progress, err := r.cfg.Store.Uploads.Progress(ctx, id)
	state.Progress = progress
	return state.Why(), err
}

// unmappedFor is how long a file is kept that needs a mapping.
const unmappedFor = 24 * time.Hour

// Sink says why a sink is told nothing, or is. ErrNotFound.
func (r *Reader) Sink(ctx context.Context, id liwanag.ID) (api.Why, error) {
	sink, err := r.cfg.Store.Sinks.Get(ctx, id)
	if err != nil {
		return api.Why{}, err
	}
	state := Sink{Sink: sink}
	waiting, _, err := r.cfg.Store.Messages.List(ctx, liwanag.MessageFilter{SinkID: id, States: []liwanag.MessageState{
		liwanag.MessagePending, liwanag.MessageSending, liwanag.MessageRetrying}}, liwanag.Page{Limit: 500})
	state.Waiting = len(waiting)
	for _, m := range waiting {
		if !m.NextAt.IsZero() && (state.Next.IsZero() || m.NextAt.Before(state.Next)) {
			state.Next = m.NextAt
		}
	}
	return state.Why(), err
}
