package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// openDurable is a node on a cluster that syncs what it commits.
func openDurable(b *testing.B) *datastore.Store {
	b.Helper()
	server, err := pgtest.Start("shared_buffers=512MB", "max_wal_size=4GB")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Remove)
	_, store := open(b, server.URL("postgres"))
	return store
}

// BenchmarkImport stores new people with their jobs in full batches, as an
// upload does, and reports rows a second.
func BenchmarkImport(b *testing.B) {
	const rows = 100_000
	for _, group := range []int{200, 400} {
		b.Run(fmt.Sprint(group, "-a-write"), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				store := openDurable(b)
				b.StartTimer()
				began := time.Now()
				longest := importRows(b, store, rows, group)
				b.ReportMetric(rows/time.Since(began).Seconds(), "rows/s")
				b.ReportMetric(longest.Seconds()*1000, "longest-write-ms")
			}
		})
	}
}

// BenchmarkReimport stores the same people again: every row is an update.
func BenchmarkReimport(b *testing.B) {
	const rows = 20_000
	store := openDurable(b)
	importRows(b, store, rows, 200)
	for b.Loop() {
		began := time.Now()
		importRows(b, store, rows, 200)
		b.ReportMetric(rows/time.Since(began).Seconds(), "rows/s")
	}
}

// BenchmarkSignUps is one sign-up a write from many callers at once.
func BenchmarkSignUps(b *testing.B) {
	store := openDurable(b)
	var n atomic.Int64
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			if err := importChunk(b, store, liwanag.ID{}, i, i+1); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func importRows(b *testing.B, store *datastore.Store, rows, group int) (longest time.Duration) {
	upload := liwanag.NewID(liwanag.UploadKind)
	for from := 0; from < rows; from += group {
		began := time.Now()
		if err := importChunk(b, store, upload, from, min(from+group, rows)); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(began))
	}
	return longest
}

// importChunk stores people, their jobs, and a batch for each hundred.
func importChunk(b *testing.B, store *datastore.Store, upload liwanag.ID, from, to int) error {
	now := time.Now()
	signUps := make([]liwanag.SignUp, 0, to-from)
	for i := from; i < to; i++ {
		key := fmt.Sprintf("%x.person-%d@gmail.com", uint32(i)*2654435761, i)
		signUps = append(signUps, liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: key, Email: key,
			EmailType: liwanag.Personal, Source: "csv", Stated: liwanag.Statement{FirstName: "Mara", LastName: "Ilagan"}, At: now})
	}
	return store.Write(b.Context(), func(tx *datastore.Tx) error {
		people, err := tx.Subscribers.Upsert(signUps)
		if err != nil {
			return err
		}
		var batches []liwanag.Batch
		jobs := make([]liwanag.Job, 0, len(people))
		for _, p := range people {
			if !p.Created {
				continue
			}
			if len(jobs)%100 == 0 {
				batches = append(batches, liwanag.Batch{RunID: liwanag.NewID(liwanag.RunKind), ClosesAt: now,
					State: liwanag.BatchClosed, CreatedAt: now})
			}
			batch := &batches[len(batches)-1]
			batch.Size++
			jobs = append(jobs, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: p.ID, RunID: batch.RunID, UploadID: upload,
				Status: liwanag.JobPending, CreatedAt: now})
		}
		if err := tx.Batches.Insert(batches); err != nil {
			return err
		}
		_, err = tx.Jobs.Insert(jobs)
		return err
	})
}
