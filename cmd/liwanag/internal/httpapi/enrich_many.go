package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// enrichPiece is how many subscribers are enriched in one transaction.
const enrichPiece = 200

// enrichSubscribers counts what it would order before it orders anything: whoever
// selects by a filter has to know what that costs.
func (s *Server) enrichSubscribers(ctx context.Context, in *api.EnrichMany) (api.EnrichedMany, error) {
	ids, err := s.selected(ctx, *in)
	if err != nil {
		return api.EnrichedMany{}, err
	}
	ids, spared, err := s.within(ctx, ids, *in)
	if err != nil {
		return api.EnrichedMany{}, err
	}
	answer, err := s.enrichAll(ctx, ids, in.Again, s.cfg.Enrichment.WouldEnrich)
	if spared > 0 {
		answer.LeftOut[leftByCap] = spared
	}
	switch {
	case err != nil:
		return api.EnrichedMany{}, err
	case in.DryRun:
		return s.priced(ctx, answer)
	case in.Expect != nil && *in.Expect != answer.Count:
		return api.EnrichedMany{}, door.NewProblem(http.StatusConflict, "count_differs",
			"another number of lookups than was counted before: count them again")
	}
	return s.enrichAll(ctx, ids, in.Again, s.cfg.Enrichment.Enrich)
}

// leftByCap is why somebody above the cap is left out.
const leftByCap = "cap"

// within leaves those out whose lookups a cap does not allow.
func (s *Server) within(ctx context.Context, ids []liwanag.ID, in api.EnrichMany) (within []liwanag.ID, spared int64, err error) {
	if in.Cap == nil {
		return ids, 0, nil
	}
	left := *in.Cap
	for piece := range slices.Chunk(ids, enrichPiece) {
		door.Extend(ctx)
		outcomes, err := s.cfg.Enrichment.WouldEnrich(ctx, piece, in.Again)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range outcomes {
			switch {
			case o.Result != enrichment.EnrichStarted:
			case left == 0:
				spared++
				continue
			default:
				left--
			}
			within = append(within, o.SubscriberID)
		}
	}
	return within, spared, nil
}

type enrichFunc func(context.Context, []liwanag.ID, bool) ([]enrichment.EnrichOutcome, error)

func (s *Server) enrichAll(ctx context.Context, ids []liwanag.ID, again bool, do enrichFunc) (api.EnrichedMany, error) {
	answer := api.EnrichedMany{Items: []api.Enriched{}, LeftOut: map[string]int64{}}
	for piece := range slices.Chunk(ids, enrichPiece) {
		door.Extend(ctx)
		outcomes, err := do(ctx, piece, again)
		if err != nil {
			return api.EnrichedMany{}, err
		}
		for _, o := range outcomes {
			answer.Items = append(answer.Items, viewEnriched(o))
			if o.Result == enrichment.EnrichStarted {
				answer.Count++
			} else {
				answer.LeftOut[string(o.Result)]++
			}
		}
	}
	answer.Credits = answer.Count
	return answer, nil
}

// priced makes what was counted the answer of a dry run.
func (s *Server) priced(ctx context.Context, answer api.EnrichedMany) (_ api.EnrichedMany, err error) {
	answer.Items, answer.DryRun = []api.Enriched{}, true
	answer.Balance, answer.BalanceAt, answer.BudgetLeft, err = s.means(ctx)
	return answer, err
}

// means are what lookups are paid from.
func (s *Server) means(ctx context.Context) (balance *float64, at time.Time, budgetLeft *int64, err error) {
	money, err := s.creditsNow(ctx)
	if err != nil {
		return nil, time.Time{}, nil, err
	}
	return money.Balance, money.BalanceAt, money.BudgetLeft, nil
}

func (s *Server) selected(ctx context.Context, in api.EnrichMany) ([]liwanag.ID, error) {
	filter := in.Filter
	if in.Status != "" && filter == nil {
		filter = &api.SubscriberFilter{Status: in.Status}
	}
	switch {
	case (len(in.IDs) > 0) == (filter != nil), in.Status != "" && in.Filter != nil:
		return nil, door.InvalidField("ids", "name ids or a filter, one of them")
	case in.Cursor != "":
		return nil, liwanag.ErrInvalidCursor
	case filter == nil:
		return s.subscriberIDs(ctx, in.IDs)
	}
	if in.Expect == nil && !in.DryRun {
		return nil, countNeeded("subscribers")
	}
	selects, err := s.subscriberFilter(ctx, *filter)
	if err != nil {
		return nil, err
	}
	var ids []liwanag.ID
	for person, err := range s.cfg.Store.Subscribers.Each(ctx, selects) {
		if err != nil {
			return nil, err
		}
		if len(ids)%enrichPiece == 0 {
			door.Extend(ctx)
		}
		ids = append(ids, person.ID)
	}
	return ids, nil
}

// countNeeded refuses to order lookups for whoever matches.
func countNeeded(of string) *door.Problem {
	return door.NewProblem(http.StatusUnprocessableEntity, "count_needed",
		"that may order lookups for all "+of+" that match: count them with dryRun, and send the count as expect",
		api.FieldFault{Field: "expect", Message: "it is missing"})
}

func (s *Server) subscriberIDs(ctx context.Context, texts []string) (ids []liwanag.ID, err error) {
	for _, text := range texts {
		id, err := liwanag.ParseID(liwanag.SubscriberKind, text)
		if strings.Contains(text, "@") {
			if id, err = s.personOf(ctx, text); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, door.InvalidField("ids", "an id of the form sub_<uuid> is needed, or an e-mail address")
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
