package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type sourcesCommand struct {
	Kinds  sourcesKinds  `cmd:"" help:"List the kinds of sources, and how to set each up at its sender."`
	List   sourcesList   `cmd:"" help:"List the endpoints that take webhooks of sign-ups in."`
	Add    sourcesAdd    `cmd:"" help:"Make a source; shows its URL and secret, once."`
	Show   sourcesShow   `cmd:"" help:"Show a source with its settings."`
	Set    sourcesSet    `cmd:"" help:"Change a source, or switch it off or on."`
	Rotate sourcesRotate `cmd:"" help:"Make a new secret or URL; shows them, once."`
	Try    sourcesTry    `cmd:"" help:"Show what a body would do; nothing is stored."`
	Delete sourcesDelete `cmd:"" help:"Delete a source and what is kept of its deliveries."`
}

type sourcesKinds struct {
	clientFlags
	showFlag
}

// Run lists the kinds.
func (c *sourcesKinds) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	kinds, err := api.ListSourceKinds.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, kinds.Items)
	}
	for _, k := range kinds.Items {
		fmt.Fprintf(p.out, "%s  %s\n  %s\n  settings %s\n", p.style(bold, k.Kind), k.Title, strings.ReplaceAll(k.Help, "\n", "\n  "), k.Defaults)
	}
	return nil
}

type sourcesList struct {
	clientFlags
	outputFlag
}

// Run lists sources.
func (c *sourcesList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type s = api.Source
	columns := []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"kind", func(x s) string { return x.Kind }},
		{"name", func(x s) string { return x.Name }},
		{"state", sourceState},
		{"secrets", func(x s) string { return fmt.Sprint(x.Secrets) }},
		{"created", func(x s) string { return clock(x.CreatedAt) }},
	}
	return list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (runapi.List[s], error) {
		return api.ListSources.Call(p.ctx, client, runapi.NoInput{})
	})
}

func sourceState(s api.Source) string {
	switch {
	case s.Disabled:
		return "off"
	case s.SecretMissing:
		return "no secret"
	}
	return "on"
}

// settingsFlags are the settings of a source: a file of them, and the most used
// ones one by one.
type settingsFlags struct {
	Settings string            `name:"settings" placeholder:"FILE" help:"JSON file with the settings; - reads standard input."`
	Proof    string            `name:"proof" help:"Of a generic source: standard-webhooks, svix, hmac, bearer or path."`
	Items    string            `name:"items" placeholder:"POINTER" help:"Of a generic source: where the people are in a body."`
	Fields   map[string]string `name:"field" placeholder:"FIELD=POINTER" help:"Where a field is in a person's element, such as email=/data/email. May be repeated."`
}

// merge puts what was typed over the given settings; nil when nothing was.
func (f settingsFlags) merge(p *program, onto json.RawMessage) (json.RawMessage, error) {
	if f.Settings != "" {
		raw, err := readInput(p, f.Settings)
		if err != nil {
			return nil, err
		}
		onto = raw
	}
	if f.Proof == "" && f.Items == "" && len(f.Fields) == 0 {
		if f.Settings == "" {
			return nil, nil
		}
		return onto, nil
	}
	settings := map[string]any{}
	if len(onto) > 0 {
		if err := json.Unmarshal(onto, &settings); err != nil {
			return nil, usage("liwanag sources kinds shows what settings look like", "the settings are not a JSON object")
		}
	}
	if f.Proof != "" && f.Proof != "hmac" {
		delete(settings, "hmac") // of the proof that was
	}
	for name, value := range map[string]string{"proof": f.Proof, "items": f.Items} {
		if value != "" {
			settings[name] = value
		}
	}
	if len(f.Fields) > 0 {
		fields, _ := settings["fields"].(map[string]any)
		if fields == nil {
			fields = map[string]any{}
		}
		for name, pointer := range f.Fields {
			fields[name] = pointer
		}
		settings["fields"] = fields
	}
	return json.Marshal(settings)
}

// maxInput bounds a file that is sent as part of a request.
const maxInput = 1 << 20

// readInput reads a file, or standard input.
func readInput(p *program, name string) ([]byte, error) {
	in := p.in
	if name != "-" {
		file, err := os.Open(name) // #nosec G304 -- the file that the operator names
		if err != nil {
			return nil, &usageError{err.Error()}
		}
		defer file.Close()
		in = file
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(raw) > maxInput {
		return nil, &usageError{name + " is larger than 1 MiB"}
	}
	return raw, err
}

// secretFlag is a secret that the sender made. It is never typed, where other
// programs could see it.
type secretFlag struct {
	SecretFile string `name:"secret-file" placeholder:"FILE" help:"File with the secret that the sender shows; - reads standard input."`
}

func (f secretFlag) read(p *program) (string, error) {
	if f.SecretFile == "" {
		return "", nil
	}
	raw, err := readInput(p, f.SecretFile)
	if secret := strings.TrimSpace(string(raw)); err != nil || secret != "" {
		return secret, err
	}
	return "", &usageError{f.SecretFile + " is empty"}
}

type sourcesAdd struct {
	clientFlags
	Kind string `arg:"" help:"generic, ghost, kit or mailchimp."`
	Name string `arg:"" help:"What you call it; becomes the source of its subscribers."`
	settingsFlags
	secretFlag
	showFlag
}

// Run makes a source.
func (c *sourcesAdd) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	kinds, err := api.ListSourceKinds.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	var kind api.SourceKind
	var known []string
	for _, k := range kinds.Items {
		if known = append(known, k.Kind); k.Kind == c.Kind {
			kind = k
		}
	}
	if kind.Kind == "" {
		return usage(strings.Join(known, ", "), "there is no kind %q", c.Kind)
	}
	settings, err := c.merge(p, kind.Defaults)
	if err != nil {
		return err
	}
	secret, err := c.secretFlag.read(p)
	if err != nil {
		return err
	}
	s, err := api.AddSource.Call(p.ctx, client, api.AddSourceRequest{Name: c.Name, Kind: c.Kind, Settings: settings, Secret: secret})
	if err != nil {
		return err
	}
	if err := p.showSource(s, c.Output); err != nil || c.Output == "json" {
		return err
	}
	fmt.Fprintln(p.err, "\n"+kind.Help)
	p.shownOnce(s)
	return nil
}

func (p *program) showSource(s api.Source, format string) error {
	if format == "json" {
		return printJSON(p.out, s)
	}
	p.fields([][2]string{{"id", s.ID}, {"kind", s.Kind}, {"name", s.Name}, {"state", sourceState(s)}, {"secrets", fmt.Sprint(s.Secrets)},
		{"settings", string(s.Settings)}, {"url", s.URL}, {"secret", s.Secret}, {"created", clock(s.CreatedAt)}, {"updated", clock(s.UpdatedAt)}})
	return nil
}

// shownOnce says that what is on the screen will not be there again.
func (p *program) shownOnce(s api.Source) {
	if s.SecretMissing {
		fmt.Fprintf(p.err, "Until the secret that the sender shows is entered, its webhooks are answered 503. "+
			"Try: liwanag sources rotate %s --secret-file FILE\n", s.ID)
	}
	if s.URL != "" || s.Secret != "" {
		fmt.Fprintln(p.err, "The URL and the secret are shown this once. Try: liwanag sources rotate makes new ones")
	}
}

// sourceArgument names a source.
type sourceArgument struct {
	ID string `arg:"" name:"source" id:"source" help:"Id of the source."`
}

type sourcesShow struct {
	clientFlags
	sourceArgument
	showFlag
}

// Run shows a source.
func (c *sourcesShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.GetSource.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showSource(s, c.Output)
}

type sourcesSet struct {
	clientFlags
	sourceArgument
	Name string `name:"name" help:"A new name."`
	On   bool   `name:"on" xor:"state" help:"Take webhooks in again."`
	Off  bool   `name:"off" xor:"state" help:"Turn all webhooks away."`
	settingsFlags
	showFlag
}

// Run changes a source.
func (c *sourcesSet) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	now, err := api.GetSource.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	var change api.ChangeSourceRequest
	if change.Settings, err = c.merge(p, now.Settings); err != nil {
		return err
	}
	if c.Name != "" {
		change.Name = &c.Name
	}
	if c.On || c.Off {
		change.Disabled = &c.Off
	}
	if change.Name == nil && change.Disabled == nil && change.Settings == nil {
		return usage("--name, --on, --off, --field or --settings", "there is nothing to change")
	}
	s, err := api.ChangeSource.Call(p.ctx, client, runapi.To(c.ID, change))
	if err != nil {
		return err
	}
	if err := p.showSource(s, c.Output); err != nil {
		return err
	}
	p.shownOnce(s)
	return nil
}

type sourcesRotate struct {
	clientFlags
	sourceArgument
	Secret bool `name:"secret" xor:"secret" help:"Make a new secret; the old one goes on verifying."`
	URL    bool `name:"url" help:"Make a new URL; the old one stops at once."`
	Drop   bool `name:"drop-old" help:"Forget all secrets but the newest."`
	secretFlag
	showFlag
}

// Run makes a new secret or URL.
func (c *sourcesRotate) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	secret, err := c.secretFlag.read(p)
	if err != nil {
		return err
	}
	if secret == "" && !c.Secret && !c.URL && !c.Drop {
		return usage("--secret, --secret-file FILE, --url or --drop-old", "say what to rotate")
	}
	s, err := api.RotateSource.Call(p.ctx, client,
		runapi.To(c.ID, api.RotateSourceRequest{Secret: secret, MakeSecret: c.Secret, DropOld: c.Drop, URL: c.URL}))
	if err != nil {
		return err
	}
	if err := p.showSource(s, c.Output); err != nil {
		return err
	}
	p.shownOnce(s)
	return nil
}

type sourcesTry struct {
	clientFlags
	sourceArgument
	Body string `arg:"" name:"file" help:"File with the body; - reads standard input."`
	settingsFlags
	showFlag
}

// Run tries a body.
func (c *sourcesTry) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	now, err := api.GetSource.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	trial := api.TrySourceRequest{}
	if trial.Settings, err = c.merge(p, now.Settings); err != nil {
		return err
	}
	body, err := readInput(p, c.Body)
	if err != nil {
		return err
	}
	trial.Body = string(body)
	tried, err := api.TrySource.Call(p.ctx, client, runapi.To(c.ID, trial))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, tried)
	}
	fmt.Fprintln(p.out, strings.TrimSpace(tried.State+" "+tried.Code))
	for _, item := range tried.Items {
		text := item.Error
		if item.SignUp != nil {
			var person bytes.Buffer
			encoder := json.NewEncoder(&person)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(item.SignUp); err != nil {
				return err
			}
			text = strings.TrimSpace(person.String())
		}
		for _, f := range item.Errors {
			text += " " + strings.TrimPrefix(f.Field+": "+f.Message, ": ")
		}
		fmt.Fprintln(p.out, strings.TrimRight("  "+item.Event+" "+printable(text, ""), " "))
	}
	if tried.State == "rejected" {
		return errors.New("the body would be rejected: " + tried.Reason)
	}
	return nil
}

type sourcesDelete struct {
	clientFlags
	sourceArgument
	Yes bool `name:"yes" short:"y" help:"Do not ask."`
}

// Run deletes a source.
func (c *sourcesDelete) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.GetSource.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	if !c.Yes {
		question := "Delete " + printable(s.Name, "") + " and what is kept of its deliveries? Its subscribers stay. [y/N] "
		if agreed, err := p.agrees(question); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was deleted"))
		}
	}
	if _, err := api.DeleteSource.Call(p.ctx, client, runapi.ID(c.ID)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, c.ID+" deleted")
	return err
}
