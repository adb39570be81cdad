package main

import (
	"context"
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

type subscribersUnsubscribe struct {
	manyFlags
	showFlag
}

// Run notes that people left. One id is its own confirmation.
func (c *subscribersUnsubscribe) Run(p *program) error {
	if len(c.IDs) == 1 && !c.DryRun {
		one := standingFlags{clientFlags: c.clientFlags, ID: c.IDs[0], Reason: c.Reason, showFlag: c.showFlag}
		return one.stand(p, api.UnsubscribeSubscriber, "unsubscribed")
	}
	return c.act(p, c.showFlag, manyAct{"unsubscribe", "unsubscribed", "", api.UnsubscribeSubscribers.Call})
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

type subscribersSuppress struct {
	manyFlags
	showFlag
}

// Run suppresses the addresses of people, who stay.
func (c *subscribersSuppress) Run(p *program) error {
	return c.act(p, c.showFlag, manyAct{"suppress", "suppressed", "", api.SuppressSubscribers.Call})
}

type subscribersErase struct {
	manyFlags
	Suppress bool `name:"suppress" help:"Keep an HMAC of each address, so that nobody brings the person in again."`
	showFlag
}

// Run erases people.
func (c *subscribersErase) Run(p *program) error {
	if len(c.IDs) == 1 && !c.DryRun {
		return c.one(p)
	}
	return c.act(p, c.showFlag, manyAct{"erase", "erased", ", with their profiles and what sources received of them (it cannot be undone)",
		func(ctx context.Context, client runapi.Caller, in api.ActMany) (api.ActedMany, error) {
			return api.EraseSubscribers.Call(ctx, client, api.EraseMany{ActMany: in, Suppress: c.Suppress})
		}})
}

// one erases a person, whose addresses it shows before.
func (c *subscribersErase) one(p *program) error {
	id := c.IDs[0]
	client, err := c.dial()
	if err != nil {
		return err
	}
	person, err := api.GetSubscriber.Call(p.ctx, client, runapi.ID(id))
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
	backups, err := api.ListBackups.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	request := api.EraseRequest{IDPath: runapi.ID(id), Reason: c.Reason, Suppress: c.Suppress}
	if _, err := api.EraseSubscriber.Call(p.ctx, client, request); err != nil {
		return err
	}
	rows, held := int64(1+len(person.SameMailbox)), api.Holding(backups.Items, person.Since())
	if c.Output == "json" {
		return printJSON(p.out, api.ActedMany{Count: 1, Rows: rows, Changed: rows, Backups: held})
	}
	_, err = fmt.Fprintf(p.out, "%s erased, %s%s\n", id, plural(rows, "row"), heldBy(held))
	return err
}

// heldBy names the backups that people who were erased are still in.
func heldBy(backups []string) (words string) {
	for _, path := range backups {
		words += "\nstill in the backup " + printable(path, "") + ": delete it, or let it go by LIWANAG_BACKUP_KEEP"
	}
	return words
}
