package main

import (
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type submissionsCommand struct {
	List     submissionsList     `cmd:"" help:"List paid calls, newest first."`
	Show     submissionsShow     `cmd:"" help:"Show a paid call."`
	Adopt    submissionsAdopt    `cmd:"" help:"Give one in doubt the enrichment id that FullEnrich's dashboard shows."`
	Resubmit submissionsResubmit `cmd:"" help:"Send one in doubt once more; it may be paid for twice."`
	Fail     submissionsFail     `cmd:"" help:"Give one in doubt up."`
	Pause    submissionsPause    `cmd:"" help:"Stop all spending at once."`
	Resume   submissionsResume   `cmd:"" help:"Let spending go on."`
	Release  submissionsRelease  `cmd:"" help:"Let spending go on that is held since a backup was restored."`
	Budget   submissionsBudget   `cmd:"" help:"Change how many credits a day may cost that nobody confirmed."`
	Stopped  submissionsStopped  `cmd:"" help:"See the sources whose lookups wait because hardly anybody is found any more; go on with one, or drop them."`
}

type submissionsList struct {
	clientFlags
	outputFlag
	pageFlags
	State string `name:"state" enum:",prepared,sending,accepted,refused,ambiguous,held,superseded,settled" default:"" help:"prepared, sending, accepted, refused, ambiguous, held, superseded or settled."`
	RunID string `name:"run" id:"run" help:"Of this run."`
}

// Run lists submissions.
func (c *submissionsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type s = api.Submission
	columns := []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"state", func(x s) string { return x.State }},
		{"jobs", func(x s) string { return fmt.Sprint(x.Jobs) }},
		{"credits", func(x s) string { return fmt.Sprint(x.Credits) }},
		{"prepared", func(x s) string { return clock(x.PreparedAt) }},
		{"enrichment", func(x s) string { return x.EnrichmentID }},
		{"cause", func(x s) string { return x.Cause }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[s], error) {
		return api.ListSubmissions.Call(p.ctx, client,
			api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{State: c.State, RunID: c.RunID}, Paging: page})
	})
}

// submissionArgument names a submission.
type submissionArgument struct {
	ID string `arg:"" name:"submission" id:"submission" help:"Id of the submission."`
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
	s, err := api.GetSubmission.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showSubmission(s, c.Output)
}

func (p *program) showSubmission(s api.Submission, format string) error {
	if format == "json" {
		return printJSON(p.out, s)
	}
	p.fields([][2]string{
		{"id", s.ID}, {"state", s.State}, {"cause", s.Cause}, {"run", s.RunID}, {"number", fmt.Sprint(s.N)}, {"name", s.Name},
		{"enrichment", s.EnrichmentID}, {"lookups", fmt.Sprint(s.Jobs)}, {"credits", fmt.Sprint(s.Credits)},
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
	s, err := api.AdoptSubmission.Call(p.ctx, client, runapi.To(c.ID, api.AdoptSubmissionRequest{EnrichmentID: c.EnrichmentID}))
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
	s, err := api.ResubmitSubmission.Call(p.ctx, client, runapi.To(c.ID, &api.Reason{Reason: c.Reason}))
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
	s, err := api.FailSubmission.Call(p.ctx, client, runapi.To(c.ID, &api.Reason{Reason: c.Reason}))
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
	if _, err := api.PauseSubmissions.Call(p.ctx, client, api.PauseRequest{Body: &api.Reason{Reason: c.Reason}}); err != nil {
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
	if _, err := api.ResumeSubmissions.Call(p.ctx, client, runapi.NoInput{}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, "Spending goes on.")
	return err
}
