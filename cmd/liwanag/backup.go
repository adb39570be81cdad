package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type backupCommand struct {
	config.Database
	clientFlags
	Path string `arg:"" help:"File to write; one that is there is not overwritten. A running server makes it in LIWANAG_BACKUP_DIR."`
	showFlag
}

// Run backs the database up, by itself where no server has it open.
func (c *backupCommand) Run(p *program) error {
	b, err := app.BackUpHere(p.ctx, c.Database, c.Path)
	made := api.Backup{Path: b.Path, MadeAt: b.MadeAt, Size: b.Size}
	if _, inUse := app.InUse(err); inUse || errors.Is(err, fs.ErrNotExist) {
		client, cannot := c.dial()
		if cannot != nil {
			return cannot
		}
		var asked error
		if made, asked = api.CreateBackup.Call(p.ctx, client, api.BackupRequest{Path: c.Path}); isUnreachable(asked) {
			return fmt.Errorf("%w\n  the server that may have the database open does not answer: %w", err, asked)
		}
		err = asked
	}
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, made)
	}
	_, err = fmt.Fprintf(p.out, "%s holds the database as of %s, %d bytes, read through\n", made.Path, clock(made.MadeAt), made.Size)
	return err
}

type restoreCommand struct {
	config.Database
	Journal string `name:"journal" env:"LIWANAG_JOURNAL" placeholder:"FOLDER" help:"Folder of the spend journal. Default: beside a SQLite file."`
	Path    string `arg:"" help:"File that liwanag backup made."`
	Yes     bool   `name:"yes" short:"y" help:"Do not ask."`
}

// Run puts a backup in the place of the database.
func (c *restoreCommand) Run(p *program) error {
	if !c.Yes {
		question := "Put " + c.Path + " in the place of the database? What was not backed up is only kept aside. [y/N] "
		if agreed, err := p.agrees(question); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was restored"))
		}
	}
	log := slog.New(slog.DiscardHandler)
	done, err := app.Restore(p.ctx, c.Database, config.Keep{Journal: c.Journal}, c.Path, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is as %s has it\n", done.Where, c.Path)
	if done.Aside != "" {
		fmt.Fprintf(p.out, "what was there before is %s\n", done.Aside)
	}
	_, err = fmt.Fprintln(p.out, "Spending is held: start the server, look at liwanag submissions list, "+
		"then liwanag submissions release REASON.")
	return err
}

type submissionsRelease struct {
	clientFlags
	Reason string `arg:"" help:"Why spending may go on; kept in the audit trail."`
}

// Run lets spending go on after a restore.
func (c *submissionsRelease) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	money, err := api.ReleaseSubmissions.Call(p.ctx, client, api.ReleaseRequest{Reason: c.Reason})
	if err != nil {
		return err
	}
	if money.Paused {
		_, err = fmt.Fprintf(p.out, "Spending is released, and still paused: %s\n", money.PausedNote)
		return err
	}
	held, err := api.ListSubmissions.Call(p.ctx, client, api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{State: "held"},
		Paging: runapi.Paging{Limit: 1}})
	if err != nil {
		return err
	}
	if len(held.Items) > 0 {
		fmt.Fprintln(p.out, "Some paid calls are still held, since nobody knows their answer: liwanag submissions list --state held")
	}
	_, err = fmt.Fprintln(p.out, "Spending goes on.")
	return err
}
