package intake

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestASenderSaysThatSomebodyLeft(t *testing.T) {
	for _, c := range []struct {
		name, value string
		left        bool
	}{
		{"subscribed_to_emails", "false", true}, {"subscribed_to_emails", "TRUE", false}, {"Subscribed", "no", true}, {"subscribed", "", false},
		{"Opted Out", "Yes", true}, {"unsubscribed", "false", false}, {"UNSUB_TIME", "2026-01-02 03:04:05", true}, {"unsubscribed_at", "", false},
		{"unsubscribed_at", "NULL", false}, {"Status", "Unsubscribed", true}, {"Status", "cleaned", true}, {"MEMBER_STATUS", "Opted-Out", true},
		{"status", "subscribed", false}, {"status", "free", false}, {"status", "canceled", false}, {"state", "cancelled", true}, {"state", "CA", false},
		{"note", "unsubscribed", false}, {"BLOCKLISTED", "Yes", true}, {"BLOCKLISTED", "No", false}, {"unsubscription_date", "2026-01-02", true},
		{"subscriber_type", "unsubscribed", true}, {"subscriber_type", "regular", false}, {"Email Suppressions", "HARD_BOUNCE", true},
		{"Email Suppressions", "[]", false}, {"Abgemeldet", "ja", true}, {"Abgemeldet", "nein", false}, {"Status", "abgemeldet", true},
		{"Statut", "Désabonné", true}, {"Statut", "Abonné", false}, {"subscribed", "FALSCH", true}, {"unsubscribed", "VRAI", true},
		{"Abonné", "non", true}, {"Abonné", "oui", false}, {"Opted out of all email", "true", true}, {"hs_email_optout", "false", false},
		{"unsubscribed", "WAHR", true}, {"subscribed", "WAHR", false},
		{"Email disabled", "true", true}, {"Newsletter", "no", true}, {"Newsletter", "Weekly", false}, {"do_not_email", "1", true},
		{"Unsubscribed", "2026-01-02 03:04:05", true}, {"Unsubscribed", "02/01/2026", true}, {"Unsubscribed", "0000-00-00 00:00:00", false},
		{"Unsubscribed", "unsubscribed", true}, {"Unsubscribed", "not yet", false}, {"Date Unsubscribed", "Jan 2 2026", true},
		{"unsubscribed_at", "never", false}, {"unsubscribed_at", "0000-00-00", false}, {"subscriber_status", "disabled", true}, {"status", "junk", true},
	} {
		if got := leaves(c.name, c.value); got != c.left {
			t.Errorf("%s: %s says left: %t", c.name, c.value, got)
		}
		file, err := NewCSVReader(strings.NewReader("email,"+c.name+"\na@gmail.com,"+c.value+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if row, err := file.Next(); err != nil || row.SignUp.Left != c.left {
			t.Errorf("in a file, %s: %s says left: %+v, %v", c.name, c.value, row.SignUp, err)
		}
	}
	for body, left := range map[string]bool{`{"email":"a@gmail.com","subscribed":false}`: true,
		`{"email":"a@gmail.com","subscribed":true}`:       false,
		`{"email":"a@gmail.com","status":"unsubscribed"}`: true, `{"email":"a@gmail.com","subscribed":0}`: true,
		`{"email":"a@gmail.com","subscribed":null}`: false} {
		items, _, err := DecodeSignUps([]byte(body), false)
		if err != nil || items[0].SignUp.Left != left {
			t.Errorf("%s: %+v, %v", body, items, err)
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(body), &object); err != nil {
			t.Fatal(err)
		}
		if object["subscribed"] != float64(0) && Leaves(object) != left {
			t.Errorf("%s says left: %t", body, !left)
		}
	}
}

func TestRowsThatSayThatSomebodyLeftCountByThemselves(t *testing.T) {
	store, _ := openStore(t)
	u := newUploads(t, store, &enroller{}, Config{})
	up := create(t, u, "email,status\nann@gmail.com,subscribed\nbob@gmail.com,unsubscribed\nBOB@gmail.com,cleaned\n"+
		"boss@acme.example,cleaned\nit@acme.example,\nnobody,unsubscribed\n")
	want := liwanag.UploadCounts{Rows: 6, New: 1, Duplicate: 1, Corporate: 1, Unsubscribed: 2, Invalid: 1}
	if d := cmp.Diff(want, up.Counts); d != "" {
		t.Error("preview", d)
	}
	if d := cmp.Diff(want, importAll(t, u, up.ID).Counts); d != "" {
		t.Error("imported", d)
	}
}

func TestAFileSaysWhoLeftAndNeverWhoCameBack(t *testing.T) {
	store, _ := openStore(t)
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	cfg := Config{Now: func() time.Time { return at }}
	u, s := newUploads(t, store, &enroller{}, cfg), newSignUps(t, store, &enroller{}, cfg)
	add(t, s, SignUp{Email: "ann@gmail.com"})
	standing := func() (time.Time, string) {
		t.Helper()
		person, err := store.Subscribers.ByEmail(t.Context(), "ann@gmail.com")
		if err != nil {
			t.Fatal(err)
		}
		return person.SuppressedAt, person.UnsubscribedBy
	}
	up := create(t, u, "email,unsubscribed_at\nann@gmail.com,2026-04-30\n")
	importAll(t, u, up.ID)
	if left, by := standing(); !left.Equal(time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)) || by != up.ID.String() {
		t.Fatalf("left at %v, as %s says", left, by)
	}
	importAll(t, u, create(t, u, "email,status,signed up at\nann@gmail.com,subscribed,2026-05-01\n").ID)
	add(t, s, SignUp{Email: "ann@gmail.com", Timestamp: time.Date(2026, 4, 29, 0, 0, 0, 0, time.UTC)})
	if left, _ := standing(); left.IsZero() {
		t.Fatal("a file, or a sign-up before they left, took them back")
	}
	if r := add(t, s, SignUp{Email: "ann@gmail.com"})[0]; r.RunID.IsZero() {
		t.Errorf("nobody looks up who came back and whose lookup had ended: %+v", r)
	}
	if left, by := standing(); !left.IsZero() || by != "" {
		t.Errorf("a new sign-up did not take them back: %v %s", left, by)
	}
}
