package enrichment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/chore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Service is enrichment as the rest of the product sees it: it starts batches,
// takes FullEnrich's webhooks in, delivers them to runs, sweeps up what no run
// looks after, and carries out what operators decide.
type Service struct {
	*Enricher
	wf     *workflow.Workflow[Input]
	runner workflow.Runner
	seen   seen

	unscrubbed sync.Map // ids of people who were erased and may still be in the files
	scrubs     func(context.Context) error
}

// NewService returns the service around the steps' work and the runner that
// holds the definition.
func NewService(work *Enricher, wf *workflow.Workflow[Input], runner workflow.Runner) *Service {
	return &Service{Enricher: work, wf: wf, runner: runner, scrubs: work.store.Scrub}
}

// Enroll is Enroll with the service's configuration and clock.
func (s *Service) Enroll(tx *datastore.Tx, people []Enrollment) ([]liwanag.Opened, error) {
	return Enroll(tx, people, s.cfg, s.now())
}

const (
	// maxStartFaults is how many runs may fail to start before the others are left
	// for later: their store cannot be asked now, and each would only wait for it.
	maxStartFaults = 3
	// startAgain is when runs that failed to start are started again.
	startAgain = 5 * time.Second
)

// Start starts the runs of batches: each exists when it returns. It is idempotent;
// what fails is repeated in the background, so an error loses nothing.
func (s *Service) Start(ctx context.Context, runIDs ...liwanag.ID) error {
	seen := map[liwanag.ID]bool{}
	var started []liwanag.ID
	var faults []error
	for _, id := range runIDs {
		if id.IsZero() || seen[id] {
			continue
		}
		seen[id] = true
		if err := s.wf.Start(ctx, s.runner, id.String(), Input{}); err != nil {
			faults = append(faults, fmt.Errorf("enrichment: start of %s: %w", id, err))
			if len(faults) == maxStartFaults || ctx.Err() != nil {
				break
			}
			continue
		}
		started = append(started, id)
	}
	if len(started) > 0 { // also when ctx has ended: they exist
		faults = append(faults, s.store.Write(context.WithoutCancel(ctx),
			func(tx *datastore.Tx) error { return tx.Batches.MarkStarted(started) }))
	}
	err := errors.Join(faults...)
	if err != nil {
		s.startSoon()
	}
	return err
}

// startSoon starts in a moment what could not be started now.
func (s *Service) startSoon() {
	time.AfterFunc(startAgain, func() { ring(s.bells.starts) })
}

// startLeft starts batches that were committed but not started.
func (s *Service) startLeft(ctx context.Context) (more bool, err error) {
	batches, err := s.store.Batches.Unstarted(ctx, sweepGroup)
	if err != nil {
		s.startSoon()
	}
	if err != nil || len(batches) == 0 {
		return false, err
	}
	runIDs := make([]liwanag.ID, len(batches))
	for i, b := range batches {
		runIDs[i] = b.RunID
	}
	return true, s.Start(ctx, runIDs...)
}

// Run works in the background until ctx ends: it delivers results and
// starts runs, at once for whatever was left by an earlier process; sweeps; and
// probes the public URL. It returns when all of it has stopped.
func (s *Service) Run(ctx context.Context) error {
	if err := s.tellUnbounded(ctx); err != nil {
		s.cfg.Log.ErrorContext(ctx, "it is told at the next start whether a budget bounds what nobody confirms", "error", err)
	}
	each := func(name string, bell chan struct{}, parts ...chore.Part) chore.Chore {
		return chore.Chore{Name: name, Every: s.cfg.SweepEvery, Bell: bell, Parts: parts}
	}
	chores := []chore.Chore{
		each("deliveries", s.bells.deliveries, chore.All("deliver", s.deliverStored)),
		each("start batches", s.bells.starts, chore.Part{Name: "start", Do: s.startLeft}),
		each("balance", s.bells.balance, chore.All("balance", s.checkBalance)),
		each("wake runs", s.bells.wakes, chore.All("wake", s.wakeWaiting)),
		each("sweep", s.bells.sweep, s.sweep()...),
		each("search", nil, chore.Alone(searchEvery, chore.Part{Name: "search", Do: s.index})),
	}
	if s.cfg.PublicURL != "" {
		chores = append(chores, chore.Chore{Name: "probe", Every: s.cfg.ProbeEvery, Parts: []chore.Part{chore.All("probe", s.probe)}})
	}
	chore.Crew{Turns: s.turns(), Now: s.now, Log: s.cfg.Log}.Run(ctx, chores...)
	return nil
}

// turns say which node does what one does for all.
func (s *Service) turns() chore.Turns { return datastore.Alone{Store: s.store} }

// ended says whether a run has ended, or is not known at all.
func (s *Service) ended(ctx context.Context, runID liwanag.ID) (bool, error) {
	run, err := s.runner.Describe(ctx, runID.String())
	if errors.Is(err, workflow.ErrNotFound) {
		return true, nil
	}
	return err == nil && run.Status.Ended(), err
}
