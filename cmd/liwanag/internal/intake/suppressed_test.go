package intake

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Nothing is stored of who is suppressed, whatever way they come.
func TestASuppressedAddressIsNotStoredAndNotLookedUp(t *testing.T) {
	store, _ := openStore(t)
	cfg := Config{Enrich: EnrichAll}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		digest, err := tx.Suppressions.Digest("ann.lee@gmail.com")
		if err != nil {
			return err
		}
		for _, one := range []liwanag.Suppression{{Digest: digest}, {Domain: "acme.example"}} {
			one.ID, one.CreatedAt = liwanag.NewID(liwanag.SuppressionKind), time.Now()
			if _, err := tx.Suppressions.Insert(one); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s := newSignUps(t, store, &enroller{}, cfg)
	for i, r := range add(t, s, SignUp{Email: "AnnLee+news@googlemail.com"},
		SignUp{Email: "bob@gmail.com"}, SignUp{Email: "eve@mail.acme.example"}) {
		if want := []Status{Suppressed, Created, Suppressed}[i]; r.Status != want || r.SubscriberID.IsZero() != (want == Suppressed) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	var answers []Result
	if err := store.Write(t.Context(), func(tx *datastore.Tx) (err error) {
		row, err := s.Check(SignUp{Email: "annlee@gmail.com"})
		if err == nil {
			answers, err = s.Arrive(tx, []Arrival{{Row: row, Subscribed: true}}, time.Now())
		}
		return err
	}); err != nil || len(answers) != 1 || answers[0].Status != Suppressed {
		t.Errorf("%+v %v", answers, err)
	}
	u := newUploads(t, store, &enroller{}, cfg)
	up := create(t, u, "email\nann.lee@gmail.com\nbob@gmail.com\neve@acme.example\n"+
		"cy@privaterelay.appleid.com\ndee@mailinator.com\nfay@gmail.com\n")
	want := liwanag.UploadCounts{Rows: 6, New: 1, Known: 1, Relay: 1, Disposable: 1, Suppressed: 2}
	if up.Counts != want {
		t.Errorf("%+v", up.Counts)
	}
	if done := importAll(t, u, up.ID); done.Counts != want {
		t.Errorf("%+v", done.Counts)
	}
	for _, key := range []string{"ann.lee@gmail.com", "annlee+news@googlemail.com", "eve@acme.example", "eve@mail.acme.example"} {
		if _, err := store.Subscribers.ByEmail(t.Context(), key); err == nil {
			t.Errorf("%s is stored", key)
		}
	}
}
