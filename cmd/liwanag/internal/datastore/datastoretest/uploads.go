package datastoretest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var uploadTests = map[string]func(*testing.T, *datastore.Store){
	"row errors are forgotten over a few calls": func(t *testing.T, s *datastore.Store) {
		up, other := liwanag.Upload{ID: newID(liwanag.UploadKind), Status: liwanag.UploadPreviewed, CreatedAt: noon},
			liwanag.Upload{ID: newID(liwanag.UploadKind), Status: liwanag.UploadPreviewed, CreatedAt: noon}
		write(t, s, func(tx *datastore.Tx) error {
			for _, u := range []liwanag.Upload{up, other} {
				if err := tx.Uploads.Insert(u); err != nil {
					return err
				}
				if err := tx.Uploads.AddErrors(u.ID,
					[]liwanag.UploadRowError{{Row: 1, Reason: "a"}, {Row: 2, Reason: "b"}, {Row: 3, Reason: "c"}}); err != nil {
					return err
				}
			}
			return nil
		})
		want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Uploads.DropErrors(up.ID, 2) })
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Uploads.DropErrors(up.ID, 2) })
		equal(t, len(get[[]liwanag.UploadRowError](t)(s.Uploads.Errors(t.Context(), up.ID, 0, 10))), 0)
		equal(t, len(get[[]liwanag.UploadRowError](t)(s.Uploads.Errors(t.Context(), other.ID, 0, 10))), 3)
	},

	"an upload keeps every field": func(t *testing.T, s *datastore.Store) {
		u := fullUpload()
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
		equal(t, get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), u.ID)), u)
		want(t, s, u, func(tx *datastore.Tx) (liwanag.Upload, error) { return tx.Uploads.Get(u.ID) })
		_, err := s.Uploads.Get(t.Context(), newID(liwanag.UploadKind))
		notFound(t, err)
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Uploads.Preview(fullUpload()) })
	},

	"an upload is forgotten, and no other": func(t *testing.T, s *datastore.Store) {
		u, other := fullUpload(), fullUpload()
		write(t, s, func(tx *datastore.Tx) error { return errors.Join(tx.Uploads.Insert(u), tx.Uploads.Insert(other)) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Delete(u.ID) })
		_, err := s.Uploads.Get(t.Context(), u.ID)
		notFound(t, err)
		equal(t, get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), other.ID)), other)
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Uploads.Delete(u.ID) })
	},

	"a preview writes what the reading found and no more": func(t *testing.T, s *datastore.Store) {
		u := fullUpload()
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
		u.Columns, u.Mapping, u.Size = []string{"e-mail", `"q"`}, json.RawMessage(`{"e-mail":"email"}`), 99
		u.Counts = liwanag.UploadCounts{Rows: 15, New: 5, Known: 4, Duplicate: 3, Corporate: 2, Unsubscribed: 7, Invalid: 1}
		u.Encoding, u.IgnoreStanding = "UTF-16", false
		u.Notes = liwanag.UploadNotes{Unread: []liwanag.ColumnNote{{Column: "at", Rows: 9, First: 1}}}
		other := u
		other.FileName, other.Status, other.Position = "other.csv", liwanag.UploadDone, 77
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Preview(other) })
		equal(t, get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), u.ID)), u)
	},

	"a move is a compare-and-set": func(t *testing.T, s *datastore.Store) {
		u := liwanag.Upload{ID: newID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadPreviewed, CreatedAt: noon}
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
		moveUpload := func(expected bool, m liwanag.UploadMove) {
			t.Helper()
			m.ID = u.ID
			want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Uploads.Move(m) })
		}
		equal(t, get[[]liwanag.Upload](t)(s.Uploads.Active(t.Context())), nil)
		moveUpload(true, liwanag.UploadMove{From: []liwanag.UploadStatus{liwanag.UploadPreviewed}, To: liwanag.UploadImporting, At: noon})
		moveUpload(false, liwanag.UploadMove{From: []liwanag.UploadStatus{liwanag.UploadPreviewed}, To: liwanag.UploadImporting, At: noon})
		u.Status = liwanag.UploadImporting
		equal(t, get[map[liwanag.UploadStatus]int64](t)(s.Uploads.Count(t.Context())), map[liwanag.UploadStatus]int64{u.Status: 1})
		equal(t, get[[]liwanag.Upload](t)(s.Uploads.Active(t.Context())), []liwanag.Upload{u})
		u.Status, u.Failure, u.EndedAt = liwanag.UploadFailed, liwanag.JobFailure{Code: "c", Message: "m"}, noon
		moveUpload(true, liwanag.UploadMove{From: []liwanag.UploadStatus{liwanag.UploadImporting, liwanag.UploadEnriching},
			To: u.Status, Failure: u.Failure, At: noon})
		equal(t, get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), u.ID)), u)
		equal(t, get[[]liwanag.Upload](t)(s.Uploads.Active(t.Context())), nil)
	},

	"an import advances once past each position": func(t *testing.T, s *datastore.Store) {
		u := liwanag.Upload{ID: newID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadImporting, CreatedAt: noon,
			Owner: "a", OwnedUntil: noon}
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
		advanced := make([]bool, 50)
		together(t, s, len(advanced), nil, func(i int, tx *datastore.Tx) (err error) {
			advanced[i], err = tx.Uploads.Advance(liwanag.UploadAdvance{ID: u.ID, Owner: "a", OwnedUntil: noon.Add(time.Hour), To: 100,
				Counts: liwanag.UploadCounts{Rows: 100, New: int64(i)}})
			return err
		})
		got := get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), u.ID))
		equal(t, got.Position, 100)
		equal(t, got.OwnedUntil, noon.Add(time.Hour))
		for i, a := range advanced {
			equal(t, a, int64(i) == got.Counts.New)
		}
	},

	"an upload has one owner, until its time is over or it gives it up": func(t *testing.T, s *datastore.Store) {
		u := liwanag.Upload{ID: newID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadImporting, CreatedAt: noon}
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
		claim := func(expected bool, owner string, now, until time.Time) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (bool, error) {
				return tx.Uploads.Claim(liwanag.UploadClaim{ID: u.ID, Owner: owner, Now: now, Until: until})
			})
		}
		advance := func(expected bool, owner string, from int64) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (bool, error) {
				return tx.Uploads.Advance(liwanag.UploadAdvance{ID: u.ID, Owner: owner, OwnedUntil: noon.Add(2 * time.Minute),
					From: from, To: from + 10})
			})
		}
		advance(false, "a", 0) // nobody has claimed it
		claim(true, "a", noon, noon.Add(time.Minute))
		claim(false, "b", noon.Add(time.Minute-time.Microsecond), noon.Add(time.Hour))
		claim(true, "a", noon, noon.Add(time.Minute))
		advance(false, "b", 0)
		advance(true, "a", 0)
		claim(false, "b", noon.Add(time.Minute), noon.Add(time.Hour)) // the advance has renewed the claim
		claim(true, "b", noon.Add(2*time.Minute), noon.Add(time.Hour))
		advance(false, "a", 10) // it was paused, and comes back
		claim(false, "a", noon.Add(2*time.Minute), noon.Add(time.Hour))
		claim(true, "b", noon.Add(2*time.Minute), noon.Add(2*time.Minute)) // stops, and gives it up
		claim(true, "a", noon.Add(2*time.Minute), noon.Add(time.Hour))
		u.Position, u.Owner, u.OwnedUntil = 10, "a", noon.Add(time.Hour)
		equal(t, get[liwanag.Upload](t)(s.Uploads.Get(t.Context(), u.ID)), u)
		want(t, s, false, func(tx *datastore.Tx) (bool, error) {
			return tx.Uploads.Claim(liwanag.UploadClaim{ID: newID(liwanag.UploadKind), Owner: "a", Now: noon, Until: noon})
		})
	},

	"the file is kept in pieces and forgotten a few at a time": func(t *testing.T, s *datastore.Store) {
		id, other := newID(liwanag.UploadKind), newID(liwanag.UploadKind)
		write(t, s, func(tx *datastore.Tx) error {
			for n := range 5 {
				if err := tx.Uploads.PutChunk(id, n, fmt.Append(nil, "piece ", n)); err != nil {
					return err
				}
			}
			return tx.Uploads.PutChunk(other, 0, []byte("other"))
		})
		equal(t, string(get[[]byte](t)(s.Uploads.Chunk(t.Context(), id, 4))), "piece 4")
		_, err := s.Uploads.Chunk(t.Context(), id, 5)
		notFound(t, err)
		for _, left := range []bool{true, true, false, false} {
			want(t, s, left, func(tx *datastore.Tx) (bool, error) { return tx.Uploads.DropChunks(id, 2) })
		}
		_, err = s.Uploads.Chunk(t.Context(), id, 4)
		notFound(t, err)
		equal(t, string(get[[]byte](t)(s.Uploads.Chunk(t.Context(), other, 0))), "other")
	},

	"exactly the last pieces leave none": func(t *testing.T, s *datastore.Store) {
		id := newID(liwanag.UploadKind)
		write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.PutChunk(id, 0, []byte("x")) })
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Uploads.DropChunks(id, 1) })
	},

	"row errors come in order, the first of a row stays": func(t *testing.T, s *datastore.Store) {
		id := newID(liwanag.UploadKind)
		a := liwanag.UploadRowError{Row: 1, Line: 2, Field: "email", Code: "invalid_email", Reason: "no @"}
		b := liwanag.UploadRowError{Row: 7, Line: 9, Code: "broken_quotes", Reason: "quotes", Cells: []string{"a", "", "\x00ü"}}
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Uploads.AddErrors(id, []liwanag.UploadRowError{b, a, {Row: 7, Line: 9, Reason: "again"}})
		})
		equal(t, get[[]liwanag.UploadRowError](t)(s.Uploads.Errors(t.Context(), id, 0, 10)), []liwanag.UploadRowError{a, b})
		equal(t, get[[]liwanag.UploadRowError](t)(s.Uploads.Errors(t.Context(), id, 1, 10)), []liwanag.UploadRowError{b})
		equal(t, get[[]liwanag.UploadRowError](t)(s.Uploads.Errors(t.Context(), id, 0, 1)), []liwanag.UploadRowError{a})
	},

	"progress is counted from the jobs": func(t *testing.T, s *datastore.Store) {
		id := newID(liwanag.UploadKind)
		for i, status := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld,
			liwanag.JobEnriched, liwanag.JobEnriched,
			liwanag.JobNotFound, liwanag.JobFailed, liwanag.JobCanceled} {
			j := pendingJob(person(t, s, fmt.Sprintf("p%d@gmail.com", i)))
			j.UploadID, j.Status = id, status
			if !status.Open() {
				j.EndedAt = noon
			}
			insertJobs(t, s, j)
		}
		job(t, s, "another@gmail.com")
		equal(t, get[liwanag.UploadProgress](t)(s.Uploads.Progress(t.Context(), id)),
			liwanag.UploadProgress{Imported: 8, Enriched: 2, NotFound: 1, Failed: 2, Open: 3})
		waits := pendingJob(person(t, s, "waits@gmail.com"))
		waits.UploadID, waits.Status, waits.Failure.Code, waits.EndedAt = id, liwanag.JobCanceled, liwanag.CodeSameMailbox, noon
		insertJobs(t, s, waits)
		equal(t, get[liwanag.UploadProgress](t)(s.Uploads.Progress(t.Context(), id)),
			liwanag.UploadProgress{Imported: 9, Enriched: 2, NotFound: 1, Failed: 2, Open: 4})
	},
}

func fullUpload() liwanag.Upload {
	return liwanag.Upload{ID: newID(liwanag.UploadKind), FileName: "a.csv", Source: "fair",
		Status: liwanag.UploadCanceled, Columns: []string{"email", "ü"},
		Mapping:  json.RawMessage(`{"email":"email"}`),
		Counts:   liwanag.UploadCounts{Rows: 1, New: 2, Known: 3, Duplicate: 4, Corporate: 5, Unsubscribed: 9, Invalid: 6},
		Encoding: "Shift_JIS",
		Notes: liwanag.UploadNotes{Changes: liwanag.UploadChanges{People: 3, Stated: 1, Tags: 2},
			Standing: []liwanag.ColumnNote{{Column: "status", Rows: 2, First: 5}},
			Typos:    []liwanag.TypoNote{{Domain: "a.b", Meant: "c.d", Rows: 1}}},
		IgnoreStanding: true,
		Size:           7, Position: 8, Owner: "node-1", OwnedUntil: noon.Add(time.Minute), Failure: liwanag.JobFailure{Code: "c", Message: "m"},
		CreatedAt: noon, EndedAt: noon.Add(time.Second)}
}
