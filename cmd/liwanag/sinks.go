package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type sinksCommand struct {
	List     sinksList     `cmd:"" help:"List the addresses that webhooks are sent to."`
	Add      sinksAdd      `cmd:"" help:"Make a sink; shows its secret, once."`
	Show     sinksShow     `cmd:"" help:"Show a sink."`
	Set      sinksSet      `cmd:"" help:"Change a sink, or switch it off or on."`
	Rotate   sinksRotate   `cmd:"" help:"Make a new secret; shows it, once. Messages are signed with the old one too until the next rotation."`
	Test     sinksTest     `cmd:"" help:"Send a message of topic test."`
	Delete   sinksDelete   `cmd:"" help:"Delete a sink; what was to be sent to it is dropped."`
	Messages sinksMessages `cmd:"" help:"List webhooks out, newest first."`
	Message  sinksMessage  `cmd:"" help:"Show one, with its attempts and what would be sent now."`
	Resend   sinksResend   `cmd:"" help:"Send messages that ended once more, under the same ids, or all of a sink that did not arrive."`
	Backfill sinksBackfill `cmd:"" help:"Tell a sink of people who were found before it existed."`
}

type sinksList struct {
	clientFlags
	outputFlag
}

// Run lists sinks.
func (c *sinksList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type s = api.Sink
	columns := []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"name", func(x s) string { return x.Name }},
		{"state", sinkState},
		{"topics", topicsText},
		{"sent", func(x s) string { return clock(x.SentAt) }},
		{"url", func(x s) string { return x.URL }},
	}
	return list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (runapi.List[s], error) {
		return api.ListSinks.Call(p.ctx, client, runapi.NoInput{})
	})
}

func sinkState(s api.Sink) string {
	switch {
	case s.Disabled:
		return "off"
	case !s.FailingSince.IsZero():
		return "failing"
	}
	return "on"
}

func topicsText(s api.Sink) string {
	if len(s.Topics) == 0 {
		return "all"
	}
	return strings.Join(s.Topics, " ")
}

type sinksAdd struct {
	clientFlags
	URL    string   `arg:"" help:"Where webhooks are sent, such as https://example.com/hooks/liwanag."`
	Name   string   `name:"name" help:"What you call it. Default: the URL's host."`
	Topics []string `name:"topic" placeholder:"TOPIC" help:"What it is told, such as subscriber.enriched; may be repeated. Default: everything."`
	View   string   `name:"view" placeholder:"NAME" help:"A saved view: of people it is told of those whom it selects. Default: of all."`
	showFlag
}

// Run makes a sink.
func (c *sinksAdd) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.AddSink.Call(p.ctx, client, api.AddSinkRequest{Name: c.Name, URL: c.URL, Topics: c.Topics, View: c.View})
	if err != nil {
		return err
	}
	if err := p.showNewSecret(s, c.Output); err != nil || c.Output == "json" {
		return err
	}
	fmt.Fprintln(p.err, "Try: liwanag sinks test "+s.ID)
	return nil
}

func (p *program) showSink(s api.Sink, format string) error {
	if format == "json" {
		return printJSON(p.out, s)
	}
	p.fields([][2]string{{"id", s.ID}, {"name", s.Name}, {"url", s.URL}, {"topics", topicsText(s)}, {"view", s.View},
		{"state", sinkState(s)}, {"why", s.DisabledReason},
		{"secret", s.Secret}, {"failing since", clock(s.FailingSince)}, {"sent", clock(s.SentAt)}, {"created", clock(s.CreatedAt)},
		{"updated", clock(s.UpdatedAt)}})
	return nil
}

// showNewSecret shows a sink whose secret will not be on the screen again.
func (p *program) showNewSecret(s api.Sink, format string) error {
	err := p.showSink(s, format)
	fmt.Fprintln(p.err, "The secret is shown this once. Try: liwanag sinks rotate makes a new one")
	return err
}

// sinkArgument names a sink.
type sinkArgument struct {
	ID string `arg:"" name:"sink" id:"sink" help:"Id of the sink."`
}

type sinksShow struct {
	clientFlags
	sinkArgument
	showFlag
}

// Run shows a sink.
func (c *sinksShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.GetSink.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showSink(s, c.Output)
}

type sinksSet struct {
	clientFlags
	sinkArgument
	Name      string   `name:"name" help:"A new name."`
	URL       string   `name:"url" help:"A new address."`
	Topics    []string `name:"topic" xor:"topics" placeholder:"TOPIC" help:"What it is told from now on; may be repeated."`
	AllTopics bool     `name:"all-topics" xor:"topics" help:"Tell it everything."`
	View      string   `name:"view" xor:"view" placeholder:"NAME" help:"A saved view: of people it is told of those whom it selects."`
	AllPeople bool     `name:"all-people" xor:"view" help:"Tell it of all people."`
	On        bool     `name:"on" xor:"state" help:"Send to it again, what waits first."`
	Off       bool     `name:"off" xor:"state" help:"Send nothing to it."`
	showFlag
}

// Run changes a sink.
func (c *sinksSet) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	change := api.ChangeSinkRequest{Topics: c.Topics}
	if c.AllTopics {
		change.Topics = []string{}
	}
	if c.Name != "" {
		change.Name = &c.Name
	}
	if c.URL != "" {
		change.URL = &c.URL
	}
	if c.On || c.Off {
		change.Disabled = &c.Off
	}
	if c.View != "" || c.AllPeople {
		change.View = &c.View
	}
	if change.Name == nil && change.URL == nil && change.Disabled == nil && change.Topics == nil && change.View == nil {
		return usage("--name, --url, --topic, --all-topics, --view, --all-people, --on or --off", "there is nothing to change")
	}
	s, err := api.ChangeSink.Call(p.ctx, client, runapi.To(c.ID, change))
	if err != nil {
		return err
	}
	return p.showSink(s, c.Output)
}

type sinksRotate struct {
	clientFlags
	sinkArgument
	showFlag
}

// Run makes a new secret.
func (c *sinksRotate) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.RotateSink.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showNewSecret(s, c.Output)
}

type sinksTest struct {
	clientFlags
	sinkArgument
	showFlag
}

// Run sends a test message.
func (c *sinksTest) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	m, err := api.TestSink.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, m)
	}
	if err := p.showMessage(api.MessageDetail{Message: m}, c.Output); err != nil {
		return err
	}
	fmt.Fprintln(p.err, "Try: liwanag sinks message "+m.ID)
	return nil
}

type sinksDelete struct {
	clientFlags
	sinkArgument
	Yes bool `name:"yes" short:"y" help:"Do not ask."`
}

// Run deletes a sink.
func (c *sinksDelete) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.GetSink.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	if !c.Yes {
		question := "Delete " + printable(s.Name, "") + ", and drop what was to be sent to it? [y/N] "
		if agreed, err := p.agrees(question); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was deleted"))
		}
	}
	if _, err := api.DeleteSink.Call(p.ctx, client, runapi.ID(c.ID)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, c.ID+" deleted")
	return err
}

type sinksMessages struct {
	clientFlags
	outputFlag
	pageFlags
	Sink  string `name:"sink" id:"sink" help:"Of this sink."`
	State string `name:"state" enum:",pending,sending,retrying,delivered,failed,dropped" default:"" help:"pending, sending, retrying, delivered, failed or dropped."`
	Topic string `name:"topic" help:"Of this topic, such as subscriber.enriched, or test."`
}

// messageColumns are those of every table of messages.
var messageColumns = []column[api.Message]{
	{"id", func(m api.Message) string { return m.ID }},
	{"topic", func(m api.Message) string { return m.Topic }},
	{"state", func(m api.Message) string { return m.State }},
	{"attempts", func(m api.Message) string { return fmt.Sprint(m.Attempts) }},
	{"created", func(m api.Message) string { return clock(m.CreatedAt) }},
	{"next", func(m api.Message) string { return clock(m.NextAt) }},
	{"why", func(m api.Message) string { return m.Error }},
}

// Run lists messages.
func (c *sinksMessages) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	return list(p, c.outputFlag, c.pageFlags, messageColumns, func(page runapi.Paging) (runapi.List[api.Message], error) {
		return api.ListMessages.Call(p.ctx, client,
			api.MessageQuery{MessageFilter: api.MessageFilter{SinkID: c.Sink, State: c.State, Topic: c.Topic}, Paging: page})
	})
}

type sinksMessage struct {
	clientFlags
	ID string `arg:"" name:"message" id:"message" help:"Id of the message."`
	showFlag
}

// Run shows a message.
func (c *sinksMessage) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	m, err := api.GetMessage.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showMessage(m, c.Output)
}

func (p *program) showMessage(m api.MessageDetail, format string) error {
	if format == "json" {
		return printJSON(p.out, m)
	}
	p.fields([][2]string{{"id", m.ID}, {"sink", m.SinkID}, {"sink's name", m.SinkName},
		{"topic", m.Topic}, {"about", m.Subject}, {"address", m.Email}, {"state", m.State},
		{"why", m.Error}, {"run", m.RunID},
		{"attempts", fmt.Sprint(m.Attempts)}, {"created", clock(m.CreatedAt)}, {"next", clock(m.NextAt)}, {"ended", clock(m.EndedAt)}})
	for _, a := range m.Log {
		answer := a.Error
		if answer == "" {
			answer = fmt.Sprintf("HTTP %d", a.Status)
		}
		fmt.Fprintf(p.out, "  %d. %s  %d ms  %s\n", a.N, clock(a.At), a.TookMs, printable(answer, ""))
	}
	if len(m.Payload) > 0 {
		var body bytes.Buffer
		if err := json.Indent(&body, m.Payload, "", "  "); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "\n%s\n", printable(body.String(), "\n"))
	}
	return nil
}
