package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type uploadsCommand struct {
	List   uploadsList   `cmd:"" help:"List uploads, newest first."`
	Show   uploadsShow   `cmd:"" help:"Show an upload: what was found in it, and what became of it."`
	Errors uploadsErrors `cmd:"" help:"Write the invalid rows as CSV, to be corrected and imported."`
	Cancel uploadsCancel `cmd:"" help:"Import nothing more of it."`

	Resubscribe uploadsResubscribe `cmd:"" help:"Take back those who left because the file said so."`
}

type uploadsList struct {
	clientFlags
	outputFlag
	pageFlags
}

// Run lists uploads.
func (c *uploadsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type u = api.Upload
	columns := []column[u]{
		{"id", func(x u) string { return x.ID }},
		{"file", func(x u) string { return x.FileName }},
		{"status", func(x u) string { return x.Status }},
		{"rows", func(x u) string { return fmt.Sprint(x.Counts.Rows) }},
		{"new", func(x u) string { return fmt.Sprint(x.Counts.New) }},
		{"invalid", func(x u) string { return fmt.Sprint(x.Counts.Invalid) }},
		{"found", func(x u) string { return fmt.Sprint(x.Progress.Enriched) }},
		{"not found", func(x u) string { return fmt.Sprint(x.Progress.NotFound) }},
		{"added", func(x u) string { return clock(x.CreatedAt) }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[u], error) {
		return api.ListUploads.Call(p.ctx, client, api.UploadQuery{Paging: page})
	})
}

// uploadArgument names an upload.
type uploadArgument struct {
	ID string `arg:"" name:"upload" id:"upload" help:"Id of the upload."`
}

type uploadsShow struct {
	clientFlags
	uploadArgument
	showFlag
}

// Run shows an upload.
func (c *uploadsShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	u, err := api.GetUpload.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showUpload(u, c.Output)
}

func (p *program) showUpload(u api.Upload, format string) error {
	if format == "json" {
		return printJSON(p.out, u)
	}
	limit, why, marked := "", "", ""
	if u.Marked != nil && *u.Marked > 0 {
		marked = plural(*u.Marked, "person") + " left by its word"
	}
	if u.Cap != nil {
		limit = plural(*u.Cap, "credit")
	}
	if u.Failure != nil {
		why = failureText(u.Failure)
	}
	n := u.Counts
	p.fields([][2]string{
		{"id", u.ID}, {"file", u.FileName}, {"source", u.Source}, {"status", u.Status}, {"why", why}, {"encoding", u.Encoding},
		{"rows", fmt.Sprintf("%d: %d new, %d known, %d duplicate, %d corporate, %d relay, %d disposable, "+
			"%d unsubscribed, %d suppressed, %d invalid", n.Rows, n.New, n.Known, n.Duplicate, n.Corporate, n.Relay, n.Disposable, n.Unsubscribed, n.Suppressed, n.Invalid)},
		{"changed", changesText(u.Changes)}, {"standing", marked},
		{"costs", plural(u.EstimatedCredits, "credit") + " at most"}, {"cap", limit},
		{"lookups", fmt.Sprintf("%d: %d found, %d not found, %d failed", u.Progress.Imported, u.Progress.Enriched, u.Progress.NotFound,
			u.Progress.Failed)},
		{"added", clock(u.CreatedAt)}, {"ended", clock(u.EndedAt)},
	})
	return nil
}

type uploadsErrors struct {
	clientFlags
	uploadArgument
	File string `name:"file" short:"f" placeholder:"FILE" help:"Where to write. Default: standard output."`
}

// Run writes the invalid rows of an upload.
func (c *uploadsErrors) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if c.File == "" {
		_, err = api.GetUploadErrors.Copy(p.ctx, client, runapi.ID(c.ID), p.out)
		return err
	}
	file, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = api.GetUploadErrors.Copy(p.ctx, client, runapi.ID(c.ID), file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

type uploadsCancel struct {
	clientFlags
	uploadArgument
	showFlag
}

// Run cancels an upload.
func (c *uploadsCancel) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	u, err := api.CancelUpload.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showUpload(u, c.Output)
}

type uploadsResubscribe struct {
	clientFlags
	uploadArgument
	Reason string `name:"reason" help:"Kept in the audit trail: no personal data."`
	showFlag
}

// Run takes back those whom an upload marked.
func (c *uploadsResubscribe) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	now, err := api.ResubscribeUpload.Call(p.ctx, client, runapi.To(c.ID, &api.StandingRequest{Reason: c.Reason}))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, now)
	}
	_, err = fmt.Fprintf(p.out, "%s subscribed again, nobody was looked up\n", plural(int64(now.Rows), "person"))
	return err
}

type auditCommand struct {
	clientFlags
	outputFlag
	pageFlags
	Subject string `name:"subject" help:"Done to the thing with this whole id."`
	Act     string `name:"act" help:"Such as run.cancel."`
}

// Run lists what was done by hand.
func (c *auditCommand) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type a = api.Act
	columns := []column[a]{
		{"when", func(x a) string { return clock(x.At) }},
		{"act", func(x a) string { return x.Act }},
		{"done to", func(x a) string { return x.Subject }},
		{"by", func(x a) string { return strings.TrimSpace(x.Actor + " " + x.Name) }},
		{"reason", func(x a) string { return x.Reason }},
		{"times", func(x a) string { return fmt.Sprint(x.Times) }},
		{"from", func(x a) string { return x.Client }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[a], error) {
		return api.ListActs.Call(p.ctx, client, api.ActQuery{ActFilter: api.ActFilter{Subject: c.Subject, Act: c.Act}, Paging: page})
	})
}
