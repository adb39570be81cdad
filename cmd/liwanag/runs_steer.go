package main

import (
	"fmt"

	"github.com/liwanag/liwanag/workflow/runapi"
)

type runsPause struct {
	clientFlags
	runArgument
	Reason string `name:"reason" help:"Kept in the audit trail."`
}

// Run pauses a run.
func (c *runsPause) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	run, err := runapi.PauseRun.Call(p.ctx, client, runapi.To(c.ID, &runapi.PauseRunRequest{Reason: c.Reason}))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s is paused: a step that runs ends first\n", run.ID)
	return err
}

type runsResume struct {
	clientFlags
	runArgument
	Reason string `name:"reason" help:"Kept in the audit trail."`
}

// Run lets a paused run go on.
func (c *runsResume) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	run, err := runapi.ResumeRun.Call(p.ctx, client, runapi.To(c.ID, &runapi.PauseRunRequest{Reason: c.Reason}))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s goes on\n", run.ID)
	return err
}

type runsResolve struct {
	clientFlags
	runArgument
	Step    string `arg:"" help:"The step that failed with reason unknown."`
	Output  string `name:"output" placeholder:"JSON" help:"It ran: this is its output."`
	Failure string `name:"failure" placeholder:"TEXT" help:"It did not run, and why."`
	Reason  string `name:"reason" help:"How that is known; kept with the run and in the audit trail."`
}

// Run resolves a step.
func (c *runsResolve) Run(p *program) error {
	if c.Output != "" && c.Failure != "" {
		return usage("liwanag runs resolve RUN STEP --output JSON", "a step is resolved by --output or by --failure, not by both")
	}
	output, err := jsonArgument("the output", c.Output)
	if err != nil {
		return err
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	run, err := runapi.ResolveRun.Call(p.ctx, client, runapi.To(c.ID, runapi.ResolveRunRequest{Step: c.Step, Output: output,
		Failure: c.Failure, Reason: c.Reason}))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s goes on\n", run.ID)
	return err
}
