package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/peers"
	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// rows writes, through the store alone, the rows that W1 needs: create, two
// outcomes of which the second parks, the event, a claim, and the wait's and the
// last step's outcome with the ending. Claims are shared, as an engine's are.
type rows struct {
	store   closingStore
	node    store.Node
	due     chan struct{}
	claimed chan store.Claimed
	cancel  context.CancelFunc
	abandon func(error)
}

func (s settings) openRows(ctx context.Context, name string) (peers.Runner, error) {
	p, err := s.place(ctx, name)
	if err != nil {
		return nil, err
	}
	st, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	r := &rows{store: st, abandon: s.abandon, due: make(chan struct{}, 1), claimed: make(chan store.Claimed, 1024)}
	if r.node, err = st.Heartbeat(ctx, "bench", time.Hour); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	ctx, r.cancel = context.WithCancel(ctx)
	go r.claim(ctx)
	return r, nil
}

func (r *rows) claim(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.due:
		}
		claimed, _, err := r.store.Claim(ctx, r.node, store.Want(1024, store.Definition{Workflow: shape.Workflow, Version: 1}), now())
		if err != nil && ctx.Err() == nil {
			r.abandon(fmt.Errorf("claim: %w", err))
			return
		}
		for _, c := range claimed {
			r.claimed <- c
		}
	}
}

var (
	batchJSON, _   = json.Marshal(shape.Jobs)
	submitJSON, _  = json.Marshal(shape.Submitted)
	arrivalJSON, _ = json.Marshal(shape.Results)
)

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// One writes the rows of a run.
func (r *rows) One(ctx context.Context) error {
	id, at := shape.NewRunID(), now()
	outcome := func(step string, output json.RawMessage) store.Entry {
		return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: at, StartedAt: at, Output: output}
	}
	if err := r.store.Create(ctx, store.Run{ID: id, Workflow: shape.Workflow, Version: 1, Input: json.RawMessage("{}"), CreatedAt: at,
		StartedAt: at, Status: store.Open, Seq: 1, Owner: r.node.Epoch}); err != nil {
		return err
	}
	lease := store.Lease{RunID: id, Epoch: r.node.Epoch, Token: 1}
	if _, err := r.store.Commit(ctx, lease, store.Progress{Now: at, Append: []store.Entry{outcome(shape.First, batchJSON)}}); err != nil {
		return err
	}
	lease.Token++ // as every commit that is written
	if _, err := r.store.Commit(ctx, lease, store.Progress{Now: at, Append: []store.Entry{outcome(shape.Submit, submitJSON)},
		Park: &store.Park{Kind: store.ParkWait, Step: shape.Wait, Events: []string{shape.Event}, Since: at,
			Until: at.Add(shape.Within)}}); err != nil {
		return err
	}
	if _, err := r.store.Deliver(ctx, id, workflow.Signal{ID: "webhook", Event: shape.Event, Payload: arrivalJSON}, at); err != nil {
		return err
	}
	select {
	case r.due <- struct{}{}:
	default:
	}
	c := <-r.claimed // some run's: each client delivers to one and ends one
	_, err := r.store.Commit(ctx, c.Lease, store.Progress{Now: at, Decided: c.Run.InboxSeq, Append: []store.Entry{
		{Kind: store.EntryCompleted, Step: shape.Wait, At: at, StartedAt: at, StartedSeq: c.Run.Park.Seq, Consumed: []string{"webhook"}},
		outcome(shape.Process, json.RawMessage("1"))},
		End: &store.Ending{Status: store.Completed}})
	return err
}

// Check wants n completed runs and no others.
func (r *rows) Check(ctx context.Context, n int) error {
	counts, err := r.store.Counts(ctx)
	if err == nil && (len(counts) != 1 || counts[0].Status != store.Completed || counts[0].Runs != int64(n)) {
		err = fmt.Errorf("%v, instead of %d completed runs", counts, n)
	}
	return err
}

// Close closes the store.
func (r *rows) Close() error {
	r.cancel()
	return r.store.Close()
}
