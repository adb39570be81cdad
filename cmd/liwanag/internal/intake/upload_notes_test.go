package intake

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestAPreviewSaysWhatItWouldChangeOfKnownPeople(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	first := create(t, u, "email,company,tags,created at,city\nann@gmail.com,Acme,a,2026-02-01,Rome\nbob@gmail.com,Ames,b,,\n"+
		"cy@gmail.com,,,,\nboss@acme.example,,,,\n")
	if importAll(t, u, first.ID); first.Notes.Changes != (liwanag.UploadChanges{}) {
		t.Errorf("of new people: %+v", first.Notes.Changes)
	}
	again := create(t, u, "email,company,tags,created at,city\nANN@gmail.com,Acme,a,2026-02-01,Rome\nboss@acme.example,n/a,,,\n")
	if again.Notes.Changes != (liwanag.UploadChanges{}) {
		t.Errorf("of the same rows: %+v", again.Notes.Changes)
	}
	before, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	view, err := u.Create(t.Context(), strings.NewReader("email,company,tags,created at,city,source,unsubscribed\n"+
		"ann@gmail.com,Other,a,2026-01-01,Rome,import,\n"+ // stated and an earlier time
		"bob@gmail.com,Ames,\"b,c\",,Oslo,fair,yes\n"+ // all but those
		"bob@gmail.com,Twice,,,,,\n"+
		"boss@acme.example,Acme,,,,import,\n"+ // known, whatever the type
		"new@gmail.com,New,n,,,,\n"), UploadRequest{FileName: "a.csv"})
	want := liwanag.UploadChanges{People: 3, Stated: 2, Tags: 1, Sources: 1, Metadata: 1, SignedUp: 1, Unsubscribed: 1}
	if d := cmp.Diff(want, view.Notes.Changes); d != "" || err != nil {
		t.Error(d, err)
	}
	if after, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com"); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the preview changed somebody: %+v, %v", after, err)
	}
}

func TestAPreviewCountsTimesThatAreNoneOverTheWholeFile(t *testing.T) {
	store, _ := openStore(t)
	var file strings.Builder
	file.WriteString("email,signup date\n" + people(400)[len("email,name\n"):]) // no such column: names are no times
	file.WriteString("late@gmail.com,2026-01-02\nlast@gmail.com,soon\n")
	view := create(t, newUploads(t, store, &enroller{}, Config{}), file.String())
	if d := cmp.Diff([]liwanag.ColumnNote{{Column: "signup date", Rows: view.Counts.Rows - 1, First: 1}}, view.Notes.Unread); d != "" {
		t.Error(d)
	}
	fine := create(t, newUploads(t, store, &enroller{}, Config{}), "email,signup date\n"+strings.Repeat("a@gmail.com,2026-01-02\n", 300)+
		"b@gmail.com,soon\n")
	if d := cmp.Diff([]liwanag.ColumnNote{{Column: "signup date", Rows: 1, First: 301}}, fine.Notes.Unread); d != "" {
		t.Error(d)
	}
}

func TestMistypedProvidersAreAskedAboutAndNotChanged(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	view := create(t, u, "email\na@gmial.com\nb@gmial.com\nB@gmial.com\nc@yaho.com\nd@gmail.com\ne@mail.com\n")
	want := []liwanag.TypoNote{{Domain: "gmial.com", Meant: "gmail.com", Rows: 2}, {Domain: "yaho.com", Meant: "yahoo.com", Rows: 1}}
	if d := cmp.Diff(want, view.Notes.Typos); d != "" {
		t.Error(d)
	}
	importAll(t, u, view.ID)
	if _, err := store.Subscribers.ByEmail(t.Context(), "a@gmial.com"); err != nil {
		t.Errorf("as it was written: %v", err)
	}
}

func TestWhatAFileSaysOfWhoLeftIsCountedSwitchedOffAndUndone(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	const file = "email,Status,cleaned\nann@gmail.com,unsubscribed,\nbob@gmail.com,subscribed,yes\ncy@gmail.com,subscribed,\n"
	view := create(t, u, file)
	want := []liwanag.ColumnNote{{Column: "Status", Rows: 1, First: 1}, {Column: "cleaned", Rows: 1, First: 2}}
	if d := cmp.Diff(want, view.Notes.Standing); d != "" || view.Counts.Unsubscribed != 2 || view.Counts.New != 1 || view.IgnoreStanding {
		t.Error(d, view.Counts)
	}
	off, err := u.Remap(t.Context(), view.ID, Reading{IgnoreStanding: true})
	if d := cmp.Diff(want, off.Notes.Standing); err != nil || d != "" || off.Counts.New != 3 || !off.IgnoreStanding {
		t.Errorf("%s %+v, %v", d, off, err)
	}
	if done := importAll(t, u, view.ID); done.Counts.New != 3 || done.Counts.Unsubscribed != 0 {
		t.Errorf("%+v", done.Counts)
	}
	left := func(emails ...string) {
		t.Helper()
		for _, email := range []string{"ann@gmail.com", "bob@gmail.com", "cy@gmail.com"} {
			p, err := store.Subscribers.ByEmail(t.Context(), email)
			if is := strings.Contains(strings.Join(emails, " "), email); err != nil || p.SuppressedAt.IsZero() == is {
				t.Errorf("%s: left at %s by %q, %v", email, p.SuppressedAt, p.UnsubscribedBy, err)
			}
		}
	}
	left()
	believed := create(t, u, file)
	importAll(t, u, believed.ID)
	left("ann@gmail.com", "bob@gmail.com")
	// Somebody else says it, too: that is not the file's to take back.
	bob, err := store.Subscribers.ByEmail(t.Context(), "bob@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		_, err := enrichment.Suppress(tx, liwanag.Departure{IDs: []liwanag.ID{bob.ID}, At: time.Now(), By: liwanag.ByWebhook})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := store.Subscribers.CountLeftBy(t.Context(), believed.ID.String()); err != nil || n != 1 {
		t.Errorf("%d people left by the file's word alone, %v", n, err)
	}
}
