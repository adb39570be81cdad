package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/workflow"
)

// latency is W2: one run at a time.
func latency(ctx context.Context, s settings) error {
	n := s.n
	if n == 0 {
		n = 1000
	}
	r, err := newRig(ctx, s, "latency.db")
	if err != nil {
		return err
	}
	defer r.stop()
	var event []time.Duration
	for range n {
		took, err := r.parkThenSend(ctx)
		if err != nil {
			return err
		}
		event = append(event, took)
	}
	fmt.Printf("event to durable completion, %d runs one at a time: p50 %s  p99 %s\n", n, quantile(event, 0.5), quantile(event, 0.99))
	three, err := threeSteps(ctx, s, n)
	if err != nil {
		return err
	}
	fmt.Printf("three steps, start to durable completion:          p50 %s  p99 %s\n", quantile(three, 0.5), quantile(three, 0.99))
	return nil
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.Sort(all)
	return all[int(float64(len(all)-1)*q)].Round(10 * time.Microsecond)
}

// parkThenSend starts a run, lets it park, and times its event.
func (r *rig) parkThenSend(ctx context.Context) (time.Duration, error) {
	id := newRunID()
	ended := make(chan struct{})
	r.ended.Store(id, ended)
	if err := r.wf.Start(ctx, r.engine, id, struct{}{}); err != nil {
		return 0, err
	}
	for {
		run, err := r.engine.Describe(ctx, id)
		if err != nil {
			return 0, err
		}
		if run.Status == workflow.StatusWaiting {
			break
		}
		time.Sleep(200 * time.Microsecond)
	}
	begun := time.Now()
	if _, err := completed.Send(ctx, r.engine, id, "webhook", payload); err != nil {
		return 0, err
	}
	<-ended
	return time.Since(begun), nil
}

type endings struct{ ended chan struct{} }

func (e endings) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {
	e.ended <- struct{}{}
}

func threeSteps(ctx context.Context, s settings, n int) ([]time.Duration, error) {
	st, closeStore, err := openStore(ctx, s, "three.db")
	if err != nil {
		return nil, err
	}
	defer closeStore()
	wf := workflow.New[struct{}]("three")
	for _, name := range []string{"one", "two", "three"} {
		workflow.Step(wf, name, func(context.Context, struct{}) (int, error) { return 1, nil })
	}
	e := endings{make(chan struct{}, 1)}
	eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Observers: []workflow.Observer{e}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	defer func() { cancel(); <-done }()
	time.Sleep(50 * time.Millisecond) // let it register
	var all []time.Duration
	for range n {
		begun := time.Now()
		if err := wf.Start(ctx, eng, newRunID(), struct{}{}); err != nil {
			return nil, err
		}
		<-e.ended
		all = append(all, time.Since(begun))
	}
	return all, nil
}
