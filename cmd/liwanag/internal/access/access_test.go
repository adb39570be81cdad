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
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
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

// opens and closed say what a session does.
func (w *world) opens(k *access.Keeper, session string) access.Caller {
	w.Helper()
	caller, err := k.Session(w.Context(), session)
	w.must(err)
	return caller
}

func (w *world) closed(k *access.Keeper, session string) {
	w.Helper()
	_, err := k.Session(w.Context(), session)
	w.refused(err)
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
		if k.Key(wrong) {
			t.Errorf("%q is a right key", wrong)
		}
	}
	session, err := k.Begin(t.Context(), access.Owner())
	w.must(err)
	w.opens(k, session)
	for _, wrong := range []string{"", "x", session + "x"} {
		w.closed(k, wrong)
	}
	w.must(k.SignOut(t.Context(), session))
	w.closed(k, session)
	w.must(k.SignOut(t.Context(), session))
}

func TestASessionEndsAfterAWeek(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("right").Begin(t.Context(), access.Owner())
	w.must(err)
	w.at = w.at.Add(access.SessionLasts - time.Second)
	w.opens(w.keeper("right"), session)
	w.at = w.at.Add(time.Second)
	w.closed(w.keeper("right"), session)
}

func TestAnotherKeyEndsAllSessionsAndLinks(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("old").Begin(t.Context(), access.Owner())
	w.must(err)
	link, err := w.keeper("old").Link(t.Context())
	w.must(err)
	for _, key := range []string{"new", ""} {
		w.closed(w.keeper(key), session)
	}
	_, err = w.keeper("new").Redeem(t.Context(), link)
	w.refused(err)
}

func TestTurningSignInWithKeysOffEndsWhatKeysBegan(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	_, secret := w.named(k, "crm", time.Time{}, liwanag.Read)
	named, err := k.Named(t.Context(), secret)
	w.must(err)
	of, err := k.Begin(t.Context(), named)
	w.must(err)
	owners, err := k.Begin(t.Context(), access.Owner())
	w.must(err)
	link, err := k.Link(t.Context())
	w.must(err)
	off := w.keeper("right")
	off.RefuseKeys()
	w.closed(off, of)
	w.closed(off, owners)
	_, err = off.Redeem(t.Context(), link)
	w.refused(err)
	for _, by := range []access.Caller{access.Owner(), named} {
		_, err = off.Begin(t.Context(), by)
		w.refused(err)
	}
	link, err = off.Link(t.Context())
	w.must(err)
	linked, err := off.Redeem(t.Context(), link)
	w.must(err)
	w.opens(off, linked)
	w.must(off.Forget(t.Context()))
	w.opens(off, linked)
	_, err = off.Named(t.Context(), secret) // programs keep their keys
	w.must(err)
	w.closed(w.keeper("right"), owners) // it brings none back
}

func TestALinkSignsInOnceAndNotForLong(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	link, err := k.Link(t.Context())
	w.must(err)
	w.closed(k, link)
	session, err := k.Redeem(t.Context(), link)
	w.must(err)
	w.opens(k, session)
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
	_, err := w.keeper("").Begin(t.Context(), access.Owner())
	w.refused(err)
}

func TestTheDatabaseHoldsNoSecretOfASession(t *testing.T) {
	w := newWorld(t)
	session, err := w.keeper("right-key-of-the-test").Begin(t.Context(), access.Owner())
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
	session, err := w.keeper("old").Begin(t.Context(), access.Owner())
	w.must(err)
	w.must(w.keeper("old").Forget(t.Context()))
	w.opens(w.keeper("old"), session)
	for _, key := range []string{"new", ""} { // as a start with each does
		w.must(w.keeper(key).Forget(t.Context()))
		w.closed(w.keeper("old"), session)
	}
}

// named makes a key of some scopes.
func (w *world) named(k *access.Keeper, name string, expires time.Time, scopes ...liwanag.Scope) (liwanag.APIKey, string) {
	w.Helper()
	key, secret, err := k.NewKey(name, scopes, expires)
	w.must(err)
	w.must(w.store.Write(w.Context(), func(tx *datastore.Tx) error { return tx.Keys.Insert(key) }))
	return key, secret
}

func TestANamedKeyHasItsScopesUntilItExpires(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	_, secret := w.named(k, "crm", w.at.Add(time.Hour), liwanag.Read)
	caller, err := k.Named(t.Context(), secret)
	w.must(err)
	if caller.Name != "crm" || caller.By != access.ByKey || !caller.Revocable() ||
		!caller.Scopes.May(liwanag.Read) || caller.Scopes.May(liwanag.Export) {
		t.Errorf("%+v", caller)
	}
	for _, wrong := range []string{"", access.KeyPrefix, secret + "x", secret[:len(secret)-1], strings.ToUpper(secret)} {
		_, err := k.Named(t.Context(), wrong)
		w.refused(err)
	}
	session, err := k.Begin(t.Context(), caller)
	w.must(err)
	if of := w.opens(k, session); of.Name != "crm" || of.By != access.ByConsole || of.Scopes.May(liwanag.Export) {
		t.Errorf("its session: %+v", of)
	}
	w.at = w.at.Add(time.Hour)
	_, err = k.Named(t.Context(), secret)
	w.refused(err)
	w.closed(k, session)
}

func TestARevokedKeyTakesItsSessionsAlong(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	key, secret := w.named(k, "crm", time.Time{}, liwanag.Admin)
	caller, err := k.Named(t.Context(), secret)
	w.must(err)
	session, err := k.Begin(t.Context(), caller)
	w.must(err)
	w.opens(k, session)
	w.must(w.store.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Keys.Delete(key.ID) }))
	_, err = k.Named(t.Context(), secret)
	w.refused(err)
	w.closed(k, session)
}

func TestOldAndNewKeyOfANameAreValidAtOnceAndNoThird(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	old, first := w.named(k, "crm", w.at.Add(time.Hour), liwanag.Read)
	_, second := w.named(k, "crm", time.Time{}, liwanag.Read)
	for _, secret := range []string{first, second} {
		_, err := k.Named(t.Context(), secret)
		w.must(err)
	}
	third := func() error {
		key, _, err := k.NewKey("crm", liwanag.Scopes{liwanag.Read}, time.Time{})
		w.must(err)
		return w.store.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Keys.Insert(key) })
	}
	if err := third(); !errors.Is(err, liwanag.ErrTooManyKeys) {
		t.Errorf("a third one: %v", err)
	}
	w.must(w.store.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Keys.Delete(old.ID) }))
	w.must(third())
}

func TestTheLastUseOfAKeyIsKnownToTheMinute(t *testing.T) {
	w := newWorld(t)
	k := w.keeper("right")
	key, secret := w.named(k, "crm", time.Time{}, liwanag.Read)
	used := func() time.Time {
		one, err := w.store.Keys.Get(t.Context(), key.ID)
		w.must(err)
		return one.UsedAt
	}
	if !used().IsZero() {
		t.Error("it was used before it was")
	}
	began := w.at
	for _, tc := range []struct{ after, want time.Duration }{{0, 0},
		{59 * time.Second, 0}, {time.Minute, time.Minute}, {time.Hour, time.Hour}} {
		w.at = began.Add(tc.after)
		_, err := k.Named(t.Context(), secret)
		w.must(err)
		if got := used().Sub(began); got != tc.want {
			t.Errorf("after %s: used at %s, want %s", tc.after, got, tc.want)
		}
	}
}

func TestWithoutAKeyOfItsOwnAServerMakesNone(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.keeper("").NewKey("crm", liwanag.Scopes{liwanag.Read}, time.Time{}); !errors.Is(err, access.ErrNoKey) {
		t.Errorf("got %v", err)
	}
	_, secret := w.named(w.keeper("right"), "crm", time.Time{}, liwanag.Read)
	_, err := w.keeper("").Named(t.Context(), secret)
	w.refused(err)
}

func TestTheDatabaseHoldsNoKey(t *testing.T) {
	w := newWorld(t)
	key, secret := w.named(w.keeper("right"), "crm", time.Time{}, liwanag.Read)
	if len(secret) != len(access.KeyPrefix)+43 {
		t.Errorf("a key of %d characters is no 256 bits", len(secret))
	}
	w.must(w.store.Scrub(t.Context()))
	raw, err := os.ReadFile(w.path)
	w.must(err)
	if strings.Contains(string(raw), secret[len(access.KeyPrefix):]) || !strings.Contains(string(raw), string(key.Hash[:])) {
		t.Error("the database holds the key, or not its hash")
	}
}
