package postgres_test

import (
	"testing"

	"github.com/liwanag/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/internal/liwanag"
)

func TestStore(t *testing.T) {
	datastoretest.Run(t, datastoretest.Harness{
		Open: func(t *testing.T) liwanag.Store {
			_, store := openEmpty(t)
			return store
		},
		OpenClosed: func(t *testing.T) liwanag.Store {
			db, store := openEmpty(t)
			db.Close()
			return store
		},
	})
}
