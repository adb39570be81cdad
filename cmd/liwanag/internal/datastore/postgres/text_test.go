package postgres_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// hostile is what PostgreSQL refuses in a text: NUL, and bytes that are not UTF-8.
const hostile = "Ma\x00ra \xff\xc3 \xed\xa0\x80 %_\\'\"$1"

// filled puts hostile text into every text of a value, nested ones included.
func filled[T any](v T) T {
	var fill func(f reflect.Value)
	fill = func(f reflect.Value) {
		switch {
		case !f.CanSet(): // an unexported field of an id or a time
		case f.Kind() == reflect.String:
			f.SetString(hostile)
		case f.Kind() == reflect.Struct:
			for i := range f.NumField() {
				fill(f.Field(i))
			}
		case f.Type() == reflect.TypeFor[json.RawMessage]():
			f.SetBytes([]byte(`{"a":"\u0000` + "\xff\xc3" + `"}`))
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{hostile}))
		}
	}
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func TestTextThatPostgreSQLRefusesFailsNeitherItsWriteNorItsNeighbors(t *testing.T) {
	_, store := openEmpty(t)
	errs := onStores(t, []*datastore.Store{store}, 60, nil, func(i int, tx *datastore.Tx) error {
		if i%3 != 0 {
			return upsert(signUp(fmt.Sprintf("person-%d@gmail.com", i)))(tx)
		}
		return writeHostile(tx)
	})
	if errs != 60 {
		t.Fatalf("%d of 60 writes were done", errs)
	}
	people := readable(t, store)
	if len(people) != 41 {
		t.Errorf("%d people, want 40 and the hostile one", len(people))
	}
}

// long is longer than what fits into an index, packed or not.
var long = func() string {
	var s strings.Builder
	for s.Len() < 20_000 {
		s.WriteString(rand.Text())
	}
	return s.String()
}()

// writeHostile writes every text that there is.
func writeHostile(tx *datastore.Tx) error {
	if err := writeHostileLookup(tx); err != nil {
		return err
	}
	return inOrder(
		func() error { return writeHostileDelivery(tx) },
		func() error { return writeHostileUpload(tx) },
		func() error { s := filled(liwanag.Spending{}); s.At = noon; return tx.Ledger.SetSpending(s) },
		func() error { return tx.Ledger.Prove(hostile, noon) },
		func() error { return tx.Ledger.Reached(hostile, noon, 0) },
		func() error { _, err := tx.Ledger.TakeFiring(hostile, noon); return err },
		func() error { _, _, err := tx.Webhooks.Remember(hostile, hostile, []byte(hostile), noon); return err },
		func() error {
			_, _, err := tx.Webhooks.Remember("e", rand.Text()+long, nil, noon)
			return err
		},
	)
}

// inOrder does one after the other, until one fails.
func inOrder(all ...func() error) error {
	for _, op := range all {
		if err := op(); err != nil {
			return err
		}
	}
	return nil
}

// writeHostileLookup writes a person, a job, its batch and its submission.
func writeHostileLookup(tx *datastore.Tx) error {
	up := filled(liwanag.SignUp{})
	up.ID, up.At = liwanag.NewID(liwanag.SubscriberKind), noon
	stored, err := tx.Subscribers.Upsert([]liwanag.SignUp{up, up})
	if err != nil {
		return err
	}
	results := filled(liwanag.Enriched{})
	results.SubscriberID, results.ResultAt, results.At = stored[0].ID, noon, noon
	job := filled(liwanag.Job{})
	job.ID, job.SubscriberID, job.CreatedAt = liwanag.NewID(liwanag.JobKind), stored[0].ID, noon
	batch := filled(liwanag.Batch{})
	batch.RunID, batch.ClosesAt, batch.CreatedAt = liwanag.NewID(liwanag.RunKind), noon, noon
	submission := filled(liwanag.Submission{})
	submission.ID, submission.RunID, submission.PreparedAt = liwanag.NewID(liwanag.SubmissionKind), batch.RunID, noon
	submission.EnrichmentID = ""
	return inOrder(
		func() error { _, err := tx.Subscribers.Enrich([]liwanag.Enriched{results}); return err },
		func() error { _, err := tx.Jobs.Insert([]liwanag.Job{job}); return err },
		func() error {
			m := filled(liwanag.JobMove{})
			m.IDs = []liwanag.ID{job.ID}
			_, err := tx.Jobs.Move(m)
			return err
		},
		func() error {
			r := filled(liwanag.JobResult{})
			r.ID, r.At = job.ID, noon
			return tx.Jobs.Settle([]liwanag.JobResult{r})
		},
		func() error { return tx.Batches.Insert([]liwanag.Batch{batch}) },
		func() error { return tx.Batches.Wait(batch.RunID, hostile, noon) },
		func() error { return tx.Submissions.Insert(submission, []liwanag.ID{job.ID}) },
		func() error {
			_, err := tx.Submissions.Learn(submission.ID, hostile+submission.ID.String())
			return err
		},
	)
}

func writeHostileDelivery(tx *datastore.Tx) error {
	delivery := filled(liwanag.Delivery{})
	copy(delivery.Digest[:], liwanag.NewID(liwanag.SubmissionKind).Bytes())
	delivery.ReceivedAt = noon
	return inOrder(
		func() error { _, err := tx.Deliveries.Insert(delivery); return err },
		func() error {
			m := filled(liwanag.DeliveryMove{})
			m.Digest, m.From = delivery.Digest, []liwanag.DeliveryState{hostile}
			_, err := tx.Deliveries.Move(m)
			return err
		},
	)
}

func writeHostileUpload(tx *datastore.Tx) error {
	upload := filled(liwanag.Upload{})
	upload.ID, upload.CreatedAt = liwanag.NewID(liwanag.UploadKind), noon
	return inOrder(
		func() error { return tx.Uploads.Insert(upload) },
		func() error { return tx.Uploads.Preview(upload) },
		func() error {
			e := filled(liwanag.UploadRowError{})
			return tx.Uploads.AddErrors(upload.ID, []liwanag.UploadRowError{e})
		},
	)
}

// readable reads what writeHostile wrote, by the texts it was written with.
func readable(t *testing.T, store *datastore.Store) []liwanag.Subscriber {
	t.Helper()
	ctx := t.Context()
	person, err := store.Subscribers.ByEmail(ctx, hostile)
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.ValidString(person.Summary.FullName) || !strings.HasPrefix(person.Summary.FullName, "Ma\uFFFDra ") ||
		!json.Valid(person.Metadata) {
		t.Errorf("a name came back as %q, metadata as %q", person.Summary.FullName, person.Metadata)
	}
	profile, err := store.Subscribers.Profile(ctx, person.ID)
	if want := filled(liwanag.Enriched{}).Profile; err != nil || string(profile) != string(want) {
		t.Errorf("the profile came back as %q, %v", profile, err)
	}
	if known, err := store.Subscribers.Known(ctx, []string{hostile}); err != nil || len(known) != 1 {
		t.Errorf("%d are known, %v", len(known), err)
	}
	for name, f := range map[string]liwanag.SubscriberFilter{"source": {Source: hostile}, "part": {Query: hostile},
		"seniority": {Seniority: hostile}, "status": {Status: hostile}} {
		if got, _, err := store.Subscribers.List(ctx, f, liwanag.Page{}); !errors.Is(err, liwanag.ErrInvalidFilter) || len(got) != 0 {
			t.Errorf("listed by %s: %d, %v", name, len(got), err)
		}
	}
	if e, err := store.Ledger.Evidence(ctx, hostile); err != nil || !e.ProvenAt.Equal(noon) || len(e.Reaches) != 1 {
		t.Errorf("evidence: %v, %v", e, err)
	}
	if _, err := store.Submissions.ByEnrichment(ctx, hostile); err != nil && liwanag.ClassOf(err) != liwanag.NotFound {
		t.Error(err)
	}
	write(t, store, func(tx *datastore.Tx) error {
		stored, earlier, err := tx.Webhooks.Remember(hostile, hostile, nil, noon)
		if stored || string(earlier) != hostile {
			t.Errorf("a webhook's answer came back as %q", earlier)
		}
		return err
	})
	all, _, err := store.Subscribers.List(ctx, liwanag.SubscriberFilter{}, liwanag.Page{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
