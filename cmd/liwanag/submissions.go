package main

import (
	"fmt"

	"github.com/liwanag/liwanag/internal/apiclient"
)

type submissionsCommand struct {
	List     submissionsList     `cmd:"" help:"List paid calls, newest first."`
	Show     submissionsShow     `cmd:"" help:"Show a paid call."`
	Adopt    submissionsAdopt    `cmd:"" help:"Give one in doubt the enrichment id that FullEnrich's dashboard shows."`
	Resubmit submissionsResubmit `cmd:"" help:"Send one in doubt once more; it may be paid for twice."`
	Fail     submissionsFail     `cmd:"" help:"Give one in doubt up."`
	Pause    submissionsPause    `cmd:"" help:"Stop all spending at once."`
	Resume   submissionsResume   `cmd:"" help:"Let spending go on."`
}

type submissionsList struct {
	clientFlags
	outputFlag
	pageFlags
	State string `name:"state" enum:",prepared,sending,accepted,refused,ambiguous,held,superseded,settled" default:"" help:"prepared, sending, accepted, refused, ambiguous, held, superseded or settled."`
	RunID string `name:"run" help:"Of this run."`
}

// Run lists submissions.
func (c *submissionsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type s = apiclient.Submission
	columns := []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"state", func(x s) string { return x.State }},
		{"jobs", func(x s) string { return fmt.Sprint(x.Jobs) }},
		{"credits", func(x s) string { return fmt.Sprint(x.Credits) }},
		{"prepared", func(x s) string { return clock(x.PreparedAt) }},
		{"enrichment", func(x s) string { return x.EnrichmentID }},
		{"cause", func(x s) string { return x.Cause }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page apiclient.Page) (apiclient.List[s], error) {
		return client.Submissions(p.ctx, apiclient.SubmissionFilter{State: c.State, RunID: c.RunID}, page)
	})
}

// submissionArgument names a submission.
type submissionArgument struct {
	ID string `arg:"" name:"submission" help:"Id of the submission."`
}

type submissionsShow struct {
	clientFlags
	submissionArgument
	showFlag
}

// Run shows a submission.
func (c *submissionsShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := client.Submission(p.ctx, c.ID)
	if err != nil {
		return err
	}
	return p.showSubmission(s, c.Output)
}

func (p *program) showSubmission(s apiclient.Submission, format string) error {
	if format == "json" {
		return printJSON(p.out, s)
	}
	p.fields([][2]string{
		{"id", s.ID}, {"state", s.State}, {"cause", s.Cause}, {"run", s.RunID}, {"number", fmt.Sprint(s.N)}, {"name", s.Name},
		{"enrichment", s.EnrichmentID}, {"jobs", fmt.Sprint(s.Jobs)}, {"credits", fmt.Sprint(s.Credits)},
		{"supersedes", s.Supersedes}, {"prepared", clock(s.PreparedAt)}, {"sending", clock(s.SendingAt)},
		{"outcome", clock(s.OutcomeAt)}, {"grace", clock(s.GraceUntil)},
	})
	return nil
}

type submissionsAdopt struct {
	clientFlags
	submissionArgument
	EnrichmentID string `arg:"" name:"enrichment" help:"Enrichment id of FullEnrich."`
}

// Run adopts a submission.
func (c *submissionsAdopt) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := client.Adopt(p.ctx, c.ID, c.EnrichmentID)
	if err != nil {
		return err
	}
	return p.showSubmission(s, "text")
}

type submissionsResubmit struct {
	clientFlags
	submissionArgument
	Reason string `name:"reason" default:"resubmitted from the command line" help:"Kept in the log."`
}

// Run resubmits a submission.
func (c *submissionsResubmit) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := client.Resubmit(p.ctx, c.ID, c.Reason)
	if err != nil {
		return err
	}
	return p.showSubmission(s, "text")
}

type submissionsFail struct {
	clientFlags
	submissionArgument
	Reason string `name:"reason" default:"given up from the command line" help:"Kept with the lookups."`
}

// Run gives a submission up.
func (c *submissionsFail) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := client.Fail(p.ctx, c.ID, c.Reason)
	if err != nil {
		return err
	}
	return p.showSubmission(s, "text")
}

type submissionsPause struct {
	clientFlags
	Reason string `name:"reason" default:"paused from the command line" help:"Shown while spending is paused."`
}

// Run stops all spending.
func (c *submissionsPause) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if _, err := client.PauseSpending(p.ctx, c.Reason); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, "Spending is paused: nothing is sent to FullEnrich until liwanag submissions resume.")
	return err
}

type submissionsResume struct {
	clientFlags
}

// Run lets spending go on.
func (c *submissionsResume) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if _, err := client.ResumeSpending(p.ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, "Spending goes on.")
	return err
}
