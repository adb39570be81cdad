package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

// River has jobs, no workflows and no events: a run is three jobs, each inserted
// by the one before. The client inserts the last one, with the event's payload, as
// soon as the second has reached its work, as a webhook's handler would.
type riverRunner struct {
	pool      *pgxpool.Pool
	client    *river.Client[pgx.Tx]
	alone     bool // every job is completed in a transaction of its own, not by the batch completer
	submitted shape.Moments
	ended     shape.Moments
}

type firstArgs struct{ RunID string }
type submitArgs struct {
	RunID string
	Batch shape.Batch
}
type processArgs struct {
	RunID   string
	Arrival shape.Arrival
}

func (firstArgs) Kind() string   { return shape.First }
func (submitArgs) Kind() string  { return shape.Submit }
func (processArgs) Kind() string { return shape.Process }

func openRiver(ctx context.Context, url string, alone bool) (Runner, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 32
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	r := &riverRunner{pool: pool, alone: alone}
	if err := r.start(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("river: %w", err)
	}
	return r, nil
}

func (r *riverRunner) start(ctx context.Context) error {
	driver := riverpgxv5.New(r.pool)
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(r.first))
	river.AddWorker(workers, river.WorkFunc(r.submit))
	river.AddWorker(workers, river.WorkFunc(r.process))
	// The least cooldown that River takes: its default of 100 ms would halve what it
	// reaches here.
	r.client, err = river.NewClient(driver, &river.Config{Logger: quiet, Workers: workers, FetchCooldown: time.Millisecond,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1024}}})
	if err != nil {
		return err
	}
	completed, _ := r.client.SubscribeConfig(&river.SubscribeConfig{ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	go func() {
		for e := range completed {
			if e.Job.Kind == shape.Process {
				var args processArgs
				if json.Unmarshal(e.Job.EncodedArgs, &args) == nil {
					r.ended.Come(args.RunID)
				}
			}
		}
	}()
	return r.client.Start(ctx)
}

func (r *riverRunner) first(ctx context.Context, job *river.Job[firstArgs]) error {
	if err := river.RecordOutput(ctx, shape.Jobs); err != nil {
		return err
	}
	next := submitArgs{job.Args.RunID, shape.Jobs}
	if r.alone {
		return completeWith(ctx, r, job, func(tx pgx.Tx) error {
			_, err := r.client.InsertTx(ctx, tx, next, nil)
			return err
		})
	}
	_, err := r.client.Insert(ctx, next, nil)
	return err
}

func (r *riverRunner) submit(ctx context.Context, job *river.Job[submitArgs]) error {
	if err := river.RecordOutput(ctx, shape.Submitted); err != nil {
		return err
	}
	r.submitted.Come(job.Args.RunID)
	if r.alone {
		return completeWith(ctx, r, job, func(pgx.Tx) error { return nil })
	}
	return nil
}

func (r *riverRunner) process(ctx context.Context, job *river.Job[processArgs]) error {
	if err := river.RecordOutput(ctx, process(job.Args.Arrival)); err != nil {
		return err
	}
	if r.alone {
		return completeWith(ctx, r, job, func(pgx.Tx) error { return nil })
	}
	return nil
}

// completeWith completes the job in one transaction with what it does.
func completeWith[A river.JobArgs](ctx context.Context, r *riverRunner, job *river.Job[A], do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}

func (r *riverRunner) One(ctx context.Context) error {
	id := shape.NewRunID()
	submitted, ended := r.submitted.Of(id), r.ended.Of(id)
	if _, err := r.client.Insert(ctx, firstArgs{id}, nil); err != nil {
		return err
	}
	if err := shape.Await(ctx, submitted); err != nil {
		return err
	}
	if _, err := r.client.Insert(ctx, processArgs{id, shape.Results}, nil); err != nil {
		return err
	}
	return shape.Await(ctx, ended)
}

func (r *riverRunner) Check(ctx context.Context, n int) error {
	var completed, other int
	err := r.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state = 'completed' AND attempt = 1 AND metadata ? 'output'),
		count(*) FILTER (WHERE state <> 'completed' OR attempt <> 1) FROM river_job`).Scan(&completed, &other)
	return errors.Join(err, expect("River's completed jobs", completed, 3*n), expect("River's other jobs", other, 0))
}

func (r *riverRunner) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := r.client.StopAndCancel(ctx)
	r.pool.Close()
	return err
}
