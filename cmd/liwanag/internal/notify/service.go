package notify

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

const (
	// window is how many messages of a sink are in their first attempt at once, over
	// all nodes.
	window = 32
	// probeEvery is how often one more message of a failing sink is tried, besides
	// those that wait for their next attempt.
	probeEvery = 5 * time.Minute
	startGroup = 200
	// strayAfter is how old a message under way is before its run is looked at.
	strayAfter = 10 * time.Minute
)

// Service gives messages runs. It is safe for concurrent use.
type Service struct {
	*Sender
	wf     *workflow.Workflow[Input]
	runner workflow.Runner

	mu     sync.Mutex
	probed map[liwanag.ID]time.Time // failing sinks, by when one more was tried
}

// NewService returns the service around the step's work and the runner that holds
// the definition.
func NewService(work *Sender, wf *workflow.Workflow[Input], runner workflow.Runner) *Service {
	return &Service{Sender: work, wf: wf, runner: runner, probed: map[liwanag.ID]time.Time{}}
}

// Run works in the background until ctx ends: at once for what an earlier process
// left, then whenever it is rung for, and every minute for the rest.
func (s *Service) Run(ctx context.Context) error {
	chore.Crew{Turns: datastore.Alone{Store: s.cfg.Store}, Now: s.now, Log: s.cfg.Log}.Run(ctx,
		chore.Chore{Name: "messages", Every: s.cfg.SweepEvery, Bell: s.bell, Parts: []chore.Part{chore.All("dispatch", s.dispatch)}},
		chore.Chore{Name: "left messages", Every: s.cfg.SweepEvery, Parts: []chore.Part{
			{Name: "start", Do: s.startLeft},
			chore.Alone(strayAfter, chore.All("stray messages", s.findStrays)),
		}})
	return nil
}

// dispatch gives waiting messages runs, as many of each sink as it can take.
func (s *Service) dispatch(ctx context.Context) error {
	waiting, err := s.cfg.Store.Messages.Waiting(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, sinkID := range waiting {
		claimed, err := s.claim(ctx, sinkID)
		if err == nil {
			err = s.start(ctx, claimed)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// claim takes messages of a sink. One that fails gets one more now and then: a
// dead sink neither fills the runner with messages that wait, nor is it forgotten.
func (s *Service) claim(ctx context.Context, sinkID liwanag.ID) (claimed []liwanag.Message, err error) {
	now := s.now()
	probe := s.probe(sinkID, now)
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		claimed = nil
		sink, err := tx.Sinks.Get(sinkID)
		if gone(err) || err == nil && sink.Disabled {
			return nil
		}
		if err != nil {
			return err
		}
		room := 1
		if sink.FailingSince.IsZero() {
			busy, err := tx.Messages.Busy(sinkID, liwanag.MessageSending)
			if err != nil {
				return err
			}
			room = window - busy
		} else if !probe {
			room = 0
		}
		if room <= 0 {
			return nil
		}
		claimed, err = tx.Messages.Claim(sinkID, room)
		return err
	})
	if err == nil && len(claimed) == 1 && probe {
		s.mu.Lock()
		s.probed[sinkID] = now
		s.mu.Unlock()
	}
	return claimed, err
}

func (s *Service) probe(sinkID liwanag.ID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.probed[sinkID]) >= probeEvery
}

// start makes the runs of messages exist. It is idempotent; what fails is started
// by the next sweep.
func (s *Service) start(ctx context.Context, messages []liwanag.Message) error {
	var started []liwanag.ID
	for _, m := range messages {
		if err := s.wf.Start(ctx, s.runner, m.RunID.String(), Input{m.ID}); err != nil {
			return errors.Join(s.markStarted(ctx, started), fmt.Errorf("notify: start of %s: %w", m.RunID, err))
		}
		started = append(started, m.ID)
	}
	return s.markStarted(ctx, started)
}

func (s *Service) markStarted(ctx context.Context, ids []liwanag.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.cfg.Store.Write(context.WithoutCancel(ctx), func(tx *datastore.Tx) error { return tx.Messages.MarkStarted(ids) })
}

// startLeft starts runs that were given and not started.
func (s *Service) startLeft(ctx context.Context) (more bool, err error) {
	left, err := s.cfg.Store.Messages.Unstarted(ctx, startGroup)
	if err != nil || len(left) == 0 {
		return false, err
	}
	return true, s.start(ctx, left)
}

// findStrays gives messages back whose run ended without a word of theirs: it was
// terminated, or is unknown.
func (s *Service) findStrays(ctx context.Context) error {
	now := s.now()
	for page := (liwanag.Page{Limit: startGroup}); ; {
		rows, next, err := s.cfg.Store.Messages.List(ctx, liwanag.MessageFilter{States: underWay}, page)
		if err != nil {
			return err
		}
		for _, m := range rows {
			if now.Sub(m.CreatedAt) < strayAfter || !m.Started {
				continue
			}
			run, err := s.runner.Describe(ctx, m.RunID.String())
			if err != nil && !errors.Is(err, workflow.ErrNotFound) {
				return err
			}
			if err == nil && !run.Status.Ended() {
				continue
			}
			if err := s.putBack(ctx, m); err != nil {
				return err
			}
			s.Ring()
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}
