package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/notify"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Sinks manages webhooks out; *notify.Sender is the real one.
type Sinks interface {
	Add(ctx context.Context, name, address string, topics []liwanag.Topic) (notify.Made, error)
	Change(ctx context.Context, id liwanag.ID, c notify.Change) (liwanag.Sink, error)
	Rotate(ctx context.Context, id liwanag.ID) (notify.Made, error)
	Delete(ctx context.Context, id liwanag.ID) error
	Test(ctx context.Context, id liwanag.ID) (liwanag.Message, error)
	Resend(ctx context.Context, id liwanag.ID) error
	Payload(ctx context.Context, m liwanag.Message) ([]byte, error)
}

const (
	sinksPath    = "/api/v1/sinks"
	messagesPath = "/api/v1/messages"
)

func (s *Server) registerSinks() {
	handle(s, s.describe("GET", sinksPath, "list-sinks", "List the addresses that webhooks are sent to, oldest first", 200), s.listSinks)
	handle(s, s.describe("POST", sinksPath, "add-sink", "Make a sink; the answer shows its secret, once", http.StatusCreated), s.addSink)
	handle(s, s.describe("GET", sinksPath+"/{id}", "get-sink", "One sink", 200), s.getSink)
	handle(s, s.describe("PATCH", sinksPath+"/{id}", "change-sink", "Change a sink; enabling one sends what waits", 200), s.changeSink)
	handle(s, s.describe("POST", sinksPath+"/{id}/rotate", "rotate-sink", "Make a new secret, shown once; the one before signs too until the next rotation", 200), s.rotateSink)
	handle(s, s.describe("POST", sinksPath+"/{id}/test", "test-sink", "Send a message of topic test", http.StatusAccepted), s.testSink)
	silent(s, s.describe("DELETE", sinksPath+"/{id}", "delete-sink", "Delete a sink; what was to be sent to it is dropped", http.StatusNoContent),
		func(ctx context.Context, in *runapi.IDPath) error {
			id, err := idOf(liwanag.SinkKind, in.ID, "sink")
			if err != nil {
				return err
			}
			return named(s.cfg.Sinks.Delete(ctx, id), "sink")
		})
	handle(s, s.describe("GET", messagesPath, "list-messages", "List webhooks out, newest first", 200), s.listMessages)
	handle(s, s.describe("GET", messagesPath+"/{id}", "get-message", "One message, with its attempts and what would be sent now", 200), s.getMessage)
	handle(s, s.describe("POST", messagesPath+"/{id}/resend", "resend-message", "Send a message that ended once more, under the same id", http.StatusAccepted), s.resendMessage)
}

// sink is a sink as the API shows it.
type sink struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	URL            string    `json:"url"`
	Topics         []string  `json:"topics" nullable:"false" doc:"What it is told; empty: everything."`
	Disabled       bool      `json:"disabled" doc:"Nothing is sent; what comes for it waits if it was disabled for its failures."`
	DisabledReason string    `json:"disabledReason,omitempty" doc:"Why it was disabled without a person."`
	FailingSince   time.Time `json:"failingSince,omitzero" doc:"Absent: it took the last message."`
	SentAt         time.Time `json:"sentAt,omitzero" doc:"About when it took a message last."`
	Secret         string    `json:"secret,omitempty" doc:"There once, in the answer that made it."`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
}

func viewSink(row liwanag.Sink) sink {
	view := sink{ID: row.ID.String(), Name: row.Name, URL: row.URL, Topics: []string{}, Disabled: row.Disabled, DisabledReason: row.DisabledReason,
		FailingSince: utc(row.FailingSince), SentAt: utc(row.SentAt), CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC()}
	for _, topic := range row.Topics {
		view.Topics = append(view.Topics, string(topic))
	}
	return view
}

func viewMade(m notify.Made) sink {
	view := viewSink(m.Sink)
	view.Secret = m.Secret
	return view
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

func (s *Server) listSinks(ctx context.Context, _ *struct{}) (runapi.List[sink], error) {
	rows, err := s.cfg.Store.Sinks().List(ctx)
	return listOf(rows, "", viewSink), err
}

func (s *Server) addSink(ctx context.Context, in *struct {
	Body struct {
		Name   string   `json:"name,omitempty" maxLength:"100" doc:"Left out: the URL's host."`
		URL    string   `json:"url" minLength:"1" maxLength:"2000" doc:"https; http and inner addresses only within LIWANAG_SINK_ALLOW."`
		Topics []string `json:"topics,omitempty" nullable:"false" enum:"subscriber.enriched,subscriber.enrichment_failed,upload.completed,submission.held,credits.low,webhooks.silent" doc:"Left out: all."`
	}
}) (sink, error) {
	made, err := s.cfg.Sinks.Add(ctx, in.Body.Name, in.Body.URL, topicsOf(in.Body.Topics))
	return viewMade(made), err
}

func (s *Server) getSink(ctx context.Context, in *runapi.IDPath) (sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return sink{}, err
	}
	row, err := s.cfg.Store.Sinks().Get(ctx, id)
	return viewSink(row), named(err, "sink")
}

func (s *Server) changeSink(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		Name     *string  `json:"name,omitempty" minLength:"1" maxLength:"100"`
		URL      *string  `json:"url,omitempty" minLength:"1" maxLength:"2000"`
		Topics   []string `json:"topics,omitempty" nullable:"false" enum:"subscriber.enriched,subscriber.enrichment_failed,upload.completed,submission.held,credits.low,webhooks.silent" doc:"Left out: as they are; empty: all."`
		Disabled *bool    `json:"disabled,omitempty"`
	}
}) (sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return sink{}, err
	}
	row, err := s.cfg.Sinks.Change(ctx, id, notify.Change{Name: in.Body.Name, URL: in.Body.URL, Topics: topicsOf(in.Body.Topics), Disabled: in.Body.Disabled})
	return viewSink(row), named(err, "sink")
}

func (s *Server) rotateSink(ctx context.Context, in *runapi.IDPath) (sink, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return sink{}, err
	}
	made, err := s.cfg.Sinks.Rotate(ctx, id)
	return viewMade(made), named(err, "sink")
}

func (s *Server) testSink(ctx context.Context, in *runapi.IDPath) (message, error) {
	id, err := idOf(liwanag.SinkKind, in.ID, "sink")
	if err != nil {
		return message{}, err
	}
	row, err := s.cfg.Sinks.Test(ctx, id)
	return viewMessage(row), named(err, "sink")
}

// message is a webhook out as the API shows it.
type message struct {
	ID        string    `json:"id" doc:"Also its webhook-id, the same in every attempt."`
	SinkID    string    `json:"sinkId"`
	Topic     string    `json:"topic"`
	Subject   string    `json:"subject,omitempty" doc:"The id of the subscriber, upload or submission it is about."`
	State     string    `json:"state" enum:"pending,sending,retrying,delivered,failed,dropped"`
	RunID     string    `json:"runId,omitempty" doc:"The run that sends it."`
	Attempts  int       `json:"attempts"`
	Status    int       `json:"status,omitempty" doc:"HTTP, of the last attempt; absent without an answer."`
	Error     string    `json:"error,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	NextAt    time.Time `json:"nextAt,omitzero" doc:"About when it is tried again."`
	EndedAt   time.Time `json:"endedAt,omitzero"`
}

func viewMessage(m liwanag.Message) message {
	return message{ID: m.ID.String(), SinkID: m.SinkID.String(), Topic: string(m.Topic), Subject: m.Subject.String(), State: string(m.State),
		RunID: m.RunID.String(), Attempts: m.Attempts, Status: m.Status, Error: m.Error, CreatedAt: m.CreatedAt.UTC(), NextAt: utc(m.NextAt), EndedAt: utc(m.EndedAt)}
}

// messageDetail is a message with its log.
type messageDetail struct {
	message
	Log     []messageAttempt `json:"log" nullable:"false" doc:"Its attempts, oldest first."`
	Payload json.RawMessage  `json:"payload,omitempty" doc:"What would be sent now; absent when what it is about is gone."`
}

// messageAttempt is one try of sending a message.
type messageAttempt struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	TookMs int64     `json:"tookMs"`
	Status int       `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
}

func (s *Server) listMessages(ctx context.Context, in *struct {
	SinkID string `query:"sinkId"`
	State  string `query:"state" enum:"pending,sending,retrying,delivered,failed,dropped"`
	Topic  string `query:"topic" enum:"subscriber.enriched,subscriber.enrichment_failed,upload.completed,submission.held,credits.low,webhooks.silent,test"`
	runapi.Paging
}) (runapi.List[message], error) {
	f := liwanag.MessageFilter{Topic: liwanag.Topic(in.Topic)}
	if in.State != "" {
		f.States = []liwanag.MessageState{liwanag.MessageState(in.State)}
	}
	if in.SinkID != "" {
		id, err := liwanag.ParseID(liwanag.SinkKind, in.SinkID)
		if err != nil {
			return runapi.List[message]{}, badParameter("sinkId", "it is no id of a sink")
		}
		f.SinkID = id
	}
	rows, next, err := s.cfg.Store.Messages().List(ctx, f, pageOf(in.Paging))
	return listOf(rows, next, viewMessage), err
}

func (s *Server) getMessage(ctx context.Context, in *runapi.IDPath) (messageDetail, error) {
	id, err := idOf(liwanag.MessageKind, in.ID, "message")
	if err != nil {
		return messageDetail{}, err
	}
	row, err := s.cfg.Store.Messages().Get(ctx, id)
	if err != nil {
		return messageDetail{}, named(err, "message")
	}
	log, err := s.cfg.Store.Messages().Attempts(ctx, id)
	if err != nil {
		return messageDetail{}, err
	}
	view := messageDetail{message: viewMessage(row), Log: make([]messageAttempt, len(log))}
	for i, a := range log {
		view.Log[i] = messageAttempt{a.N, a.At.UTC(), a.Took.Milliseconds(), a.Status, a.Error}
	}
	view.Payload, err = s.cfg.Sinks.Payload(ctx, row)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = nil
	}
	return view, err
}

func (s *Server) resendMessage(ctx context.Context, in *runapi.IDPath) (message, error) {
	id, err := idOf(liwanag.MessageKind, in.ID, "message")
	if err != nil {
		return message{}, err
	}
	if err := s.cfg.Sinks.Resend(ctx, id); err != nil {
		return message{}, named(err, "message")
	}
	row, err := s.cfg.Store.Messages().Get(ctx, id)
	return viewMessage(row), err
}
