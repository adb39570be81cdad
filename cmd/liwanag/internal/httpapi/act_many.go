package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// actPiece is how many people an act deals with before it looks whether anybody still waits for it.
const actPiece = 100

// actMany deals with people in pieces: what is done stays done whatever comes after it.
func (s *Server) actMany(ctx context.Context, in api.ActMany,
	do func(context.Context, []liwanag.ID) (rows int, err error)) (answer api.ActedMany, err error) {
	ids, missing, err := s.selectedBy(ctx, in)
	if err != nil {
		return answer, err
	}
	answer.Count, answer.Missing, answer.DryRun = int64(len(ids)), missing, in.DryRun
	if answer.Rows, err = s.rowsOf(ctx, ids); err != nil || in.DryRun {
		return answer, err
	}
	for piece := range slices.Chunk(ids, actPiece) {
		door.Extend(ctx)
		if ctx.Err() != nil {
			return answer, ctx.Err()
		}
		rows, err := do(ctx, piece)
		if answer.Changed += int64(rows); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// selectedBy lists those of an act who are there, unless they are more or fewer than its caller knows of.
func (s *Server) selectedBy(ctx context.Context, in api.ActMany) (ids []liwanag.ID, missing int64, err error) {
	named, err := s.selected(ctx, api.EnrichMany{IDs: in.IDs, Filter: in.Filter, DryRun: in.DryRun, Expect: in.Expect})
	if ids = named; err == nil && in.Filter == nil {
		ids, err = s.cfg.Store.Subscribers.Matching(ctx, liwanag.SubscriberFilter{}, named)
	}
	if err == nil && !in.DryRun && in.Expect != nil && *in.Expect != int64(len(ids)) {
		err = door.NewProblem(http.StatusConflict, "count_differs", "another number of people than was counted before: count them again")
	}
	return ids, int64(len(named) - len(ids)), err
}

// rowsOf counts people with those who share their mailboxes.
func (s *Server) rowsOf(ctx context.Context, ids []liwanag.ID) (rows int64, err error) {
	others := map[liwanag.ID]bool{}
	for piece := range slices.Chunk(ids, enrichPiece) {
		door.Extend(ctx)
		same, err := s.cfg.Store.Subscribers.SameMailbox(ctx, piece)
		if err != nil {
			return 0, err
		}
		for _, id := range same {
			others[id] = true
		}
	}
	for _, id := range ids {
		delete(others, id)
	}
	return int64(len(ids) + len(others)), nil
}

func (s *Server) unsubscribeSubscribers(ctx context.Context, in *api.ActMany) (api.ActedMany, error) {
	return s.actMany(ctx, *in, s.cfg.Enrichment.UnsubscribeAll)
}

func (s *Server) suppressSubscribers(ctx context.Context, in *api.ActMany) (api.ActedMany, error) {
	reason := door.Clip(in.Reason)
	return s.actMany(ctx, *in, func(ctx context.Context, ids []liwanag.ID) (int, error) {
		return s.cfg.Enrichment.SuppressAll(ctx, ids, reason)
	})
}

// eraseSubscribers scrubs once, at the end; the sweep scrubs for an act that was cut off.
func (s *Server) eraseSubscribers(ctx context.Context, in *api.EraseMany) (api.ActedMany, error) {
	var suppress *liwanag.Suppression
	if in.Suppress {
		suppress = &liwanag.Suppression{Reason: door.Clip(in.Reason)}
	}
	answer, err := s.actMany(ctx, in.ActMany, func(ctx context.Context, ids []liwanag.ID) (int, error) {
		return s.cfg.Enrichment.EraseAll(ctx, ids, suppress)
	})
	if err == nil && answer.Changed > 0 {
		door.Extend(ctx)
		err = s.cfg.Enrichment.Scrub(ctx)
		backups, cannot := s.listBackups(ctx, nil)
		for _, b := range backups.Items {
			answer.Backups = append(answer.Backups, b.Path)
		}
		err = errors.Join(err, cannot)
	}
	return answer, err
}
