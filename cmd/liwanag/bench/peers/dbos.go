package peers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

// DBOS Transact: a workflow of three steps with a Recv before the last.
type dbosRunner struct {
	dbos      dbos.Context
	submitted shape.Moments
}

func openDBOS(ctx context.Context, url string) (Runner, error) {
	c, err := dbos.NewContext(ctx, dbos.Config{AppName: "bench", DatabaseURL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("dbos: %w", err)
	}
	r := &dbosRunner{dbos: c}
	dbos.RegisterWorkflow(c, r.enrich, dbos.WithWorkflowName(shape.Workflow))
	if err := dbos.Launch(c); err != nil {
		return nil, fmt.Errorf("dbos: %w", err)
	}
	return r, nil
}

func (r *dbosRunner) enrich(c dbos.Context, id string) (int, error) {
	if _, err := dbos.RunAsStep(c, func(context.Context) (shape.Batch, error) { return shape.Jobs, nil },
		dbos.WithStepName(shape.First)); err != nil {
		return 0, err
	}
	_, err := dbos.RunAsStep(c, func(context.Context) (shape.Submission, error) {
		r.submitted.Come(id)
		return shape.Submitted, nil
	}, dbos.WithStepName(shape.Submit))
	if err != nil {
		return 0, err
	}
	arrival, err := dbos.Recv[shape.Arrival](c, shape.Event, shape.Within)
	if err != nil {
		return 0, err
	}
	return dbos.RunAsStep(c, func(context.Context) (int, error) { return process(arrival), nil }, dbos.WithStepName(shape.Process))
}

func (r *dbosRunner) One(ctx context.Context) error {
	id := shape.NewRunID()
	submitted := r.submitted.Of(id)
	run, err := dbos.RunWorkflow(r.dbos, r.enrich, id, dbos.WithWorkflowID(id))
	if err != nil {
		return err
	}
	if err := shape.Await(ctx, submitted); err != nil {
		return err
	}
	if err := dbos.Send(r.dbos, id, shape.Results, shape.Event); err != nil {
		return err
	}
	got, err := run.GetResult()
	if err != nil {
		return err
	}
	return expect("the result of DBOS run "+id, got, process(shape.Results))
}

func (r *dbosRunner) Check(_ context.Context, n int) error {
	all, err := dbos.ListWorkflows(r.dbos)
	if err != nil {
		return err
	}
	completed := 0
	for _, w := range all {
		if w.Status == dbos.WorkflowStatusSuccess && w.Attempts == 1 {
			completed++
		}
	}
	if err := expect("DBOS runs", len(all), n); err != nil {
		return err
	}
	return expect("DBOS runs completed at the first attempt", completed, n)
}

func (r *dbosRunner) Close() error {
	dbos.Shutdown(r.dbos, 10*time.Second)
	return nil
}
