package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// kindOnboarding is what the first steps are dismissed as.
const kindOnboarding = "onboarding"

func (s *Server) registerAttention() {
	door.Serve(s.Door, api.ListAttention, s.listAttention)
	door.Serve(s.Door, api.DismissAttention, s.dismissAttention)
	door.Serve(s.Door, api.RestoreAttention, s.restoreAttention)
}

func (s *Server) listAttention(ctx context.Context, _ *runapi.NoInput) (api.Attentions, error) {
	money, err := s.creditsNow(ctx)
	if err != nil {
		return api.Attentions{}, err
	}
	counts, err := s.cfg.Counts(ctx)
	if err != nil {
		return api.Attentions{}, door.OfRunner(err)
	}
	return s.attentionNow(ctx, money, counts, s.cfg.Now().UTC())
}

func (s *Server) dismissAttention(ctx context.Context, in *api.Dismissal) (api.Attentions, error) {
	now, err := s.listAttention(ctx, nil)
	if err != nil {
		return api.Attentions{}, err
	}
	shown := api.Attention{Kind: kindOnboarding}
	if in.Kind != kindOnboarding || in.ID != "" {
		i := slices.IndexFunc(now.Items, func(a api.Attention) bool { return a.Kind == in.Kind && a.ID == in.ID })
		if i < 0 {
			return now, door.NotFound("entry that needs a person")
		}
		shown = now.Items[i]
	}
	if in.Cause != "" && in.Cause != shown.Cause {
		return now, door.NewProblem(http.StatusConflict, "cause_differs", "it has another cause by now: look at it again")
	}
	if err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Dismissals.Put(liwanag.Dismissal{Kind: shown.Kind, Thing: shown.ID, Cause: shown.Cause, At: s.cfg.Now().UTC()})
	}); err != nil {
		return now, err
	}
	return s.listAttention(ctx, nil)
}

func (s *Server) restoreAttention(ctx context.Context, in *api.Dismissal) (api.Attentions, error) {
	err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error { return tx.Dismissals.Delete(in.Kind, in.ID) })
	if err != nil {
		return api.Attentions{}, named(err, "dismissal")
	}
	return s.listAttention(ctx, nil)
}

// attentionNow lists what needs a person, most urgent first.
func (s *Server) attentionNow(ctx context.Context, money api.Credits, counts []runapi.RunCount, now time.Time) (api.Attentions, error) {
	look := trouble{Server: s, ctx: ctx, now: now, money: money, counts: counts}
	var all []api.Attention
	for _, find := range []func() ([]api.Attention, error){look.settings, look.spending, look.submissions, look.foundRates, look.credits,
		look.runs, look.uploads, look.sinks, look.deliveries, look.sources, look.webhooks} {
		more, err := find()
		if err != nil {
			return api.Attentions{}, err
		}
		all = append(all, more...)
	}
	seen, err := s.cfg.Store.Dismissals.List(ctx)
	if err != nil {
		return api.Attentions{}, err
	}
	answer := api.Attentions{Items: []api.Attention{}, Dismissed: []api.Attention{}}
	for _, a := range all {
		if slices.ContainsFunc(seen, func(d liwanag.Dismissal) bool { return d.Kind == a.Kind && d.Thing == a.ID && d.Cause == a.Cause }) {
			answer.Dismissed = append(answer.Dismissed, a)
		} else {
			answer.Items = append(answer.Items, a)
		}
	}
	if err := s.forgetOver(ctx, seen, all); err != nil {
		return api.Attentions{}, err
	}
	answer.Onboarding, err = s.onboarding(ctx)
	answer.Onboarding.Dismissed = slices.ContainsFunc(seen, func(d liwanag.Dismissal) bool { return d.Kind == kindOnboarding })
	return answer, err
}

// forgetOver forgets what was dismissed and is over: should it come again, that is
// another cause.
func (s *Server) forgetOver(ctx context.Context, seen []liwanag.Dismissal, all []api.Attention) error {
	over := slices.DeleteFunc(slices.Clone(seen), func(d liwanag.Dismissal) bool {
		return d.Kind == kindOnboarding ||
			slices.ContainsFunc(all, func(a api.Attention) bool { return d.Kind == a.Kind && d.Thing == a.ID })
	})
	if len(over) == 0 {
		return nil
	}
	return s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		for _, d := range over {
			if err := tx.Dismissals.Delete(d.Kind, d.Thing); err != nil && !errors.Is(err, liwanag.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

// onboarding says what of the first steps is done.
func (s *Server) onboarding(ctx context.Context) (api.Onboarding, error) {
	people, _, err := s.cfg.Store.Subscribers.List(ctx, liwanag.SubscriberFilter{}, liwanag.Page{Limit: 1})
	if err != nil {
		return api.Onboarding{}, err
	}
	sinks, err := s.cfg.Store.Sinks.List(ctx)
	if err != nil {
		return api.Onboarding{}, err
	}
	exports, _, err := s.cfg.Store.Acts.List(ctx, liwanag.ActFilter{Act: "subscribers.export"}, liwanag.Page{Limit: 1})
	if err != nil {
		return api.Onboarding{}, err
	}
	steps := []api.OnboardingStep{
		{Name: "key", Done: !s.cfg.NoKey, Message: "Set FULLENRICH_API_KEY and start the server again: without it nobody is looked up."},
		{Name: "public_url", Done: s.cfg.Unreachable == "",
			Message: "Set LIWANAG_PUBLIC_URL to where FullEnrich reaches this server: until then results are fetched, which takes longer."},
		{Name: "people", Done: len(people) > 0, Message: "Upload a CSV, add a source, or add one person."},
		{Name: "results", Done: len(sinks) > 0 || len(exports) > 0,
			Message: "Export who was found, or have webhooks sent to where you work with them."},
	}
	return api.Onboarding{Done: !slices.ContainsFunc(steps, func(o api.OnboardingStep) bool { return !o.Done }), Steps: steps}, nil
}

// mostNamed is how many things of a kind are named one by one; more are one entry that
// counts them.
const mostNamed = 5

// summed are entries, one a thing, or one for all of them when there are too many; its
// cause is the newest thing, so that it is shown again for the next.
func summed(all []api.Attention, total int64, message string) []api.Attention {
	if len(all) <= mostNamed {
		return all
	}
	sum := api.Attention{Kind: all[0].Kind, Count: max(total, int64(len(all))), Message: message, Cause: all[0].ID}
	for _, a := range all {
		sum.People, sum.Credits = sum.People+a.People, sum.Credits+a.Credits
		if sum.Since.IsZero() || a.Since.Before(sum.Since) {
			sum.Since = a.Since
		}
	}
	return []api.Attention{sum}
}

// causeAt is a cause that another time makes another one.
func causeAt(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// joinedSorted is a set of words as one text.
func joinedSorted(words []string) string {
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}
