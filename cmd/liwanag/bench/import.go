package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/engine"
	enginepostgres "github.com/liwanag/liwanag/engine/store/postgres"
	enginesqlite "github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// importCSV takes a CSV of personal addresses in, as the product does: the file
// is stored and counted, then imported to subscribers, jobs, batches and runs.
func importCSV(ctx context.Context, s settings) (err error) {
	n := cmp.Or(s.n, 100_000)
	p, err := s.place(ctx, "import")
	if err != nil {
		return err
	}
	t, err := p.openTables(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	uploads, stop, err := product(ctx, t)
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
	printHolds := t.holds()
	begun, cpu, server := time.Now(), cpuTime(), s.cluster.cpu()
	if _, err := uploads.Confirm(ctx, up.ID, nil); err != nil {
		return err
	}
	var imported liwanag.Upload
	for imported.Status = liwanag.UploadImporting; imported.Status == liwanag.UploadImporting; time.Sleep(10 * time.Millisecond) {
		if imported, err = t.app.Uploads.Get(ctx, up.ID); err != nil {
			return err
		}
	}
	took, cpu, server := time.Since(begun), cpuTime()-cpu, s.cluster.cpu()-server
	fmt.Printf("preview: %d rows in %s, %.0f rows/s\n", n, previewed.Round(time.Millisecond), float64(n)/previewed.Seconds())
	fmt.Printf("import:  %d rows in %s, %.0f rows/s, %.0f CPU µs a row and %.0f in the server\n", n,
		took.Round(time.Millisecond), float64(n)/took.Seconds(),
		float64(cpu.Microseconds())/float64(n), float64(server.Microseconds())/float64(n))
	printHolds()
	if imported.Status != liwanag.UploadEnriching || imported.Counts.New != int64(n) {
		return fmt.Errorf("the upload is %s, and of %d rows %d became subscribers", imported.Status, n, imported.Counts.New)
	}
	return nil
}

// tables are the application's store and the engine's, in one database.
type tables struct {
	app    *datastore.Store
	runs   closingStore
	sqlite *sqlitedb.DB // on SQLite
	close  func() error
}

func (p place) openTables(ctx context.Context) (t tables, err error) {
	switch p.store {
	case onSQLite:
		if t.sqlite, err = sqlitedb.Open(ctx, sqlitedb.Config{Path: p.at}); err != nil {
			return t, err
		}
		app, err1 := sqlite.New(ctx, t.sqlite)
		runs, err2 := enginesqlite.Open(opened.With(ctx, t.sqlite), p.at)
		t.app, t.runs, t.close = app, runs, t.sqlite.Close
		return t, errors.Join(err1, err2)
	case onPostgres:
		db, err := pgdb.Open(ctx, pgdb.Config{URL: p.at})
		if err != nil {
			return t, err
		}
		app, err1 := postgres.New(ctx, db)
		runs, err2 := enginepostgres.Open(opened.With(ctx, db), p.at)
		t.app, t.runs, t.close = app, runs, func() error { defer db.Close(); return runs.Close() }
		return t, errors.Join(err1, err2)
	}
	return t, fmt.Errorf("-store %s: the application's tables stand in sqlite or postgres", p.store)
}

// holds prints, on SQLite, how long the groups since now have held the one writer.
func (t tables) holds() (print func()) {
	if t.sqlite == nil {
		return func() {}
	}
	before := t.sqlite.Stats()
	return func() {
		after := t.sqlite.Stats()
		fmt.Printf("groups of the writer by how long they held it (sync included):\n")
		low := 0.0
		for i, bound := range append(after.Hold.Bounds, 0) {
			if count := after.Hold.Counts[i] - before.Hold.Counts[i]; count > 0 {
				fmt.Printf("  from %5.1f ms: %d\n", low*1000, count)
			}
			low = bound
		}
	}
}

// product wires what an import needs: no FullEnrich, so the runs wait for a key.
func product(ctx context.Context, t tables) (*intake.Uploads, func(), error) {
	quiet := slog.New(slog.DiscardHandler)
	cfg := enrichment.Config{Log: quiet}
	work, err := enrichment.NewEnricher(t.app, nil, cfg)
	if err != nil {
		return nil, nil, err
	}
	wf := enrichment.New(work, cfg)
	eng, err := engine.New(engine.Config{Store: t.runs, Definitions: []workflow.Definition{wf}})
	if err != nil {
		return nil, nil, err
	}
	uploads, err := intake.NewUploads(t.app, enrichment.NewService(work, wf, eng), intake.Config{Logger: quiet})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- eng.Run(ctx) }()
	go func() { done <- uploads.Run(ctx) }()
	return uploads, func() {
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
