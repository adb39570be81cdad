package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/liwanag/liwanag/engine"
	enginesqlite "github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// importCSV takes a CSV of personal addresses in, as the product does: the file
// is stored and counted, then imported to subscribers, jobs, batches and runs.
func importCSV(ctx context.Context, s settings) (err error) {
	n := s.n
	if n == 0 {
		n = 100_000
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: s.path("import.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	uploads, store, stop, err := product(ctx, db)
	if err != nil {
		return err
	}
	defer stop()
	begun := time.Now()
	up, err := uploads.Create(ctx, csvOf(n), intake.UploadRequest{FileName: "bench.csv"})
	if err != nil {
		return err
	}
	previewed := time.Since(begun)
	stopProfile, err := s.profile()
	if err != nil {
		return err
	}
	defer stopProfile()
	before := db.Stats()
	begun, cpu := time.Now(), cpuTime()
	if _, err := uploads.Confirm(ctx, up.ID); err != nil {
		return err
	}
	for {
		up, err := store.Uploads().Get(ctx, up.ID)
		if err != nil {
			return err
		}
		if up.Status != liwanag.UploadImporting {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	took, cpu := time.Since(begun), cpuTime()-cpu
	after := db.Stats()
	fmt.Printf("preview: %d rows in %s, %.0f rows/s\n", n, previewed.Round(time.Millisecond), float64(n)/previewed.Seconds())
	fmt.Printf("import:  %d rows in %s, %.0f rows/s, %.0f CPU µs a row\n", n, took.Round(time.Millisecond), float64(n)/took.Seconds(), float64(cpu.Microseconds())/float64(n))
	fmt.Printf("groups of the writer by how long they held it (sync included):\n")
	low := 0.0
	for i, bound := range append(after.Hold.Bounds, 0) {
		if count := after.Hold.Counts[i] - before.Hold.Counts[i]; count > 0 {
			fmt.Printf("  from %5.1f ms: %d\n", low*1000, count)
		}
		low = bound
	}
	return nil
}

// product wires what an import needs: no FullEnrich, so the runs wait for a key.
func product(ctx context.Context, db *sqlitedb.DB) (*intake.Uploads, liwanag.Store, func(), error) {
	store, err := sqlite.New(ctx, db)
	if err != nil {
		return nil, nil, nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	cfg := enrichment.Config{Log: quiet}
	work, err := enrichment.NewEnricher(store, nil, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	runs, err := enginesqlite.New(ctx, db)
	if err != nil {
		return nil, nil, nil, err
	}
	wf := enrichment.New(work, cfg)
	eng, err := engine.New(engine.Config{Store: runs, Definitions: []workflow.Definition{wf}})
	if err != nil {
		return nil, nil, nil, err
	}
	service := enrichment.NewService(work, wf, eng)
	uploads, err := intake.NewUploads(store, service, intake.Config{Logger: quiet})
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- eng.Run(ctx) }()
	go func() { done <- uploads.Run(ctx) }()
	return uploads, store, func() {
		cancel()
		<-done
		<-done
	}, nil
}

// csvOf writes n rows with random, distinct, personal addresses.
func csvOf(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		rng := rand.New(rand.NewPCG(1, 2))
		_, err := fmt.Fprintln(w, "email,first name,last name,source")
		for i := 0; err == nil && i < n; i++ {
			_, err = fmt.Fprintf(w, "%x.%d@gmail.com,Mara,Ilagan,bench\n", rng.Uint32(), i)
		}
		w.CloseWithError(err)
	}()
	return r
}
