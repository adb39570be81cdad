package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSinks() {
	c.handle("GET /sinks", func(v *visit) error { return c.sinks(v, nil) })
	c.handle("POST /sinks", c.addSink)
	c.handle("GET /sinks/{id}", func(v *visit) error { return c.sink(v, nil, nil) })
	c.handle("POST /sinks/{id}/settings", c.changeSink)
	c.handle("POST /sinks/{id}/rotate", func(v *visit) error {
		made, err := api.RotateSink.Call(v.Context(), v.api, runapi.ID(v.PathValue("id")))
		if err != nil {
			return c.sink(v, nil, err)
		}
		return c.sink(v, &made, nil)
	})
	c.handle("POST /sinks/{id}/test", func(v *visit) error {
		m, err := api.TestSink.Call(v.Context(), v.api, runapi.ID(v.PathValue("id")))
		if err != nil {
			return c.sink(v, nil, err)
		}
		return v.goTo(under("/messages", m.ID), "A test message is on its way.")
	})
	c.handle("POST /sinks/{id}/delete", func(v *visit) error {
		if _, err := api.DeleteSink.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
			return c.sink(v, nil, err)
		}
		return v.goTo("/sinks", "It is deleted, and what was to be sent to it dropped.")
	})
	c.handle("POST /sinks/{id}/resend", c.resend)
	c.handle("POST /sinks/{id}/backfill", c.backfill)
	c.handle("GET /messages", c.messages)
	c.handle("GET /messages/{id}", func(v *visit) error { return c.message(v, nil) })
	c.handle("POST /messages/{id}/resend", func(v *visit) error {
		id := v.PathValue("id")
		if _, err := api.ResendMessage.Call(v.Context(), v.api, runapi.ID(id)); err != nil {
			return c.message(v, err)
		}
		return v.goTo(under("/messages", id), "The message is sent once more.")
	})
}

var (
	topics = []string{"subscriber.enriched", "subscriber.enrichment_failed", "subscriber.unsubscribed", "upload.completed",
		"submission.held", "credits.low", "webhooks.silent"}
	messageStates = []string{"pending", "sending", "retrying", "delivered", "failed", "dropped"}
)

// topicWords say when a topic is told.
var topicWords = map[string]string{
	"subscriber.enriched": "somebody was found", "subscriber.enrichment_failed": "somebody was not found, or their lookup failed for good",
	"subscriber.unsubscribed": "somebody left, as a sender, a file or one of you said",
	"upload.completed":        "every lookup of an upload has its answer", "submission.held": "a paid call needs your decision",
	"credits.low": "the balance fell below the mark", "webhooks.silent": "FullEnrich's webhooks do not come",
}

// sinksView is what the list of sinks shows.
type sinksView struct {
	*visit
	List runapi.List[api.Sink]
}

func (c *Console) sinks(v *visit, fault error) error {
	list, err := api.ListSinks.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: "Webhooks out", Nav: "/sinks", Here: "/sinks"}, sinksPage(sinksView{v, list}))
}

func (c *Console) addSink(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	made, err := api.AddSink.Call(v.Context(), v.api,
		api.AddSinkRequest{Name: strings.TrimSpace(v.PostForm.Get("name")), URL: strings.TrimSpace(v.PostForm.Get("url")),
			Topics: v.PostForm["topic"]})
	if err != nil {
		return c.sinks(v, err)
	}
	return c.sink(v, &made, nil)
}

// sinkView is what the page of a sink shows.
type sinkView struct {
	*visit
	Sink     api.Sink
	Messages runapi.List[api.Message]
	Again    int64  // messages that a resend sends
	Counted  *int64 // people whom a back-fill tells of, once they were counted
}

// whereNames are the conditions of a back-fill.
var whereNames = []choice{{"seniority", "Seniority"}, {"source", "Source"}, {"tag", "Tag"}, {"q", "Address, name or company"}}

func whereOf(v *visit) *api.SubscriberFilter {
	return &api.SubscriberFilter{Seniority: v.PostForm.Get("seniority"), Source: v.PostForm.Get("source"), Tag: v.PostForm.Get("tag"),
		Q: v.PostForm.Get("q")}
}

// whereWords say what was asked for.
func (v sinkView) whereWords() string {
	var all []string
	for _, f := range whereNames {
		if value := v.PostForm.Get(f.Value); value != "" {
			all = append(all, f.Text+" "+value)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

func (c *Console) resend(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	request := &api.ResendRequest{}
	if n, err := strconv.ParseInt(v.PostForm.Get("expect"), 10, 64); err == nil {
		request.Expect = &n
	}
	sent, err := api.ResendMessages.Call(v.Context(), v.api, runapi.To(id, request))
	if err != nil {
		return c.sink(v, nil, err)
	}
	return v.goTo(under("/sinks", id), plural(sent.Count, "message is", "messages are")+" sent once more.")
}

// backfill counts first; with the count it sends.
func (c *Console) backfill(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id, request := v.PathValue("id"), &api.BackfillRequest{Where: whereOf(v), DryRun: true}
	if n, err := strconv.ParseInt(v.PostForm.Get("expect"), 10, 64); err == nil {
		request.DryRun, request.Expect = false, &n
	}
	counted, err := api.BackfillSink.Call(v.Context(), v.api, runapi.To(id, request))
	if err != nil {
		return c.sink(v, nil, err)
	}
	if request.DryRun {
		return c.sinkPage(v, sinkView{Counted: &counted.Count}, nil, nil)
	}
	return v.goTo(under("/sinks", id), plural(counted.Count, "message is", "messages are")+" on the way.")
}

// sink shows a sink: the one that was just made, or the one of the address.
func (c *Console) sink(v *visit, made *api.Sink, fault error) error {
	return c.sinkPage(v, sinkView{}, made, fault)
}

func (c *Console) sinkPage(v *visit, view sinkView, made *api.Sink, fault error) error {
	view.visit = v
	var err error
	if made != nil {
		view.Sink = *made
	} else if view.Sink, err = api.GetSink.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
		return err
	}
	if view.Messages, err = api.ListMessages.Call(v.Context(), v.api,
		api.MessageQuery{MessageFilter: api.MessageFilter{SinkID: view.Sink.ID, State: v.param("state")}, Paging: v.page()}); err != nil {
		return err
	}
	again, err := api.ResendMessages.Call(v.Context(), v.api, runapi.To(view.Sink.ID, &api.ResendRequest{DryRun: true}))
	if err != nil {
		return err
	}
	view.Again = again.Count
	return v.showOr(fault, frame{Title: view.Sink.Name, Nav: "/sinks", Here: under("/sinks", view.Sink.ID),
		Crumbs: []crumb{{"Webhooks out", "/sinks"}}}, sinkPage(view))
}

func (c *Console) changeSink(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	var change api.ChangeSinkRequest
	if name := strings.TrimSpace(v.PostForm.Get("name")); name != "" {
		address := strings.TrimSpace(v.PostForm.Get("url"))
		change.Name, change.URL, change.Topics = &name, &address, append([]string{}, v.PostForm["topic"]...)
	}
	if state := v.PostForm.Get("state"); state != "" {
		off := state == "off"
		change.Disabled = &off
	}
	if _, err := api.ChangeSink.Call(v.Context(), v.api, runapi.To(id, change)); err != nil {
		return c.sink(v, nil, err)
	}
	return v.goTo(under("/sinks", id), "The settings are saved.")
}

// stateOf is how a sink stands.
func stateOf(s api.Sink) string {
	switch {
	case s.Disabled:
		return "disabled"
	case !s.FailingSince.IsZero():
		return "failing"
	}
	return "enabled"
}

// messagesView is what the list of messages shows.
type messagesView struct {
	*visit
	List runapi.List[api.Message]
}

func (c *Console) messages(v *visit) error {
	list, err := api.ListMessages.Call(v.Context(), v.api,
		api.MessageQuery{MessageFilter: api.MessageFilter{SinkID: v.param("sinkId"), State: v.param("state"),
			Topic: v.param("topic")}, Paging: v.page()})
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, frame{Title: "Messages", Nav: "/sinks", Crumbs: []crumb{{"Webhooks out", "/sinks"}}},
		messagesPage(messagesView{v, list}))
}

// messageView is what the page of a message shows.
type messageView struct {
	*visit
	Message api.MessageDetail
}

func (v messageView) over() bool {
	return v.Message.State == "delivered" || v.Message.State == "failed" || v.Message.State == "dropped"
}

func (c *Console) message(v *visit, fault error) error {
	id := v.PathValue("id")
	m, err := api.GetMessage.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: shortID(m.ID), Nav: "/sinks", Here: under("/messages", id),
		Crumbs: []crumb{{"Webhooks out", "/sinks"}, {firstOf(m.SinkName, "Webhook"), under("/sinks", m.SinkID)}}}, messagePage(messageView{v, m}))
}
