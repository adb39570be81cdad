package httpapi

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
)

// tagPiece is how many people are tagged in one transaction.
const tagPiece = 100

func (s *Server) tagSubscribers(ctx context.Context, in *api.TagMany) (answer api.TaggedMany, err error) {
	for _, tag := range slices.Concat(in.Add, in.Remove) {
		if strings.TrimSpace(tag) != tag || tag == "" || len(tag) > 200 || strings.ContainsFunc(tag, unicode.IsControl) {
			return answer, door.InvalidField("add", "a tag is 1 to 200 bytes of text, without blanks around it")
		}
	}
	if len(in.Add)+len(in.Remove) == 0 {
		return answer, door.InvalidField("add", "name tags to add or to remove")
	}
	ids, _, err := s.selectedBy(ctx, api.ActMany{IDs: in.IDs, Filter: in.Filter, DryRun: in.DryRun, Expect: in.Expect})
	if err != nil {
		return answer, err
	}
	if answer.Count, answer.DryRun = int64(len(ids)), in.DryRun; in.DryRun {
		return answer, nil
	}
	for piece := range slices.Chunk(ids, tagPiece) {
		door.Extend(ctx)
		n := 0
		err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) (err error) {
			n, err = tx.Subscribers.Tag(piece, in.Add, in.Remove, time.Now().UTC().Truncate(time.Microsecond))
			return err
		})
		if err != nil {
			return answer, err
		}
		answer.Changed += int64(n)
	}
	return answer, nil
}
