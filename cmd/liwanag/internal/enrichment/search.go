package enrichment

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

// How new people come into the index of words: a search reads those who are not there yet. The pieces
// are small and apart, so that an import or a sign-up hardly waits for them.
const (
	searchEvery = time.Minute
	searchPiece = 250 // people a transaction
	searchPause = 100 * time.Millisecond
)

// index brings a piece of those who came lately into the index of words.
func (s *Service) index(ctx context.Context) (more bool, err error) {
	n := 0
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		n, err = tx.Subscribers.Index(searchPiece)
		return err
	})
	if err != nil || n < searchPiece {
		return false, err
	}
	select {
	case <-ctx.Done():
		return false, nil
	case <-time.After(searchPause):
		return true, nil
	}
}

// Word notes the words by which people of a release that knew none are found. It goes on where it
// stopped, and has to be done before anything else is written.
func Word(ctx context.Context, store *datastore.Store, log *slog.Logger) error {
	for people := 0; ; {
		n := 0
		err := store.Write(ctx, func(tx *datastore.Tx) error {
			rows, err := tx.Subscribers.Wordless(partPiece)
			if n = len(rows); err != nil || n == 0 {
				return err
			}
			return tx.Subscribers.Word(rows)
		})
		switch {
		case err != nil:
			return fmt.Errorf("enrichment: the words of people are noted for the search, which goes on where it stopped: %w", err)
		case n == 0 && people > 0:
			log.InfoContext(ctx, "the words of people are noted for the search", "people", people)
			return nil
		case n == 0:
			return nil
		}
		people += n
	}
}
