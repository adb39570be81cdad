package sqlite_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// importGroup is how many rows a write of the import benchmark takes: as many
// as keep the writer below 10 ms.
const importGroup = 200

// BenchmarkImport stores new people with their jobs in full batches, as an
// upload does, and reports rows a second and the longest hold of the writer.
func BenchmarkImport(b *testing.B) {
	for _, rows := range []int{100_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				db, store := open(b, sqlitedb.Config{})
				b.StartTimer()
				began := time.Now()
				importRows(b, store, rows)
				b.ReportMetric(float64(rows)/time.Since(began).Seconds(), "rows/s")
				stats := db.Stats()
				b.ReportMetric(stats.LongestHold.Seconds()*1000, "longest-hold-ms")
				b.ReportMetric(stats.Hold.Sum*1000/float64(stats.Groups), "mean-hold-ms")
			}
		})
	}
}

// BenchmarkReimport stores the same people again: every row is an update.
func BenchmarkReimport(b *testing.B) {
	const rows = 20_000
	_, store := open(b, sqlitedb.Config{})
	importRows(b, store, rows)
	for b.Loop() {
		began := time.Now()
		importRows(b, store, rows)
		b.ReportMetric(rows/time.Since(began).Seconds(), "rows/s")
	}
}

// BenchmarkSignUps is one sign-up a write from many callers at once.
func BenchmarkSignUps(b *testing.B) {
	_, store := open(b, sqlitedb.Config{})
	var n int
	var mu sync.Mutex
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			i := n
			mu.Unlock()
			if err := importChunk(b, store, liwanag.ID{}, i, i+1); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func importRows(b *testing.B, store *datastore.Store, rows int) {
	upload := liwanag.NewID(liwanag.UploadKind)
	for from := 0; from < rows; from += importGroup {
		if err := importChunk(b, store, upload, from, min(from+importGroup, rows)); err != nil {
			b.Fatal(err)
		}
	}
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

// BenchmarkList reads pages of a listing over 100,000 people. A filter without
// an index of its own walks in the order of the listing until its page is full:
// "nobody" is the worst case, which walks to the end.
func BenchmarkList(b *testing.B) {
	const rows = 100_000
	_, store := open(b, sqlitedb.Config{Synchronous: sqlitedb.Normal})
	importRows(b, store, rows)
	for name, f := range map[string]liwanag.SubscriberFilter{
		"all":            {},
		"status":         {Status: liwanag.JobPending},
		"status, nobody": {Status: liwanag.JobHeld},
		"no job, nobody": {Status: liwanag.NoJob},
		"source, nobody": {Source: "elsewhere"},
		"query":          {Query: "person-7"},
		"query, nobody":  {Query: "nobody-of-this-name"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := store.Subscribers.List(b.Context(), f, liwanag.Page{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			counts, err := store.Subscribers.Count(b.Context())
			if err != nil || counts[liwanag.JobPending] != rows {
				b.Fatal(counts, err)
			}
		}
	})
	b.Run("open runs", func(b *testing.B) {
		for b.Loop() {
			runs, err := store.Jobs.OpenRuns(b.Context(), time.Now(), liwanag.ID{}, 100)
			if err != nil || len(runs) != 100 {
				b.Fatal(len(runs), err)
			}
		}
	})
}

// BenchmarkActivity counts what happened in 30 days, day by day, among 100,000
// people whose lookups ended in them.
func BenchmarkActivity(b *testing.B) {
	const rows, days = 100_000, 30
	_, store := open(b, sqlitedb.Config{Synchronous: sqlitedb.Normal})
	importRows(b, store, rows)
	now := time.Now()
	for ended := 0; ended < rows; {
		runs, err := store.Jobs.OpenRuns(b.Context(), now.Add(time.Hour), liwanag.ID{}, 100)
		if err != nil {
			b.Fatal(err)
		}
		for _, run := range runs {
			jobs, err := store.Jobs.OfRun(b.Context(), run)
			if err != nil {
				b.Fatal(err)
			}
			results := make([]liwanag.JobResult, len(jobs))
			for i, j := range jobs {
				results[i] = liwanag.JobResult{ID: j.ID, Status: liwanag.JobEnriched, At: now.AddDate(0, 0, -ended%days)}
				ended++
			}
			if err := store.Write(b.Context(), func(tx *datastore.Tx) error { return tx.Jobs.Settle(results) }); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		all, err := store.Activity(b.Context(), now.AddDate(0, 0, 1-days), now.Add(time.Hour), 24*time.Hour)
		if err != nil || len(all) < days || all[len(all)-1].SignUps != rows {
			b.Fatal(len(all), err)
		}
	}
}
