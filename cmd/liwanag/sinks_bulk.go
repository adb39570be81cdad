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

type sinksResend struct {
	clientFlags
	IDs    []string `arg:"" optional:"" name:"message" id:"message" help:"Ids of messages; left out: those of --sink that did not arrive."`
	Sink   string   `name:"sink" id:"sink" help:"All of this sink that failed or wait for another attempt."`
	State  string   `name:"state" enum:",failed,retrying,dropped,delivered" default:"" help:"Of --sink those in this state: failed, retrying, dropped or delivered."`
	Topic  string   `name:"topic" help:"Of --sink those of this topic, such as subscriber.enriched."`
	DryRun bool     `name:"dry-run" help:"Only count."`
	Yes    bool     `name:"yes" short:"y" help:"Do not ask."`
	outputFlag
}

// Run sends messages once more; the first of some ids that cannot be sent ends it.
func (c *sinksResend) Run(p *program) error {
	if (len(c.IDs) > 0) == (c.Sink != "") || c.Sink == "" && (c.State != "" || c.Topic != "" || c.DryRun) {
		return usage("liwanag sinks resend --sink SINK", "either ids of messages or --sink are needed")
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	if c.Sink != "" {
		return p.messages("sent once more", c.DryRun, c.Yes, c.Output, func(dryRun bool, expect *int64) (api.BulkMessages, error) {
			return api.ResendMessages.Call(p.ctx, client,
				runapi.To(c.Sink, &api.ResendRequest{State: c.State, Topic: c.Topic, DryRun: dryRun, Expect: expect}))
		})
	}
	return write(p, c.outputFlag, messageColumns, func(yield func(api.Message, error) bool) {
		for _, id := range c.IDs {
			m, err := api.ResendMessage.Call(p.ctx, client, runapi.ID(id))
			if !yield(m, err) || err != nil {
				return
			}
		}
	})
}

type sinksBackfill struct {
	clientFlags
	sinkArgument
	Where  []string `name:"where" placeholder:"FIELD=VALUE" help:"Only people whose field has this value, such as seniority=VP or source=blog; may be repeated. Fields are the filters of GET /api/v1/subscribers."`
	View   string   `name:"view" placeholder:"NAME" help:"Only people whom this saved view selects."`
	DryRun bool     `name:"dry-run" help:"Only count."`
	Yes    bool     `name:"yes" short:"y" help:"Do not ask."`
	outputFlag
}

// Run tells a sink of people who were found before it existed.
func (c *sinksBackfill) Run(p *program) error {
	where, err := whereOf(c.Where)
	if err != nil {
		return err
	}
	if c.View != "" {
		where.View = c.View
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	return p.messages("sent", c.DryRun, c.Yes, c.Output, func(dryRun bool, expect *int64) (api.BulkMessages, error) {
		return api.BackfillSink.Call(p.ctx, client, runapi.To(c.ID, &api.BackfillRequest{Where: where, DryRun: dryRun, Expect: expect}))
	})
}

// whereOf reads conditions, each FIELD=VALUE.
func whereOf(conditions []string) (*api.SubscriberFilter, error) {
	fields := map[string]string{}
	for _, condition := range conditions {
		name, value, ok := strings.Cut(condition, "=")
		if !ok {
			return nil, usage("--where seniority=VP", "%q is no FIELD=VALUE", condition)
		}
		fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var where api.SubscriberFilter
	if err := decoder.Decode(&where); err != nil {
		return nil, usage("--where seniority=VP, source=blog, tag=early or emailType=personal", "the condition is not understood: %v", err)
	}
	return &where, nil
}

// messages counts, asks, and has them sent; done says what became of them.
func (p *program) messages(done string, dryRun, yes bool, format string,
	act func(dryRun bool, expect *int64) (api.BulkMessages, error)) error {
	counted, err := act(true, nil)
	if err != nil {
		return err
	}
	if !dryRun && counted.Count > 0 {
		if !yes {
			if agreed, err := p.agrees(fmt.Sprintf("Send %s? [y/N] ", plural(counted.Count, "message"))); err != nil || !agreed {
				return errors.Join(err, errors.New("nothing was sent"))
			}
		}
		if counted, err = act(false, &counted.Count); err != nil {
			return err
		}
	}
	switch {
	case format == "json":
		return printJSON(p.out, counted)
	case dryRun:
		done = "would be " + done
	}
	_, err = fmt.Fprintf(p.out, "%s %s\n", plural(counted.Count, "message"), done)
	return err
}
