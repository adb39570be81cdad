package temporalrunner

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/liwanag/liwanag/workflow"
)

// Config configures a Runner. Client is needed, every other zero value is a
// default.
type Config struct {
	// Client is a connection to the Temporal server, of [Dial] or the SDK. The caller
	// closes it, after Run has returned.
	Client client.Client
	// Definitions are what this runner can execute; several versions of a workflow
	// may stand side by side.
	Definitions []workflow.Definition
	// TaskQueue begins the names of the task queues, one a definition:
	// "liwanag/enrichment/v1". Default "liwanag". Runners that share runs share it.
	TaskQueue string
	// Concurrency is how many steps of one definition execute here at once; default
	// 256.
	Concurrency int
	// Lease is how long a worker may be silent while it executes a step, before
	// another one takes the step over; default 15 s.
	Lease time.Duration
	// StopTimeout is how long Run lets running steps go on after its context ends;
	// default 35 s.
	StopTimeout time.Duration
	// Namespace begins the idempotency keys of the steps of runs that are started
	// here: see engine.Config. It is not the server's namespace. Default: none. A run
	// keeps the one that it was started with.
	Namespace string
	// Around is called around each attempt, the first outermost; see workflow.Around.
	Around []workflow.Around
	// Strict refuses to Run while there are open runs that were begun by a definition of
	// the same name and version which differs from the one held here, in what
	// workflow.Shape says: as far as the server's index tells, which follows a little
	// later than the runs. Default: Run starts, and leaves those runs alone.
	Strict bool
	// Observers are told of what happens; see workflow.Observer. A workflow task that
	// the server has repeated may tell of an ending or a wait twice.
	Observers []workflow.Observer
}

// Validate returns every fault of the configuration and of the definitions,
// joined.
func (c Config) Validate() error {
	var faults []error
	if c.Client == nil {
		faults = append(faults, errors.New("temporalrunner: a Client is needed. Try: temporalrunner.Dial"))
	}
	if c.Concurrency < 0 || c.Lease < 0 || c.StopTimeout < 0 {
		faults = append(faults, fmt.Errorf("temporalrunner: concurrency %d, lease %s and stop timeout %s must "+
			"not be negative", c.Concurrency, c.Lease, c.StopTimeout))
	}
	for what, name := range map[string]string{"task queue": c.TaskQueue, "namespace": c.Namespace} {
		if err := workflow.CheckName(what, name); err != nil {
			faults = append(faults, fmt.Errorf("temporalrunner: %w", err))
		}
	}
	plans, err := workflow.PlansOf(c.Definitions)
	faults = append(faults, err, workflow.CheckAround(c.Around))
	plans, err = workflow.WithChildren(plans)
	faults = append(faults, err)
	for _, p := range plans {
		faults = append(faults, checkActivities(p))
	}
	for _, p := range withBodies(plans) {
		if err := p.CheckStores(""); err != nil {
			faults = append(faults, fmt.Errorf("temporalrunner: %w", err))
		}
		for _, n := range p.Nodes {
			if n.AtMostOnce && n.Reconciles {
				faults = append(faults, fmt.Errorf("temporalrunner: workflow %q, step %q: only the engine asks by Reconcile what became of a "+
					"step that runs at most once", p.Name, n.Name))
			}
		}
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	c.TaskQueue = cmp.Or(c.TaskQueue, "liwanag")
	c.Concurrency = cmp.Or(c.Concurrency, 256)
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, 35*time.Second)
	return c
}

// Runner is the [workflow.Runner] on Temporal. Its methods work from New on; runs
// go on while Run runs, here or elsewhere. The state of an open run is told by
// whoever executes it, so Describe and the exact receipt of a Signal need a worker
// that answers.
type Runner struct {
	cfg       Config
	client    client.Client
	plans     map[string]*workflow.Plan // by workflow type, bodies too
	latest    map[string]*workflow.Plan // by name
	order     []*workflow.Plan          // definitions
	scopes    workflow.Scopes
	tell      workflow.Observers
	index     *index
	reopening sync.Mutex // see Retry
	running   atomic.Bool
}

var (
	_ workflow.Runner  = (*Runner)(nil)
	_ workflow.Counter = (*Runner)(nil)

	_ workflow.StartSender = (*Runner)(nil)
)

// New returns a runner, or every fault of its configuration and definitions.
func New(c Config) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Runner{cfg: c.withDefaults(), client: c.Client, plans: map[string]*workflow.Plan{}, latest: map[string]*workflow.Plan{}}
	r.tell, r.index = workflow.ObserversOf(c.Observers), &index{client: c.Client}
	given, _ := workflow.PlansOf(c.Definitions)
	r.order, _ = workflow.WithChildren(given)
	for _, p := range withBodies(r.order) {
		r.plans[typeOfPlan(p)] = p
	}
	for _, p := range r.order {
		p.Seal()
		if l := r.latest[p.Name]; l == nil || l.Version < p.Version {
			r.latest[p.Name] = p
		}
	}
	return r, nil
}

// Definitions are the plans this runner holds.
func (r *Runner) Definitions() []*workflow.Plan { return append([]*workflow.Plan(nil), r.order...) }

// typeOf is the Temporal workflow type of a definition.
func typeOf(name string, version int) string { return fmt.Sprintf("%s/v%d", name, version) }

// queueOf is the task queue of a definition. Each has its own, so that a run
// whose version no worker holds stays as it is.
func (r *Runner) queueOf(p *workflow.Plan) string {
	return r.cfg.TaskQueue + "/" + typeOf(p.Name, p.Version)
}
