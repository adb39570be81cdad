package httpapi

import (
	"context"
	"net/http"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) resendMessages(ctx context.Context, in *runapi.Addressed[*api.ResendRequest]) (api.BulkMessages, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.BulkMessages{}, err
	}
	var said api.ResendRequest
	if in.Body != nil {
		said = *in.Body
	}
	f := liwanag.MessageFilter{SinkID: id, Topic: liwanag.Topic(said.Topic),
		States: []liwanag.MessageState{liwanag.MessageFailed, liwanag.MessageRetrying}}
	if said.State != "" {
		f.States = []liwanag.MessageState{liwanag.MessageState(said.State)}
	}
	return s.inBulk(ctx, id, said.DryRun, said.Expect, func() (int64, error) { return s.cfg.Sinks.CountAgain(ctx, f) },
		func() (int64, error) { return s.cfg.Sinks.ResendAll(ctx, f) })
}

func (s *Server) backfillSink(ctx context.Context, in *runapi.Addressed[*api.BackfillRequest]) (api.BulkMessages, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.BulkMessages{}, err
	}
	var said api.BackfillRequest
	if in.Body != nil {
		said = *in.Body
	}
	filter := api.SubscriberFilter{}
	if said.Where != nil {
		filter = *said.Where
	}
	if filter.Status != "" && filter.Status != string(liwanag.JobEnriched) {
		return api.BulkMessages{}, door.InvalidField("where.status", "a sink is told of people who were found: enriched, or leave it out")
	}
	where, err := s.subscriberFilter(ctx, filter)
	if err != nil {
		return api.BulkMessages{}, err
	}
	return s.inBulk(ctx, id, said.DryRun, said.Expect, func() (int64, error) { return s.cfg.Sinks.CountBackfill(ctx, id, where) },
		func() (int64, error) { return s.cfg.Sinks.Backfill(ctx, id, where) })
}

// inBulk counts, and acts unless it is a trial or another number than was counted before.
func (s *Server) inBulk(ctx context.Context, sink liwanag.ID, dryRun bool, expect *int64,
	count, do func() (int64, error)) (answer api.BulkMessages, err error) {
	if _, err := s.cfg.Store.Sinks.Get(ctx, sink); err != nil {
		return answer, named(err, "sink")
	}
	answer.DryRun = dryRun
	if dryRun || expect != nil {
		if answer.Count, err = count(); err != nil || dryRun {
			return answer, err
		}
		if *expect != answer.Count {
			return answer, door.NewProblem(http.StatusConflict, "count_differs",
				"another number of messages than was counted before: count them again")
		}
	}
	answer.Count, err = do()
	return answer, err
}
