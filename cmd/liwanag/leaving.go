package main

import (
	"errors"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type subscribersExportPerson struct {
	clientFlags
	ID string `arg:"" id:"subscriber" help:"Id or address of the subscriber."`
}

// Run exports everything that is kept of one person.
func (c *subscribersExportPerson) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	person, err := api.ExportPerson.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return printJSON(p.out, person)
}

// standingFlags say whose standing is changed, and why.
type standingFlags struct {
	clientFlags
	ID     string `arg:"" name:"id" help:"Id or address of the subscriber."`
	Reason string `name:"reason" help:"Kept in the audit trail: no personal data."`
	showFlag
}

type subscribersUnsubscribe struct{ standingFlags }

// Run notes that a person left.
func (c *subscribersUnsubscribe) Run(p *program) error {
	return c.stand(p, api.UnsubscribeSubscriber, "unsubscribed")
}

type subscribersResubscribe struct{ standingFlags }

// Run notes that a person came back.
func (c *subscribersResubscribe) Run(p *program) error {
	return c.stand(p, api.ResubscribeSubscriber, "subscribed")
}

func (c *standingFlags) stand(p *program, route runapi.Route[runapi.Addressed[*api.StandingRequest], api.Standing], word string) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	now, err := route.Call(p.ctx, client, runapi.To(c.ID, &api.StandingRequest{Reason: c.Reason}))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, now)
	}
	_, err = fmt.Fprintf(p.out, "%s %s, %s changed\n", now.SubscriberID, word, plural(int64(now.Rows), "row"))
	return err
}

type subscribersErase struct {
	clientFlags
	ID       string `arg:"" name:"id" id:"subscriber" help:"Id or address of the subscriber."`
	Reason   string `name:"reason" help:"Kept in the audit trail: no personal data."`
	Suppress bool   `name:"suppress" help:"Keep an HMAC of the address, so that nobody brings the person in again."`
	Yes      bool   `name:"yes" short:"y" help:"Do not ask."`
}

// Run erases a person.
func (c *subscribersErase) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	person, err := api.GetSubscriber.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	if !c.Yes {
		who := printable(person.Email, "")
		for _, other := range person.SameMailbox {
			who += ", " + printable(other.Email, "")
		}
		question := "Erase " + who + ", their profile and what sources received of them? It cannot be undone. [y/N] "
		if agreed, err := p.agrees(question); err != nil || !agreed {
			return errors.Join(err, errors.New("nobody was erased"))
		}
	}
	request := api.EraseRequest{IDPath: runapi.ID(c.ID), Reason: c.Reason, Suppress: c.Suppress}
	if _, err := api.EraseSubscriber.Call(p.ctx, client, request); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s erased, %s\n", c.ID, plural(int64(1+len(person.SameMailbox)), "row"))
	return err
}
