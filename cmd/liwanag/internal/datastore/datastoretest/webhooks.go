package datastoretest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

var webhookTests = map[string]func(*testing.T, *datastore.Store){
	"a webhook's id is remembered with its answer, by endpoint": func(t *testing.T, s *datastore.Store) {
		remember(t, s, "a", "1", "first", noon, true, "")
		remember(t, s, "a", "1", "second", noon, false, "first")
		remember(t, s, "b", "1", "other", noon, true, "")
		want(t, s, int64(0), func(tx *datastore.Tx) (int64, error) { return tx.Webhooks.Forget(noon) })
		remember(t, s, "a", "1", "third", noon.Add(time.Hour), false, "first")
		want(t, s, int64(2), func(tx *datastore.Tx) (int64, error) { return tx.Webhooks.Forget(noon.Add(time.Microsecond)) })
		remember(t, s, "a", "1", "fourth", noon, true, "")
	},

	"a backlog of ids is forgotten over a few calls": func(t *testing.T, s *datastore.Store) {
		const backlog = 2500
		stored := func() (n int) {
			write(t, s, func(tx *datastore.Tx) error {
				n = 0
				for i := range backlog {
					ok, _, err := tx.Webhooks.Remember("a", fmt.Sprint(i), nil, noon)
					if err != nil {
						return err
					}
					if ok {
						n++
					}
				}
				return nil
			})
			return n
		}
		forget := func(tx *datastore.Tx) error {
			_, err := tx.Webhooks.Forget(noon.Add(time.Second))
			return err
		}
		equal(t, stored(), backlog)
		write(t, s, forget)
		if n := stored(); n == 0 || n == backlog {
			t.Fatalf("%d were forgotten by the first call", n)
		}
		for range 5 {
			write(t, s, forget)
		}
		equal(t, stored(), backlog)
	},

	"a webhook's id is taken once under concurrent repeats": func(t *testing.T, s *datastore.Store) {
		errSeen := errors.New("seen")
		equal(t, together(t, s, 100, errSeen, func(i int, tx *datastore.Tx) error {
			stored, _, err := tx.Webhooks.Remember("a", "1", nil, noon)
			if err == nil && !stored {
				return errSeen
			}
			return err
		}), 1)
	},
}

func remember(t *testing.T, s *datastore.Store, endpoint, id, answer string, at time.Time, stored bool, earlier string) {
	t.Helper()
	var was []byte
	want(t, s, stored, func(tx *datastore.Tx) (ok bool, err error) {
		ok, was, err = tx.Webhooks.Remember(endpoint, id, []byte(answer), at)
		return ok, err
	})
	equal(t, string(was), earlier)
}
