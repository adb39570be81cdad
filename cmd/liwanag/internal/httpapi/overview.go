package httpapi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// overviewLasts is how long figures are shown that count whole tables.
const overviewLasts = 3 * time.Second

// overviews are the latest ones, a range each. One reader at a time counts, the
// others wait for what it finds.
type overviews struct {
	turn chan struct{} // taken by whoever counts

	mu     sync.Mutex
	latest map[string]api.Overview
}

func newOverviews() overviews {
	return overviews{turn: make(chan struct{}, 1), latest: map[string]api.Overview{}}
}

func (o *overviews) young(during string, now time.Time) (api.Overview, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, ok := o.latest[during]
	return kept, ok && now.Sub(kept.At).Abs() < overviewLasts
}

func (o *overviews) keep(view api.Overview) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest[view.Range] = view
}

// forget lets whoever just did something see it.
func (o *overviews) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.latest)
}

func (s *Server) registerOverview() {
	door.Serve(s.Door, api.GetOverview, s.getOverview)
	door.Serve(s.Door, runapi.CountRuns, s.countRuns)
}

func (s *Server) getOverview(ctx context.Context, in *api.OverviewRequest) (api.Overview, error) {
	select {
	case s.overviews.turn <- struct{}{}:
		defer func() { <-s.overviews.turn }()
	case <-ctx.Done():
		return api.Overview{}, ctx.Err()
	}
	if kept, ok := s.overviews.young(in.Range, s.cfg.Now()); ok {
		return kept, nil
	}
	view, err := s.overviewNow(ctx, in.Range)
	if err == nil {
		s.overviews.keep(view)
	}
	return view, err
}

func (s *Server) overviewNow(ctx context.Context, during string) (api.Overview, error) {
	now := s.cfg.Now().UTC()
	view := api.Overview{Range: during, At: now, Runs: map[string]int64{}}
	since, width := now.Add(-23*time.Hour), time.Hour
	switch during {
	case "7d":
		since, width = now.AddDate(0, 0, -6), 24*time.Hour
	case "30d":
		since, width = now.AddDate(0, 0, -29), 24*time.Hour
	}
	happened, err := s.cfg.Store.Activity(ctx, since, now, width)
	if err != nil {
		return api.Overview{}, err
	}
	for _, a := range happened {
		view.Spans = append(view.Spans, api.Span{From: a.From.UTC(), SignUps: a.SignUps, Enriched: a.Enriched,
			NotFound: a.NotFound, Failed: a.Failed, Spent: a.Spent})
	}
	if view.Subscribers, err = textual(s.cfg.Store.Subscribers.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	if view.Jobs, err = textual(s.cfg.Store.Jobs.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	if view.Submissions, err = textual(s.cfg.Store.Submissions.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	counts, err := s.cfg.Counts(ctx)
	if err != nil {
		return api.Overview{}, door.OfRunner(err)
	}
	for _, c := range counts {
		view.Runs[c.Status] += c.Runs
	}
	if view.Credits, err = s.creditsNow(ctx); err != nil {
		return api.Overview{}, err
	}
	view.Attention, err = s.attentionNow(ctx, view, now)
	return view, err
}

func textual[T ~string](counts map[T]int64, err error) (map[string]int64, error) {
	out := make(map[string]int64, len(counts))
	for word, n := range counts {
		out[string(word)] = n
	}
	return out, err
}

// attentionNow lists what needs a person.
func (s *Server) attentionNow(ctx context.Context, view api.Overview, now time.Time) ([]api.Attention, error) {
	all := []api.Attention{}
	if c := view.Credits; c.Paused {
		message := "All spending is paused: resume it when it may go on."
		if c.PausedReason != string(liwanag.WaitingPaused) {
			message = "Nothing is sent to FullEnrich (" + c.PausedReason + "): " + c.PausedNote + "."
		}
		all = append(all, api.Attention{Kind: "spending_paused", Message: message})
	}
	if held := view.Submissions[string(liwanag.SubmissionHeld)]; held > 0 {
		all = append(all, api.Attention{Kind: "submission_held", Count: held,
			Message: "Nobody knows whether FullEnrich took these paid calls: adopt, resubmit or fail each."})
	}
	if c := view.Credits; c.Balance != nil && s.cfg.CreditsLow > 0 && *c.Balance < float64(s.cfg.CreditsLow) {
		all = append(all, api.Attention{Kind: "credits_low", Since: c.BalanceAt,
			Message: fmt.Sprintf("FullEnrich had %.0f credits left when it said so last, below the mark of %d: buy some, or jobs will wait.",
				*c.Balance, s.cfg.CreditsLow)})
	}
	stopped, err := s.cfg.Store.Ledger.StoppedSources(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range stopped {
		v := viewStopped(f)
		all = append(all, api.Attention{Kind: "found_rate", ID: f.Source, Since: v.StoppedAt, Message: fmt.Sprintf(
			"The lookups of the source %q wait: FullEnrich found %.1f %% of the last 200 people, and %.1f %% of the 500 before. "+
				"Go on, or drop them.", f.Source, 100*v.LatestRate, 100*v.BeforeRate)})
	}
	for _, look := range []func(context.Context, time.Time) ([]api.Attention, error){s.sinksInTrouble,
		s.deliveriesInTrouble, s.sourcesInTrouble, s.webhooksInTrouble} {
		more, err := look(ctx, now)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func (s *Server) sinksInTrouble(ctx context.Context, _ time.Time) (all []api.Attention, err error) {
	sinks, err := s.cfg.Store.Sinks.List(ctx)
	for _, sink := range sinks {
		switch {
		case sink.Disabled && sink.DisabledReason != "":
			all = append(all, api.Attention{Kind: "sink_disabled", ID: sink.ID.String(), Since: utc(sink.FailingSince),
				Message: "The sink " + sink.Name + " was disabled (" + sink.DisabledReason +
					"): mend its receiver, then enable it; what waits is sent then."})
		case !sink.Disabled && !sink.FailingSince.IsZero():
			all = append(all, api.Attention{Kind: "sink_failing", ID: sink.ID.String(), Since: utc(sink.FailingSince),
				Message: "The sink " + sink.Name + " does not take its messages: look at its log."})
		}
	}
	return all, err
}

func (s *Server) deliveriesInTrouble(ctx context.Context, _ time.Time) ([]api.Attention, error) {
	states := []liwanag.DeliveryState{liwanag.DeliveryUnmatched, liwanag.DeliveryQuarantined}
	rows, _, err := s.cfg.Store.Deliveries.List(ctx, liwanag.DeliveryFilter{States: states}, liwanag.Page{Limit: 500})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return []api.Attention{{Kind: "delivery_unmatched", Count: int64(len(rows)), Since: utc(rows[len(rows)-1].ReceivedAt),
		Message: "Results of FullEnrich could not be applied whole: look at each, and replay it when the cause is gone."}}, nil
}

// refusingFor is how long a source is shown as refusing after a refusal.
const refusingFor = 24 * time.Hour

func (s *Server) sourcesInTrouble(ctx context.Context, now time.Time) (all []api.Attention, err error) {
	rows, _, err := s.cfg.Store.Receipts.List(ctx,
		liwanag.ReceiptFilter{States: []liwanag.ReceiptState{liwanag.ReceiptRefused, liwanag.ReceiptRejected}},
		liwanag.Page{Limit: 200})
	at := map[liwanag.ID]int{}
	for _, row := range rows {
		if now.Sub(row.ReceivedAt) > refusingFor {
			continue
		}
		i, known := at[row.SourceID]
		if !known {
			i, at[row.SourceID] = len(all), len(all)
			all = append(all, api.Attention{Kind: "source_refusing", ID: row.SourceID.String(),
				Message: "A source turned webhooks away in the last day: look at its deliveries."})
		}
		all[i].Count++
		all[i].Since = utc(row.ReceivedAt)
	}
	return all, err
}

func (s *Server) webhooksInTrouble(ctx context.Context, _ time.Time) ([]api.Attention, error) {
	fetched, err := s.cfg.Enrichment.Silence(ctx)
	if err != nil || fetched == 0 {
		return nil, err
	}
	return []api.Attention{{Kind: "webhooks_silent", Count: int64(fetched),
		Message: "No webhook of FullEnrich came in a day, all results had to be fetched: check " +
			"LIWANAG_PUBLIC_URL and what is before this server."}}, nil
}

func (s *Server) countRuns(ctx context.Context, in *runapi.WorkflowPath) (runapi.List[runapi.RunCount], error) {
	if s.definition(in.Name, 0) == nil {
		return runapi.List[runapi.RunCount]{}, door.NewProblem(404, "not_found", "no workflow has this name")
	}
	counts, err := s.cfg.Counts(ctx)
	if err != nil {
		return runapi.List[runapi.RunCount]{}, door.OfRunner(err)
	}
	counts = slices.DeleteFunc(slices.Clone(counts), func(c runapi.RunCount) bool { return c.Workflow != in.Name })
	return listOf(counts, "", func(c runapi.RunCount) runapi.RunCount { return c }), nil
}
