package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Config configures an Engine. Store and Definitions are needed, every other
// zero value is a default.
type Config struct {
	Store store.Store
	// Definitions are what this engine can execute; several versions of a workflow
	// may stand side by side.
	Definitions []workflow.Definition
	// Name names this node in views and logs, in up to 200 bytes of UTF-8 without control
	// characters; default: host name and process id.
	Name string
	// Concurrency is how many runs execute a step at once; default 256.
	Concurrency int
	// Lease is how long a node may be silent before others take over its runs, on
	// stores that several nodes share; default 15 s.
	Lease time.Duration
	// StopTimeout is how long Run lets running steps go on after its context ends;
	// default 35 s.
	StopTimeout time.Duration
	// Namespace begins the idempotency keys of steps, so that two databases whose runs
	// have the same ids can use one service. Default: none. All nodes of a database
	// have the same, from before its first run on: another one is another key for
	// every step that has not succeeded, also of runs that exist.
	Namespace string
	// Retention is how long runs are kept after their end, with all below them; default:
	// for ever, see Prune.
	Retention time.Duration
	// Schedules start runs at their times, on one of the nodes that share the store; see
	// Engine.Schedules.
	Schedules []schedule.Schedule
	// Around is called around each attempt, the first outermost; see workflow.Around.
	Around []workflow.Around
	// Strict refuses to Run while there are open runs that were begun by a definition
	// of the same name and version which differs from the one held here, in what
	// workflow.Shape says. Default: Run starts and tells, and leaves those runs alone
	// that do not fit.
	Strict bool
	// Observers are told of what happens; see workflow.Observer. Without any, faults go to
	// slog's default logger.
	Observers []workflow.Observer
	// Now is the wall clock; default time.Now. One that differs from the clock of a
	// store that several nodes share is told to the observers; one that does so by
	// more than a Lease is not believed: the store's is followed.
	Now func() time.Time
}

// Validate returns every fault of the configuration and of the definitions,
// joined.
func (c Config) Validate() error {
	var faults []error
	if c.Store == nil {
		faults = append(faults, errors.New("engine: a Store is needed"))
	}
	if c.Concurrency < 0 || c.Lease < 0 || c.StopTimeout < 0 || c.Retention < 0 {
		faults = append(faults, fmt.Errorf("engine: concurrency %d, lease %s, stop timeout %s and retention %s must not be negative",
			c.Concurrency, c.Lease, c.StopTimeout, c.Retention))
	}
	for what, name := range map[string]string{"name": c.Name, "namespace": c.Namespace} {
		if err := workflow.CheckName(what, name); err != nil {
			faults = append(faults, fmt.Errorf("engine: %w", err))
		}
	}
	_, err := workflow.PlansOf(c.Definitions)
	faults = append(faults, err, workflow.CheckAround(c.Around), schedule.Validate(c.Schedules))
	if _, ok := c.Store.(scheduler); !ok && c.Store != nil && len(c.Schedules) > 0 {
		faults = append(faults, errors.New("engine: the Store has no ledger for Schedules"))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil || host == "" || workflow.CheckName("host", host) != nil {
			host = "node"
		}
		c.Name = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	c.Concurrency = cmp.Or(c.Concurrency, 256)
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, 35*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Observers) == 0 {
		c.Observers = []workflow.Observer{logged{}}
	}
	return c
}

// Engine is the embedded [workflow.Runner]. Its methods work from New on; runs
// go on while Run runs.
type Engine struct {
	cfg    Config
	store  store.Store
	plans  map[store.Definition]*workflow.Plan
	latest map[string]*workflow.Plan
	defs   []store.Definition
	tell   workflow.Observers

	wake   chan struct{} // something may be due: ask the store
	sooner chan struct{} // something is due sooner than was known: look at the clock

	running atomic.Bool   // Run runs
	skew    atomic.Int64  // what is added to the wall clock, which is too far from the store's
	told    time.Duration // the difference between the clocks that was told last
	ahead   atomic.Int64  // the difference between the clocks, while it is worth telling

	mu      sync.Mutex
	node    store.Node // of the running engine; zero before Run and after it
	stop    bool       // no new step begins
	renewed moment     // when the node's lease was last known to hold
	alone   time.Time  // since when no other node begins runs, where there is none
	misfits map[string]Misfit
	yielded []yielded                          // to other nodes, the latest last
	shapes  map[store.Definition][]store.Shape // that open runs were begun with; the last is what is held
	differ  map[store.Definition]string        // what was told of it at the start
	noted   time.Time                          // earliest park since the last claim; zero: none
	base    context.Context                    // of steps and commits; ends when StopTimeout is over
	work    sync.WaitGroup                     // runs this engine owns: reserved, queued or executing

	slots  *slots
	memory *memory
	scopes workflow.Scopes

	schedules *schedule.Loop
}

var (
	_ workflow.Runner  = (*Engine)(nil)
	_ workflow.Counter = (*Engine)(nil)

	_ workflow.StartSender = (*Engine)(nil)
)

// New returns an engine, or every fault of its configuration and definitions. The
// definitions are sealed: adding to one afterwards panics.
func New(c Config) (*Engine, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: c.withDefaults(), store: c.Store, plans: map[store.Definition]*workflow.Plan{},
		latest: map[string]*workflow.Plan{}, misfits: map[string]Misfit{}, shapes: map[store.Definition][]store.Shape{},
		differ: map[store.Definition]string{}, wake: make(chan struct{}, 1),
		sooner: make(chan struct{}, 1), stop: true}
	e.tell = workflow.ObserversOf(e.cfg.Observers)
	if err := e.schedule(); err != nil {
		return nil, err
	}
	e.slots, e.memory = newSlots(e.cfg.Concurrency), newMemory(e.cfg.Concurrency)
	given, _ := workflow.PlansOf(c.Definitions)
	plans, err := workflow.WithChildren(given)
	if err != nil {
		return nil, err
	}
	if len(plans) > 0 {
		defer e.takePosts()
	}
	for _, p := range plans {
		if err := p.CheckStores(storeKind(c.Store)); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
	}
	for _, p := range plans {
		p.Seal()
		key := store.Definition{Workflow: p.Name, Version: p.Version}
		e.plans[key] = p
		e.defs = append(e.defs, key)
		if l := e.latest[p.Name]; l == nil || l.Version < p.Version {
			e.latest[p.Name] = p
		}
	}
	return e, nil
}

// now is the wall clock in the resolution that stores keep, so that what is
// decided and what is read back are equal.
func (e *Engine) now() time.Time {
	return e.cfg.Now().Add(time.Duration(e.skew.Load())).UTC().Truncate(time.Microsecond)
}

// Run executes runs until ctx ends, then lets running steps end, for at most
// StopTimeout, and returns nil. It returns an error when the store refuses this
// node, or Strict its definitions; a store that only does not answer in time is
// told to the observers and asked again. One Run at a time, and one engine on a store:
// another is an error.
func (e *Engine) Run(ctx context.Context) error {
	leave, err := e.enter()
	if err != nil {
		return err
	}
	defer leave()
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	var lease sync.WaitGroup
	defer e.resign(ctx)
	defer lease.Wait()
	defer abandon()
	node, asked, err := e.register(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("engine: this node cannot register: %w", err)
	}
	e.takePosts()
	err = e.define(ctx)
	e.mu.Lock()
	e.node, e.renewed, e.base, e.stop = node, asked, base, err != nil || ctx.Err() != nil
	e.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("engine: the definitions are not taken: %w", err)
	}
	defer context.AfterFunc(ctx, func() { pause(base, e.cfg.StopTimeout); abandon() })()

	if node.Renew > 0 {
		lease.Go(func() { e.keepLease(base) })
	}
	if c, ok := e.store.(store.Checker); ok {
		lease.Go(func() { e.watch(base, c) })
	}
	e.rounds(ctx, &lease)
	e.claimLoop(ctx)

	e.mu.Lock()
	e.stop = true
	e.mu.Unlock()
	for _, c := range e.slots.drain() {
		go e.release(c)
	}
	ended := make(chan struct{})
	go func() { e.work.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-base.Done():
		e.tell.RunnerFault("stop", fmt.Errorf("runs are not given back after %s; they are abandoned and taken "+
			"over at the next start", e.cfg.StopTimeout))
	}
	return nil
}

// rounds are what a node does beside its runs, until ctx ends.
func (e *Engine) rounds(ctx context.Context, all *sync.WaitGroup) {
	if e.cfg.Retention > 0 {
		all.Go(func() { e.retain(ctx) })
	}
	if len(e.cfg.Schedules) > 0 {
		all.Go(func() { _ = e.schedules.Run(ctx) })
	}
}

// resign gives the lease up, so that no other node waits for its end to take over
// what this one leaves behind.
func (e *Engine) resign(ctx context.Context) {
	e.mu.Lock()
	node := e.node
	e.node = store.Node{}
	e.mu.Unlock()
	r, ok := e.store.(store.Resigner)
	if !ok || node.Epoch == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
	defer cancel()
	var err error
	if !bounded(ctx, func() { err = r.Resign(ctx, node) }) {
		err = errSilent
	}
	if err != nil {
		e.tell.RunnerFault("resign", err)
	}
}

// resignTimeout bounds how long a stop tries to give the lease up, which ends by
// itself.
const resignTimeout = time.Second

// self is this node, as it last registered.
func (e *Engine) self() store.Node {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.node
}

// working is the context of steps and commits.
func (e *Engine) working() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.base
}

// Definitions are the plans this engine holds.
func (e *Engine) Definitions() []*workflow.Plan {
	plans := make([]*workflow.Plan, 0, len(e.defs))
	for _, d := range e.defs {
		plans = append(plans, e.plans[d])
	}
	return plans
}

// Counts counts all runs; see [workflow.Counter].
func (e *Engine) Counts(ctx context.Context) ([]workflow.Count, error) {
	rows, err := e.store.Counts(ctx)
	counts := make([]workflow.Count, len(rows))
	for i, row := range rows {
		status := workflow.Status(row.Status)
		switch {
		case row.Status == store.Open && row.Step != "":
			status = workflow.StatusWaiting
		case row.Status == store.Open:
			status = workflow.StatusRunning
		}
		counts[i] = workflow.Count{Workflow: row.Workflow, Version: row.Version, Status: status, Step: row.Step, Runs: row.Runs}
	}
	return counts, err
}

// Overdue counts open runs that were due by a minute ago or earlier, and that no
// node has taken on since: nobody is there, all are busy, or none holds their
// definition. ok is false when the store cannot tell.
func (e *Engine) Overdue(ctx context.Context) (n int64, ok bool, err error) {
	backlog, ok := e.store.(store.Backlog)
	if !ok {
		return 0, false, nil
	}
	n, err = backlog.Overdue(ctx, e.now().Add(-time.Minute))
	return n, true, err
}

// Orphans are the open runs whose workflow and version this engine does not hold, and
// those that it came upon and that do not fit what it holds (see [Engine.Misfits]):
// they stay as they are until a runner that holds their definition comes, or somebody
// terminates them.
func (e *Engine) Orphans(ctx context.Context) ([]store.Count, error) {
	counts, err := e.store.Counts(ctx)
	if err != nil {
		return nil, err
	}
	var orphans []store.Count
	for _, c := range counts {
		if c.Status == store.Open && e.plans[store.Definition{Workflow: c.Workflow, Version: c.Version}] == nil {
			orphans = append(orphans, c)
		}
	}
	misfits := map[store.Definition]int64{}
	for _, m := range e.Misfits() {
		misfits[store.Definition{Workflow: m.Workflow, Version: m.Version}]++
	}
	for _, d := range e.defs {
		if n := misfits[d]; n > 0 {
			orphans = append(orphans, store.Count{Workflow: d.Workflow, Version: d.Version, Status: store.Open, Runs: n})
		}
	}
	return orphans, nil
}

// Prune deletes up to n runs that ended before the given time, and returns how
// many it deleted.
func (e *Engine) Prune(ctx context.Context, endedBefore time.Time, n int) (int, error) {
	return e.store.Prune(ctx, endedBefore, n)
}
