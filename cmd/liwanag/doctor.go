package main

import (
	"errors"
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

type doctorCommand struct {
	config.Settings
	Webhook bool `name:"webhook" help:"Send a signed webhook through the public URL."`
	Deep    bool `name:"deep" help:"Check the integrity of the whole database, which may take minutes."`
	showFlag
}

// Run examines the server that runs, or else what can be seen without one.
func (c *doctorCommand) Run(p *program) error {
	wanted := api.DoctorRequest{Webhook: c.Webhook, Deep: c.Deep}
	if _, err := app.CheckSettings(&c.Settings); err != nil {
		return err
	}
	client, err := apiclient.New(apiclient.Config{Server: c.Server, APIKey: c.APIKey.Reveal()})
	if err != nil {
		return &usageError{err.Error()}
	}
	found, err := api.RunDoctor.Call(p.ctx, client, wanted)
	var problem *apiclient.Problem
	switch {
	case isUnreachable(err):
		found = app.Examine(p.ctx, c.Settings, wanted)
		found.Findings = append([]api.Finding{{Check: "server", State: "warning", What: "No server answers at " + c.Server +
			": this is what can be seen without one.", Do: "Start it, or name another one.", Command: "liwanag serve"}},
			found.Findings...)
	case errors.As(err, &problem):
		return err
	case err != nil:
		return err
	default:
		found.Findings = append([]api.Finding{{Check: "server", State: "ok",
			What: "The server at " + c.Server + " answers, of version " + found.Version + "."}}, found.Findings...)
	}
	if err := p.showDiagnosis(found, c.Output); err != nil {
		return err
	}
	if !found.OK {
		return errors.New("something is wrong\n  Try: what is said to each finding")
	}
	return nil
}

var inks = map[string]lipgloss.Style{"ok": faint, "skipped": faint, "warning": bold, "wrong": bold}

func (p *program) showDiagnosis(d api.Diagnosis, format string) error {
	if format == "json" {
		return printJSON(p.out, d)
	}
	width := 0
	for _, f := range d.Findings {
		width = max(width, len(f.Check))
	}
	for _, f := range d.Findings {
		state := p.style(inks[f.State], fmt.Sprintf("%-7s", f.State))
		fmt.Fprintf(p.out, "%s  %-*s  %s\n", state, width, f.Check, printable(f.What, ""))
		if f.Do != "" {
			pad := strings.Repeat(" ", width+11)
			fmt.Fprintf(p.out, "%s%s\n%s  %s\n", pad, printable(f.Do, ""), pad, printable(f.Command, ""))
		}
	}
	return nil
}

type configCommand struct {
	Check configCheck `cmd:"" help:"Read the settings as serve does and say what is wrong with them, without starting."`
}

type configCheck struct{ config.Settings }

// Run checks the settings.
func (c *configCheck) Run(p *program) error {
	warnings, err := app.CheckSettings(&c.Settings)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(p.err, "liwanag: "+printable(warning, ""))
	}
	_, err = fmt.Fprintln(p.out, "The settings are right.")
	return err
}
