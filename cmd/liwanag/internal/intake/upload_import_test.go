package intake

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// batchSizes are the sizes of all batches whose runs were started.
func batchSizes(t testing.TB, store *datastore.Store, e *enroller) (sizes []int) {
	t.Helper()
	for _, run := range e.started {
		jobs, err := store.Jobs.OfRun(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := store.Batches.Get(t.Context(), run)
		if err != nil || batch.Size != len(jobs) || (batch.State == liwanag.BatchClosed) != (batch.Size == 100) {
			t.Errorf("%d jobs in %+v, %v", len(jobs), batch, err)
		}
		sizes = append(sizes, len(jobs))
	}
	return sizes
}

func TestTenThousandPeopleMakeAHundredFullBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	store, _ := openStore(t)
	e := &enroller{}
	u := newUploads(t, store, e, Config{})
	preview := create(t, u, people(10_000))
	if want := (liwanag.UploadCounts{Rows: 10_000, New: 10_000}); preview.Status != liwanag.UploadPreviewed || preview.Counts != want ||
		preview.EstimatedCredits != 10_000 || preview.FileName != "people.csv" || len(e.started) != 0 {
		t.Fatalf("%+v", preview)
	}
	view := importAll(t, u, preview.ID)
	if view.Status != liwanag.UploadEnriching || view.Position != 10_000 || view.Progress.Imported != 10_000 || view.Progress.Open != 10_000 {
		t.Fatalf("%+v", view)
	}
	sizes := batchSizes(t, store, e)
	if len(sizes) != 100 {
		t.Errorf("%d batches", len(sizes))
	}
	for _, size := range sizes {
		if size != 100 {
			t.Errorf("a batch of %d", size)
		}
	}
	person, err := store.Subscribers.ByEmail(t.Context(), "p9999@gmail.com")
	if err != nil || person.Source != "import" || person.Summary.FirstName != "Ann" || string(person.Metadata) != `{"city":"Paris"}` {
		t.Errorf("%+v, %v", person, err)
	}
	if _, err := store.Uploads.Chunk(t.Context(), preview.ID, 0); !errors.Is(err, liwanag.ErrNotFound) {
		t.Errorf("the file was kept: %v", err)
	}
}

func TestCountsFollowWhatHappenedSinceThePreview(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	u := newUploads(t, store, e, Config{})
	preview := create(t, u, people(3))
	add(t, newSignUps(t, store, e, Config{}), SignUp{Email: "p1@gmail.com"})
	view := importAll(t, u, preview.ID)
	if d := cmp.Diff(liwanag.UploadCounts{Rows: 3, New: 2, Known: 1}, view.Counts); d != "" || preview.Counts.New != 3 {
		t.Error(d, preview.Counts)
	}
	// The setting changes after the preview: what was counted out is enriched.
	preview = create(t, u, "email\na@acme.example\nb@acme.example\n")
	view = importAll(t, newUploads(t, store, e, Config{Enrich: EnrichAll}), preview.ID)
	if d := cmp.Diff(liwanag.UploadCounts{Rows: 2, New: 2}, view.Counts); d != "" || preview.Counts.Corporate != 2 {
		t.Error(d, preview.Counts)
	}
}

// An import that is cut off at any transaction goes on where it was: every
// person once, one job each, and no batch but the last without its hundred.
func TestAnImportGoesOnWhereItWas(t *testing.T) {
	file := people(400) + "p1@gmail.com\nnope\nboss@acme.example\n"
	for cut := range 10 {
		store, _ := openStore(t)
		e := &enroller{}
		preview := create(t, newUploads(t, store, e, Config{}), file)
		faulty := newFaulty(store, int64(1+cut))
		first := newUploads(t, faulty.Store, e, Config{})
		if _, err := first.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		_, err := first.advance(t.Context())
		if cut < 3 && !errors.Is(err, liwanag.ErrDatabase) {
			t.Fatalf("cut %d: %v", cut, err)
		}
		view := carryOn(t, newUploads(t, store, e, Config{}), preview.ID)
		want := liwanag.UploadCounts{Rows: 403, New: 400, Duplicate: 1, Corporate: 1, Invalid: 1}
		if d := cmp.Diff(want, view.Counts); d != "" || view.Progress.Imported != 400 || view.Status != liwanag.UploadEnriching {
			t.Errorf("cut %d: %s %+v", cut, d, view)
		}
		jobs := 0
		for _, n := range batchSizes(t, store, e) {
			jobs += n
		}
		if len(e.started) != 4 || jobs != 400 {
			t.Errorf("cut %d: %d jobs in %d runs", cut, jobs, len(e.started))
		}
	}
}

func TestAnUploadIsOverWhenItsJobsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		e := &enroller{}
		u := newUploads(t, store, e, Config{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- u.Run(ctx) }()
		preview := create(t, u, people(150))
		if _, err := u.Confirm(t.Context(), preview.ID, nil); err != nil {
			t.Fatal(err)
		}
		announced := func() []liwanag.Message {
			all, _, err := store.Messages.List(t.Context(), liwanag.MessageFilter{}, liwanag.Page{})
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
			return tx.Sinks.Insert(liwanag.Sink{ID: liwanag.NewID(liwanag.SinkKind), CreatedAt: time.Now(), UpdatedAt: time.Now()})
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		view, err := u.Get(t.Context(), preview.ID)
		if err != nil || view.Status != liwanag.UploadEnriching || view.Progress.Open != 150 || len(announced()) != 0 {
			t.Fatalf("%+v, %v", view, err)
		}
		findNobody(t, store, e.started)
		time.Sleep(maxLook)
		synctest.Wait()
		view, err = u.Get(t.Context(), preview.ID)
		if err != nil || view.Status != liwanag.UploadDone || view.Progress.NotFound != 150 || view.EndedAt.IsZero() {
			t.Errorf("%+v, %v", view, err)
		}
		time.Sleep(time.Hour)
		if all := announced(); len(all) != 1 || all[0].Topic != liwanag.TopicUploadCompleted || all[0].Subject != preview.ID {
			t.Errorf("announced %+v", all)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// findNobody ends the jobs of runs: their people are not found.
func findNobody(t *testing.T, store *datastore.Store, runs []liwanag.ID) {
	t.Helper()
	var ids []liwanag.ID
	for _, run := range runs {
		jobs, err := store.Jobs.OfRun(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		for _, job := range jobs {
			ids = append(ids, job.ID)
		}
	}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		_, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobNotFound, At: time.Now()})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAnUploadWithoutNewPeopleIsDoneAtOnce(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	if view := importAll(t, u, create(t, u, "email\nboss@acme.example\nnope\n").ID); view.Status != liwanag.UploadDone ||
		view.EndedAt.IsZero() {
		t.Errorf("%+v", view)
	}
}

func TestAFileWithoutARowIsRefused(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	for _, file := range []string{"email\n", "email\r", "email,name\r\n\r\n,\r\n"} {
		_, err := u.Create(t.Context(), strings.NewReader(file), UploadRequest{})
		if refused := (*FileError)(nil); !errors.As(err, &refused) || refused.Code != "no_rows" {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// Two nodes may import one upload at once: whoever finds the position moved by
// the other leaves it alone.
func TestAnImportFromAStalePositionWritesNothing(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	u := newUploads(t, store, e, Config{})
	stale := create(t, u, people(1_000)).Upload
	cut := newUploads(t, newFaulty(store, 3).Store, e, Config{})
	if _, err := cut.Confirm(t.Context(), stale.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := cut.advance(t.Context()); err == nil {
		t.Fatal("the import was not interrupted")
	}
	before, err := u.Get(t.Context(), stale.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.importRows(t.Context(), stale); err != nil {
		t.Error(err)
	}
	after, err := u.Get(t.Context(), stale.ID)
	if err != nil || after.Position != before.Position || after.Status != liwanag.UploadImporting || after.Progress != before.Progress {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
}

func TestNothingIsImportedAfterACancelThatCameBetweenTwoPieces(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	preview := create(t, u, people(100))
	if _, err := u.Confirm(t.Context(), preview.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error { // Cancel before it has dropped the file
		_, err := tx.Uploads.Move(liwanag.UploadMove{ID: preview.ID, From: []liwanag.UploadStatus{liwanag.UploadImporting},
			To: liwanag.UploadCanceled, At: time.Now()})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := u.importRows(t.Context(), preview.Upload); err != nil {
		t.Error(err)
	}
	if view, err := u.Get(t.Context(), preview.ID); err != nil || view.Position != 0 || view.Progress.Imported != 0 {
		t.Errorf("%+v, %v", view, err)
	}
}

// short has lost all but the first pieces of every file.
func short(store *datastore.Store, pieces int) *datastore.Store {
	return datastoretest.Watch(store, nil, func(query string, args []any) error {
		if strings.Contains(query, "FROM upload_chunk") && args[1].(int) >= pieces {
			return liwanag.ErrNotFound
		}
		return nil
	})
}

func TestAFileThatLostItsEndIsNotTakenForImported(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	preview := create(t, newUploads(t, store, e, Config{}), people(12_000)) // a little more than one piece
	view := importAll(t, newUploads(t, short(store, 1), e, Config{}), preview.ID)
	if view.Status != liwanag.UploadFailed || view.Failure.Code != CodeUnreadable || view.Size <= chunkBytes {
		t.Errorf("%+v", view)
	}
}

func TestTheFileOfATransferThatDiedWithItsProcessIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		faulty := newFaulty(store, 3)
		if _, err := newUploads(t, faulty.Store, &enroller{}, Config{}).Create(t.Context(),
			strings.NewReader(people(50_000)), UploadRequest{}); !errors.Is(err, liwanag.ErrDatabase) {
			t.Fatal(err)
		}
		all, _, err := store.Uploads.List(t.Context(), liwanag.Page{})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		start := func() error {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			if err := newUploads(t, store, &enroller{}, Config{}).Run(ctx); err != nil {
				t.Error(err)
			}
			_, err := store.Uploads.Chunk(t.Context(), all[0].ID, 0)
			return err
		}
		if err := start(); err != nil {
			t.Errorf("the file of a transfer that may still go on: %v", err)
		}
		time.Sleep(maxTransfer)
		if err := start(); !errors.Is(err, liwanag.ErrNotFound) {
			t.Errorf("the file was kept: %v", err)
		}
	})
}

func TestPiecesAdaptToTheSpeedOfTheDatabase(t *testing.T) {
	var size pieceSize
	for _, perRow := range []time.Duration{20 * time.Microsecond, 5 * time.Microsecond, 200 * time.Microsecond, 50 * time.Millisecond} {
		for range 20 {
			size.learn(size.rows(), time.Duration(size.rows())*perRow)
		}
		held := time.Duration(size.rows()) * perRow
		if size.rows() < minPieceRows || size.rows() > maxPieceRows || held > 5*time.Millisecond && size.rows() > minPieceRows {
			t.Errorf("%s a row: %d rows", perRow, size.rows())
		}
		if held < 3*time.Millisecond && size.rows() < maxPieceRows {
			t.Errorf("%s a row: only %d rows", perRow, size.rows())
		}
	}
}

func TestAStoredFileThatIsDamagedFailsTheUpload(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	preview := create(t, u, people(20_000)) // more than one piece
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		_, err := tx.Uploads.DropChunks(preview.ID, 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if view := importAll(t, u, preview.ID); view.Status != liwanag.UploadFailed || view.Failure.Code != CodeUnreadable {
		t.Errorf("%+v", view)
	}
}

func BenchmarkUpload(b *testing.B) {
	const rows = 50_000
	file := people(rows)
	for b.Loop() {
		b.StopTimer()
		store, db := openStore(b)
		u := newUploads(b, store, &enroller{}, Config{})
		b.StartTimer()
		began := time.Now()
		preview := create(b, u, file)
		previewed := time.Now()
		importAll(b, u, preview.ID)
		b.ReportMetric(rows/previewed.Sub(began).Seconds(), "preview-rows/s")
		b.ReportMetric(rows/time.Since(previewed).Seconds(), "rows/s")
		b.ReportMetric(db.Stats().LongestHold.Seconds()*1000, "longest-hold-ms")
	}
}
