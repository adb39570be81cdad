package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

// latency is W2: one run at a time.
func latency(ctx context.Context, s settings) error {
	n := cmp.Or(s.n, 1000)
	event, err := s.eventToEnd(ctx, n)
	if err != nil {
		return err
	}
	fmt.Printf("event to durable completion, %d runs one at a time: p50 %s  p99 %s\n", n, quantile(event, 0.5), quantile(event, 0.99))
	three, err := s.startToEnd(ctx, n)
	if err != nil {
		return err
	}
	fmt.Printf("three steps, start to durable completion:          p50 %s  p99 %s\n", quantile(three, 0.5), quantile(three, 0.99))
	return nil
}

// warmUp is how many runs precede those whose latency counts.
const warmUp = 50

// eventToEnd times runs of W1 from the event, which is sent when the run is
// parked, to their end.
func (s settings) eventToEnd(ctx context.Context, n int) (all []time.Duration, err error) {
	p, err := s.place(ctx, "latency")
	if err != nil {
		return nil, err
	}
	r, err := s.newRig(ctx, p, s.nodes, (*rig).definition)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for range n + warmUp {
		id := shape.NewRunID()
		parked := r.parked.Of(id)
		if err := r.wf.Start(ctx, r.next(), id, struct{}{}); err != nil {
			return nil, err
		}
		if err := shape.Await(ctx, parked); err != nil {
			return nil, err
		}
		took, err := r.resume(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return all[warmUp:], r.Check(ctx, n+warmUp)
}

// resume sends a parked run its event and waits for its end.
func (r *rig) resume(ctx context.Context, id string) (time.Duration, error) {
	over := r.over.Of(id)
	begun := time.Now()
	if _, err := completed.Send(ctx, r.next(), id, "webhook", shape.Results); err != nil {
		return 0, err
	}
	err := shape.Await(ctx, over)
	return time.Since(begun), err
}

// startToEnd times a workflow of three steps without a wait.
func (s settings) startToEnd(ctx context.Context, n int) (all []time.Duration, err error) {
	p, err := s.place(ctx, "three")
	if err != nil {
		return nil, err
	}
	r, err := s.newRig(ctx, p, s.nodes, (*rig).threeSteps)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for range n + warmUp {
		id := shape.NewRunID()
		over := r.over.Of(id)
		begun := time.Now()
		if err := r.wf.Start(ctx, r.next(), id, struct{}{}); err != nil {
			return nil, err
		}
		if err := shape.Await(ctx, over); err != nil {
			return nil, err
		}
		all = append(all, time.Since(begun))
	}
	return all[warmUp:], r.Check(ctx, n+warmUp)
}
