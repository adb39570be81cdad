package memory

import (
	"testing"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(*testing.T) store.Store { return New() },
		Close: func(t *testing.T, s store.Store) {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
		},
	})
}
