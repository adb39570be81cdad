package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type runsCommand struct {
	List    runsList    `cmd:"" help:"List runs, newest first."`
	Show    runsShow    `cmd:"" help:"Show a run as a timeline."`
	Watch   runsWatch   `cmd:"" help:"Follow a run to its end."`
	History runsHistory `cmd:"" help:"Show everything that happened to a run."`
	Cancel  runsCancel  `cmd:"" help:"Cancel a run, or all that match."`
	Retry   runsRetry   `cmd:"" help:"Go on with a failed, timed-out or canceled run, or all that match."`
	Wake    runsWake    `cmd:"" help:"End a run's snooze or back-off now, or let its wait look for its answer now."`
	Event   runsEvent   `cmd:"" help:"Send an event to a run."`
	Pause   runsPause   `cmd:"" help:"Let a run begin no further step, until it is resumed."`
	Resume  runsResume  `cmd:"" help:"Let a paused run go on."`
	Resolve runsResolve `cmd:"" help:"Give a step its outcome of which nobody knows whether it ran."`
}

type runsList struct {
	clientFlags
	outputFlag
	pageFlags
	Workflow string        `name:"workflow" help:"Of this workflow."`
	Status   string        `name:"status" enum:",pending,running,waiting,completed,failed,timed_out,canceled" default:"" help:"pending, running, waiting, completed, failed, timed_out or canceled."`
	Query    string        `name:"query" short:"q" help:"A run id, an enrichment id, or an address that it looks up."`
	Since    time.Duration `name:"since" help:"Created within this time, such as 24h."`
	Parent   string        `name:"parent" help:"Those that belong to this run."`
	attributeFlag
}

// attributeFlag selects runs by attributes.
type attributeFlag struct {
	Attribute []string `name:"attribute" sep:"none" placeholder:"KEY=VALUE" help:"With this attribute, such as upload=UPLOAD or source=NAME. Up to three times: with all of them."`
}

// Run lists runs.
func (c *runsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	filter := runapi.RunFilter{Workflow: c.Workflow, Status: c.Status, Q: c.Query, Parent: c.Parent, Attribute: c.Attribute}
	if c.Since > 0 {
		filter.Since = time.Now().Add(-c.Since)
	}
	type r = runapi.Run
	columns := []column[r]{
		{"id", func(x r) string { return x.ID }},
		{"workflow", func(x r) string { return x.Workflow }},
		{"status", func(x r) string { return x.Status }},
		{"created", func(x r) string { return clock(x.CreatedAt) }},
		{"took", func(x r) string { return took(x.CreatedAt, x.EndedAt) }},
		{"state", state},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[r], error) {
		return runapi.ListRuns.Call(p.ctx, client, runapi.RunQuery{RunFilter: filter, Paging: page})
	})
}

func took(from, to time.Time) string {
	if to.IsZero() {
		return ""
	}
	return span(to.Sub(from))
}

// state says in few words why a run stands where it stands.
func state(r runapi.Run) string {
	switch {
	case r.NoDefinition != "":
		return "no definition: " + r.NoDefinition
	case r.Failure != nil:
		return strings.TrimPrefix(r.Failure.Step+": "+r.Failure.Message, ": ")
	case r.FinishedBecause != "":
		return r.FinishedBecause
	case r.CancelRequested:
		return "is being canceled"
	case r.Paused:
		return "paused by hand"
	case r.WaitingFor != nil:
		return waitingText(*r.WaitingFor)
	}
	return ""
}

func waitingText(w runapi.WaitingFor) string {
	text := w.Step + ": "
	switch w.Kind {
	case "event":
		text += "waits for " + strings.Join(w.Events, ", ")
	case "retry":
		text += "tries again"
	case "snooze":
		text += "not now"
		if w.Reason != "" {
			text += " (" + w.Reason + ")"
		}
	case "runs":
		text += "waits for its runs"
	default:
		text += "sleeps"
	}
	if !w.Until.IsZero() {
		switch w.Kind {
		case "event", "sleep":
			text += " until " + clock(w.Until)
		default:
			text += " at " + clock(w.Until)
		}
	}
	if !w.NextFetchAt.IsZero() {
		text += ", looks by itself at " + clock(w.NextFetchAt)
	}
	return text
}

// runArgument names a run.
type runArgument struct {
	ID string `arg:"" name:"run" id:"run" help:"Id of the run."`
}

type runsShow struct {
	clientFlags
	runArgument
	showFlag
}

// Run shows a run.
func (c *runsShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	run, err := runapi.GetRun.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showRun(client, run, c.Output)
}

func (p *program) showRun(client *apiclient.Client, run runapi.RunDetail, format string) error {
	if format == "json" {
		return printJSON(p.out, run)
	}
	below, err := subRuns(run, func(id string, n int) (runapi.List[runapi.Run], error) {
		return runapi.ListRuns.Call(p.ctx, client, runapi.RunQuery{RunFilter: runapi.RunFilter{Parent: id}, Paging: runapi.Paging{Limit: n}})
	})
	if err != nil {
		return err
	}
	for _, line := range append(picture(run, time.Now(), p.width), below...) {
		if _, err := fmt.Fprintln(p.out, printable(line, "")); err != nil {
			return err
		}
	}
	return nil
}

type runsWatch struct {
	clientFlags
	runArgument
	Every time.Duration `name:"every" default:"1s" help:"How often to look."`
}

// Run follows a run: a line for each change, then its timeline.
func (c *runsWatch) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	seen := map[string]string{}
	var last runapi.RunDetail
	for run, err := range client.WatchRun(p.ctx, c.ID, max(c.Every, 10*time.Millisecond)) {
		if err != nil {
			if !isUnreachable(err) {
				return err
			}
			fmt.Fprintln(p.err, "the server cannot be reached; trying again")
			continue
		}
		last = run
		for _, s := range run.Steps {
			if s.Status != "pending" && seen[s.Name] != s.Status {
				seen[s.Name] = s.Status
				fmt.Fprintf(p.err, "%s  %s %s\n", time.Now().Format(time.TimeOnly), printable(s.Name, ""), s.Status)
			}
		}
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if err := p.showRun(client, last, "text"); err != nil {
		return err
	}
	if last.Status != "completed" {
		return fmt.Errorf("the run is %s\n  Try: liwanag runs show %s", last.Status, last.ID)
	}
	return nil
}

type runsHistory struct {
	clientFlags
	runArgument
	outputFlag
}

// Run shows a run's history.
func (c *runsHistory) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type h = workflow.HistoryItem
	columns := []column[h]{
		{"seq", func(x h) string { return fmt.Sprint(x.Seq) }},
		{"at", func(x h) string { return x.At.Local().Format("2006-01-02 15:04:05.000") }},
		{"type", func(x h) string { return string(x.Type) }},
		{"step", func(x h) string { return x.Step }},
		{"attempt", func(x h) string {
			if x.Attempt == 0 {
				return ""
			}
			return fmt.Sprint(x.Attempt)
		}},
		{"data", func(x h) string { return string(x.Data) }},
	}
	return list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (runapi.List[h], error) {
		return runapi.GetRunHistory.Call(p.ctx, client, runapi.ID(c.ID))
	})
}

type runsCancel struct {
	clientFlags
	bulkFlags
	Reason string `name:"reason" default:"canceled from the command line" help:"Kept with the run."`
	Force  bool   `name:"force" help:"End it at once, without its handlers: for runs whose definition is gone."`
}

// Run cancels a run, or all that match.
func (c *runsCancel) Run(p *program) error {
	if err := c.check("cancel"); err != nil {
		return err
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	if c.ID == "" {
		if c.Force {
			return usage("liwanag runs cancel RUN --force", "only a single run is canceled by force")
		}
		return p.bulk(c.bulkFlags, "cancel", "canceled, or about to be: a step that runs ends first", c.Reason,
			func(b runapi.BulkAct) (api.RetriedRuns, error) {
				result, err := runapi.CancelRuns.Call(p.ctx, client, b)
				return api.RetriedRuns{BulkResult: result}, err
			})
	}
	run, err := runapi.CancelRun.Call(p.ctx, client, runapi.To(c.ID, &runapi.CancelRunRequest{Reason: c.Reason, Force: c.Force}))
	if err != nil {
		return err
	}
	if run.Ended() {
		_, err = fmt.Fprintf(p.out, "%s is %s\n", run.ID, run.Status)
	} else {
		_, err = fmt.Fprintf(p.out, "%s is being canceled: a step that runs ends first\n", run.ID)
	}
	return err
}

type runsRetry struct {
	clientFlags
	bulkFlags
	From  string `name:"from" placeholder:"STEP" help:"Step to go on from. Default: the one that failed."`
	Again bool   `name:"again" help:"Also repeat a step of which nobody knows whether its effect happened."`
}

// Run retries a run, or all that match.
func (c *runsRetry) Run(p *program) error {
	if err := c.check("retry"); err != nil {
		return err
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	if c.ID == "" {
		if c.From != "" {
			return usage("liwanag runs retry RUN --from "+c.From, "many runs go on where each failed")
		}
		if c.Again {
			return usage("liwanag runs retry RUN --again", "what may have happened is repeated run by run")
		}
		return p.bulk(c.bulkFlags, "retry", "go on", "",
			func(b runapi.BulkAct) (api.RetriedRuns, error) { return api.RetryRuns.Call(p.ctx, client, b) })
	}
	run, err := runapi.RetryRun.Call(p.ctx, client, runapi.To(c.ID, &runapi.RetryRunRequest{From: c.From, Again: c.Again}))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s goes on\n", run.ID)
	return err
}

type runsWake struct {
	clientFlags
	runArgument
}

// Run wakes a run.
func (c *runsWake) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	run, err := runapi.WakeRun.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s is woken\n", run.ID)
	return err
}

type runsEvent struct {
	clientFlags
	runArgument
	Type    string `arg:"" help:"Type of the event, such as enrichment-complete."`
	Data    string `arg:"" optional:"" help:"Its payload, as JSON."`
	EventID string `name:"id" help:"Its id: the same id twice is one event."`
}

// Run sends an event.
func (c *runsEvent) Run(p *program) error {
	data, err := jsonArgument("the payload", c.Data)
	if err != nil {
		return err
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	receipt, err := runapi.SendEvent.Call(p.ctx, client, runapi.To(c.ID, runapi.SendEventRequest{ID: c.EventID, Type: c.Type, Data: data}))
	if err != nil {
		return err
	}
	note := ""
	switch {
	case receipt.Duplicate:
		note = ", which the run has already: nothing changed"
	case receipt.Late:
		note = ", too late: the run has ended, and nothing happens"
	}
	_, err = fmt.Fprintf(p.out, "sent as %s%s\n", receipt.ID, note)
	return err
}
