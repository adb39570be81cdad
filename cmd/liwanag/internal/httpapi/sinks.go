package httpapi

import (
	"context"
	"errors"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Sinks manages webhooks out; *notify.Sender is the real one.
type Sinks interface {
	Add(ctx context.Context, name, address string, topics []liwanag.Topic, view liwanag.ID) (notify.Made, error)
	Change(ctx context.Context, id liwanag.ID, c notify.Change) (liwanag.Sink, error)
	Rotate(ctx context.Context, id liwanag.ID) (notify.Made, error)
	Delete(ctx context.Context, id liwanag.ID) error
	Test(ctx context.Context, id liwanag.ID) (liwanag.Message, error)
	Resend(ctx context.Context, id liwanag.ID) error
	CountAgain(ctx context.Context, f liwanag.MessageFilter) (int64, error)
	ResendAll(ctx context.Context, f liwanag.MessageFilter) (int64, error)
	CountBackfill(ctx context.Context, id liwanag.ID, where liwanag.SubscriberFilter) (int64, error)
	Backfill(ctx context.Context, id liwanag.ID, where liwanag.SubscriberFilter) (int64, error)
	Payload(ctx context.Context, m liwanag.Message) ([]byte, error)
}

func (s *Server) registerSinks() {
	door.Serve(s.Door, api.ListSinks, s.listSinks)
	door.Serve(s.Door, api.AddSink, s.addSink)
	door.Serve(s.Door, api.GetSink, s.getSink)
	door.Serve(s.Door, api.ChangeSink, s.changeSink)
	door.Serve(s.Door, api.RotateSink, s.rotateSink)
	door.Serve(s.Door, api.TestSink, s.testSink)
	door.Serve(s.Door, api.DeleteSink, s.deleteSink)
	door.Serve(s.Door, api.ResendMessages, s.resendMessages)
	door.Serve(s.Door, api.BackfillSink, s.backfillSink)
	door.Serve(s.Door, api.ListMessages, s.listMessages)
	door.Serve(s.Door, api.GetMessage, s.getMessage)
	door.Serve(s.Door, api.ResendMessage, s.resendMessage)
}

func (s *Server) deleteSink(ctx context.Context, in *runapi.IDPath) (none runapi.None, err error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return none, err
	}
	return none, named(s.cfg.Sinks.Delete(ctx, id), "sink")
}

func viewSink(row liwanag.Sink) api.Sink {
	view := api.Sink{ID: row.ID.String(), Name: row.Name, URL: row.URL, Topics: []string{}, Disabled: row.Disabled,
		DisabledReason: row.DisabledReason,
		FailingSince:   utc(row.FailingSince), SentAt: utc(row.SentAt), CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC()}
	for _, topic := range row.Topics {
		view.Topics = append(view.Topics, string(topic))
	}
	return view
}

// shownSink is a sink with the name of the view that it goes by.
func (s *Server) shownSink(ctx context.Context, row liwanag.Sink, err error) (api.Sink, error) {
	if err != nil {
		return api.Sink{}, named(err, "sink")
	}
	view := viewSink(row)
	if !row.ViewID.IsZero() {
		condition, err := s.cfg.Store.Views.Get(ctx, row.ViewID.String())
		if err != nil {
			return view, err
		}
		view.View = condition.Name
	}
	return view, nil
}

func (s *Server) shownMade(ctx context.Context, m notify.Made) (api.Sink, error) {
	view, err := s.shownSink(ctx, m.Sink, nil)
	view.Secret = m.Secret
	return view, err
}

func topicsOf(words []string) []liwanag.Topic {
	if words == nil {
		return nil
	}
	topics := make([]liwanag.Topic, len(words))
	for i, word := range words {
		topics[i] = liwanag.Topic(word)
	}
	return topics
}

func (s *Server) listSinks(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.Sink], error) {
	rows, err := s.cfg.Store.Sinks.List(ctx)
	if err != nil {
		return runapi.List[api.Sink]{}, err
	}
	all := listOf(rows, "", viewSink)
	for i, row := range rows {
		if all.Items[i], err = s.shownSink(ctx, row, nil); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (s *Server) addSink(ctx context.Context, in *api.AddSinkRequest) (api.Sink, error) {
	view, err := s.viewID(ctx, in.View)
	if err != nil {
		return api.Sink{}, err
	}
	made, err := s.cfg.Sinks.Add(ctx, in.Name, in.URL, topicsOf(in.Topics), view)
	if err != nil {
		return api.Sink{}, err
	}
	return s.shownMade(ctx, made)
}

func (s *Server) getSink(ctx context.Context, in *runapi.IDPath) (api.Sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.Sink{}, err
	}
	row, err := s.cfg.Store.Sinks.Get(ctx, id)
	return s.shownSink(ctx, row, err)
}

func (s *Server) changeSink(ctx context.Context, in *runapi.Addressed[api.ChangeSinkRequest]) (api.Sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.Sink{}, err
	}
	change := notify.Change{Name: in.Body.Name, URL: in.Body.URL, Topics: topicsOf(in.Body.Topics), Disabled: in.Body.Disabled}
	if in.Body.View != nil {
		view, err := s.viewID(ctx, *in.Body.View)
		if err != nil {
			return api.Sink{}, err
		}
		change.View = &view
	}
	row, err := s.cfg.Sinks.Change(ctx, id, change)
	return s.shownSink(ctx, row, err)
}

func (s *Server) rotateSink(ctx context.Context, in *runapi.IDPath) (api.Sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.Sink{}, err
	}
	made, err := s.cfg.Sinks.Rotate(ctx, id)
	if err != nil {
		return api.Sink{}, named(err, "sink")
	}
	return s.shownMade(ctx, made)
}

func (s *Server) testSink(ctx context.Context, in *runapi.IDPath) (api.Message, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return api.Message{}, err
	}
	row, err := s.cfg.Sinks.Test(ctx, id)
	return s.messageOf(ctx, row, named(err, "sink"))
}

// viewMessages show messages with the names of their sinks and the addresses of those
// they are about.
func (s *Server) viewMessages(ctx context.Context, rows []liwanag.Message) ([]api.Message, error) {
	sinks, err := s.cfg.Store.Sinks.List(ctx)
	if err != nil {
		return nil, err
	}
	var about []liwanag.ID
	for _, m := range rows {
		if m.Subject.Kind() == liwanag.SubscriberKind && !slices.Contains(about, m.Subject) {
			about = append(about, m.Subject)
		}
	}
	names := map[string]string{}
	for _, sink := range sinks {
		names[sink.ID.String()] = sink.Name
	}
	if len(about) > 0 {
		people, _, err := s.cfg.Store.Subscribers.List(ctx, liwanag.SubscriberFilter{IDs: about}, liwanag.Page{Limit: len(about)})
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			names[p.ID.String()] = p.Email
		}
	}
	views := make([]api.Message, len(rows))
	for i, m := range rows {
		views[i] = viewMessage(m)
		views[i].SinkName = names[views[i].SinkID]
		if m.Subject.Kind() == liwanag.SubscriberKind {
			views[i].Email = names[views[i].Subject]
		}
	}
	return views, nil
}

// messageOf shows a message that was read, unless it could not be.
func (s *Server) messageOf(ctx context.Context, row liwanag.Message, err error) (api.Message, error) {
	if err != nil {
		return api.Message{}, err
	}
	views, err := s.viewMessages(ctx, []liwanag.Message{row})
	if err != nil {
		return api.Message{}, err
	}
	return views[0], nil
}

func viewMessage(m liwanag.Message) api.Message {
	return api.Message{ID: m.ID.String(), SinkID: m.SinkID.String(), Topic: string(m.Topic), Subject: m.Subject.String(),
		State: string(m.State),
		RunID: m.RunID.String(), Attempts: m.Attempts, Status: m.Status, Error: m.Error, CreatedAt: m.CreatedAt.UTC(), NextAt: utc(m.NextAt),
		EndedAt: utc(m.EndedAt)}
}

func (s *Server) listMessages(ctx context.Context, in *api.MessageQuery) (runapi.List[api.Message], error) {
	f := liwanag.MessageFilter{Topic: liwanag.Topic(in.Topic)}
	if in.State != "" {
		f.States = []liwanag.MessageState{liwanag.MessageState(in.State)}
	}
	if in.SinkID != "" {
		id, err := liwanag.ParseID(liwanag.SinkKind, in.SinkID)
		if err != nil {
			return runapi.List[api.Message]{}, door.BadParameter("sinkId", "it is no id of a sink")
		}
		f.SinkID = id
	}
	rows, next, err := s.cfg.Store.Messages.List(ctx, f, pageOf(in.Paging))
	if err != nil {
		return runapi.List[api.Message]{}, err
	}
	views, err := s.viewMessages(ctx, rows)
	return listOf(views, next, func(m api.Message) api.Message { return m }), err
}

func (s *Server) getMessage(ctx context.Context, in *runapi.IDPath) (api.MessageDetail, error) {
	id, err := idOf(liwanag.MessageKind, in.ID, "message")
	if err != nil {
		return api.MessageDetail{}, err
	}
	row, err := s.cfg.Store.Messages.Get(ctx, id)
	if err != nil {
		return api.MessageDetail{}, named(err, "message")
	}
	log, err := s.cfg.Store.Messages.Attempts(ctx, id)
	if err != nil {
		return api.MessageDetail{}, err
	}
	head, err := s.messageOf(ctx, row, nil)
	if err != nil {
		return api.MessageDetail{}, err
	}
	view := api.MessageDetail{Message: head, Log: make([]api.MessageAttempt, len(log))}
	for i, a := range log {
		view.Log[i] = api.MessageAttempt{N: a.N, At: a.At.UTC(), TookMs: a.Took.Milliseconds(), Status: a.Status, Error: a.Error}
	}
	view.Payload, err = s.cfg.Sinks.Payload(ctx, row)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = nil
	}
	return view, err
}

func (s *Server) resendMessage(ctx context.Context, in *runapi.IDPath) (api.Message, error) {
	id, err := idOf(liwanag.MessageKind, in.ID, "message")
	if err != nil {
		return api.Message{}, err
	}
	if err := s.cfg.Sinks.Resend(ctx, id); err != nil {
		return api.Message{}, named(err, "message")
	}
	row, err := s.cfg.Store.Messages.Get(ctx, id)
	return s.messageOf(ctx, row, err)
}
