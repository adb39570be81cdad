package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

type world struct {
	*testing.T
	store *datastore.Store
	path  string
	at    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "liwanag.db"), at: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: w.path, Synchronous: sqlitedb.Normal})
	w.must(err)
	t.Cleanup(func() { w.must(db.Close()) })
	w.store, err = sqlite.New(t.Context(), db)
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) keeper(key string) *access.Keeper {
	return access.New(datastore.Alone{Store: w.store}, key, func() time.Time { return w.at })
}

func (w *world) refused(err error) {
	w.Helper()
	if !errors.Is(err, access.ErrRefused) {
		w.Fatalf("got %v, want ErrRefused", err)
	}
}

func TestTheKeyMakesASessionThatSigningOutEnds(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	for _, wrong := range []string{"", "wrong", "right "} {
		_, err := k.SignIn(t.Context(), wrong)
		w.refused(err)
	}
	session, err := k.SignIn(t.Context(), "right")
	w.must(err)
	w.must(k.Session(t.Context(), session))
	for _, wrong := range []string{"", "x", session + "x"} {
		w.refused(k.Session(t.Context(), wrong))
	}
	w.must(k.SignOut(t.Context(), session))
	w.refused(k.Session(t.Context(), session))
	w.must(k.SignOut(t.Context(), session))
}

func TestASessionEndsAfterAWeek(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("right").SignIn(t.Context(), "right")
	w.must(err)
	w.at = w.at.Add(access.SessionLasts - time.Second)
	w.must(w.keeper("right").Session(t.Context(), session))
	w.at = w.at.Add(time.Second)
	w.refused(w.keeper("right").Session(t.Context(), session))
}

func TestAnotherKeyEndsAllSessionsAndLinks(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("old").SignIn(t.Context(), "old")
	w.must(err)
	link, err := w.keeper("old").Link(t.Context())
	w.must(err)
	for _, key := range []string{"new", ""} {
		w.refused(w.keeper(key).Session(t.Context(), session))
	}
	_, err = w.keeper("new").Redeem(t.Context(), link)
	w.refused(err)
}

func TestALinkSignsInOnceAndNotForLong(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	link, err := k.Link(t.Context())
	w.must(err)
	w.refused(k.Session(t.Context(), link))
	session, err := k.Redeem(t.Context(), link)
	w.must(err)
	w.must(k.Session(t.Context(), session))
	_, err = k.Redeem(t.Context(), link)
	w.refused(err)
	_, err = k.Redeem(t.Context(), session)
	w.refused(err)
	late, err := k.Link(t.Context())
	w.must(err)
	w.at = w.at.Add(access.LinkLasts)
	_, err = k.Redeem(t.Context(), late)
	w.refused(err)
}

func TestWithoutAKeyNothingSignsIn(t *testing.T) {
	w := newWorld(t)
	if k := w.keeper(""); k.Needed() || k.Key("") {
		t.Error("no key is a right key")
	}
	_, err := w.keeper("").SignIn(t.Context(), "")
	w.refused(err)
}

func TestTheDatabaseHoldsNoSecretOfASession(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("right-key-of-the-test").SignIn(t.Context(), "right-key-of-the-test")
	w.must(err)
	w.must(w.store.Scrub(t.Context()))
	raw, err := os.ReadFile(w.path)
	w.must(err)
	for _, secret := range []string{session, "right-key-of-the-test"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%q is in the database", secret)
		}
	}
}

func TestAKeyThatComesBackBringsNoSessionBack(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("old").SignIn(t.Context(), "old")
	w.must(err)
	w.must(w.keeper("old").Forget(t.Context()))
	w.must(w.keeper("old").Session(t.Context(), session))
	for _, key := range []string{"new", ""} { // as a start with each does
		w.must(w.keeper(key).Forget(t.Context()))
		w.refused(w.keeper("old").Session(t.Context(), session))
	}
}
