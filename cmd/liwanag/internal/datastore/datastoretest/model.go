package datastoretest

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// jobsLikeTheModel plays random writes against a store and a model of a few
// lines: whatever is tried, a person never has two open jobs, answers tell what
// happened, and the person shows the status of the newest job.
func jobsLikeTheModel(t *testing.T, s *datastore.Store) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		m := &model{store: s}
		for i := range 3 {
			m.people = append(m.people, person(t, s, fmt.Sprintf("round-%d-%d@gmail.com", round, i)))
		}
		r.Repeat(map[string]func(*rapid.T){
			"insert": m.insert,
			"move":   m.move,
			"reopen": m.reopen,
			"settle": m.settle,
			"":       m.check,
		})
	})
}

type model struct {
	store  *datastore.Store
	people []liwanag.ID
	jobs   []liwanag.Job // in the order of insertion
}

func (m *model) write(r *rapid.T, fn func(tx *datastore.Tx) error) {
	if err := m.store.Write(r.Context(), fn); err != nil {
		r.Fatal(err)
	}
}

// open finds a person's open job.
func (m *model) open(person liwanag.ID) *liwanag.Job {
	for i := range m.jobs {
		if m.jobs[i].SubscriberID == person && m.jobs[i].Status.Open() {
			return &m.jobs[i]
		}
	}
	return nil
}

func (m *model) insert(r *rapid.T) {
	j := pendingJob(rapid.SampledFrom(m.people).Draw(r, "person"))
	j.Status = rapid.SampledFrom([]liwanag.JobStatus{liwanag.JobPending, liwanag.JobHeld, liwanag.JobEnriched,
		liwanag.JobFailed}).Draw(r, "status")
	expected := liwanag.Opened{JobID: j.ID, Inserted: true}
	if open := m.open(j.SubscriberID); open != nil && j.Status.Open() {
		expected = liwanag.Opened{JobID: open.ID}
	} else {
		m.jobs = append(m.jobs, j)
	}
	m.write(r, func(tx *datastore.Tx) error {
		got, err := tx.Jobs.Insert([]liwanag.Job{j})
		if err == nil && got[0] != expected {
			err = fmt.Errorf("got %v, want %v", got[0], expected)
		}
		return err
	})
}

// some draws a few of the jobs, each at most once.
func (m *model) some(r *rapid.T) (ids []liwanag.ID) {
	for _, j := range m.jobs {
		if rapid.Bool().Draw(r, "take") {
			ids = append(ids, j.ID)
		}
	}
	return ids
}

func (m *model) move(r *rapid.T) {
	open := []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld}
	move := liwanag.JobMove{IDs: m.some(r), From: rapid.SliceOfNDistinct(rapid.SampledFrom(open), 1, 2, rapid.ID).Draw(r, "from"),
		To: rapid.SampledFrom(append(open, liwanag.JobFailed, liwanag.JobCanceled)).Draw(r, "to"), At: noon}
	var expected []liwanag.ID
	for i, j := range m.jobs {
		if slices.Contains(move.IDs, j.ID) && slices.Contains(move.From, j.Status) {
			m.jobs[i].Status = move.To
			expected = append(expected, j.ID)
		}
	}
	m.same(r, expected, func(tx *datastore.Tx) ([]liwanag.ID, error) { return tx.Jobs.Move(move) })
}

func (m *model) reopen(r *rapid.T) {
	ids := m.some(r)
	var expected []liwanag.ID
	for i, j := range m.jobs {
		open := m.open(j.SubscriberID)
		free := open == nil || open.ID == j.ID
		if slices.Contains(ids, j.ID) && free &&
			(j.Status == liwanag.JobFailed || j.Status == liwanag.JobCanceled || j.Status == liwanag.JobHeld) {
			m.jobs[i].Status = liwanag.JobPending
			expected = append(expected, j.ID)
		}
	}
	m.same(r, expected, func(tx *datastore.Tx) ([]liwanag.ID, error) { return tx.Jobs.Reopen(ids, liwanag.JobPending) })
}

func (m *model) settle(r *rapid.T) {
	var results []liwanag.JobResult
	for i, j := range m.jobs {
		if rapid.Bool().Draw(r, "take") {
			m.jobs[i].Status = liwanag.JobNotFound
			results = append(results, liwanag.JobResult{ID: j.ID, Status: liwanag.JobNotFound, At: noon})
		}
	}
	m.write(r, func(tx *datastore.Tx) error { return tx.Jobs.Settle(results) })
}

func (m *model) same(r *rapid.T, expected []liwanag.ID, op func(tx *datastore.Tx) ([]liwanag.ID, error)) {
	m.write(r, func(tx *datastore.Tx) error {
		got, err := op(tx)
		if err == nil && !slices.Equal(sorted(got), sorted(expected)) {
			err = fmt.Errorf("changed %v, want %v", got, expected)
		}
		return err
	})
}

func (m *model) check(r *rapid.T) {
	latest := map[liwanag.ID]liwanag.JobStatus{}
	for _, j := range m.jobs {
		latest[j.SubscriberID] = j.Status
		got, err := m.store.Jobs.Get(r.Context(), j.ID)
		if err != nil || got.Status != j.Status {
			r.Fatalf("job %v: %s, %v; want %s", j.ID, got.Status, err, j.Status)
		}
	}
	for _, id := range m.people {
		got, err := m.store.Subscribers.Get(r.Context(), id)
		if err != nil || got.EnrichmentStatus != latest[id] {
			r.Fatalf("subscriber %v: %s, %v; want %s", id, got.EnrichmentStatus, err, latest[id])
		}
	}
}
