package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type subscribersCommand struct {
	Add          subscribersAdd          `cmd:"" help:"Add one subscriber, or update them."`
	List         subscribersList         `cmd:"" help:"List subscribers, newest first."`
	Show         subscribersShow         `cmd:"" help:"Show a subscriber with lookups."`
	Import       subscribersImport       `cmd:"" help:"Import a CSV file: preview, cost estimate, progress."`
	Export       subscribersExport       `cmd:"" help:"Export subscribers: as CSV that can be imported again, or chosen columns."`
	Enrich       subscribersEnrich       `cmd:"" help:"Look subscribers up once more."`
	Tag          subscribersTag          `cmd:"" help:"Add tags to subscribers, or take some away."`
	Unsubscribe  subscribersUnsubscribe  `cmd:"" help:"Note that people left: nothing is looked up for them any more."`
	Resubscribe  subscribersResubscribe  `cmd:"" help:"Note that a person came back. Nobody is looked up by it."`
	Suppress     subscribersSuppress     `cmd:"" help:"Suppress the addresses of people, who stay as unsubscribed: nobody brings them in again."`
	ExportPerson subscribersExportPerson `cmd:"" name:"export-person" help:"Everything that is kept of one person, as JSON."`
	Erase        subscribersErase        `cmd:"" help:"Erase people and everything that is known of them."`
}

type subscribersAdd struct {
	clientFlags
	Email       string   `arg:"" help:"The address."`
	Source      string   `name:"source" help:"Where they signed up."`
	FirstName   string   `name:"first-name"`
	LastName    string   `name:"last-name"`
	CompanyName string   `name:"company-name"`
	Tags        []string `name:"tag" help:"May be repeated."`
	showFlag
}

// Run adds a subscriber.
func (c *subscribersAdd) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	added, err := api.AddSubscriber.Call(p.ctx, client, api.SignUp{Email: c.Email, Source: c.Source, FirstName: c.FirstName,
		LastName: c.LastName, CompanyName: c.CompanyName, Tags: c.Tags})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, added)
	}
	if added.Status == "suppressed" {
		_, err = fmt.Fprintln(p.out, "suppressed: nothing was stored")
		return err
	}
	fmt.Fprintf(p.out, "%s %s\n", added.SubscriberID, added.Status)
	if added.RunID != "" {
		fmt.Fprintf(p.out, "looked up by %s\n", added.RunID)
	}
	return nil
}

type subscribersList struct {
	clientFlags
	outputFlag
	pageFlags
	subscriberFilter
	subscriberOrder
	Total bool `name:"total" help:"Say on stderr how many match."`
}

// Run lists subscribers.
func (c *subscribersList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if c.Output == "csv" {
		return c.export(p, client)
	}
	type s = api.Subscriber
	columns := []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"email", func(x s) string { return x.Email }},
		{"type", func(x s) string { return x.EmailType }},
		{"status", func(x s) string { return x.EnrichmentStatus }},
		{"subscribed", func(x s) string { return map[bool]string{true: "yes", false: "no"}[x.Subscribed] }},
		{"name", func(x s) string { return x.FullName }},
		{"title", func(x s) string { return x.JobTitle }},
		{"company", func(x s) string { return x.CompanyName }},
	}
	fetch := func(page runapi.Paging) (runapi.List[s], error) {
		wanted := api.SubscriberQuery{SubscriberFilter: c.filter(), SubscriberOrder: c.order(), Paging: page}
		wanted.Total = c.Total && page.Cursor == ""
		found, err := api.ListSubscribers.Call(p.ctx, client, wanted)
		if found.Total != nil {
			fmt.Fprintln(p.err, totalText(*found.Total, found.TotalIsMore))
		}
		return found.List, err
	}
	return list(p, c.outputFlag, c.pageFlags, columns, fetch)
}

// export writes the file of the export, so that it can be imported too.
func (c *subscribersList) export(p *program, client *apiclient.Client) error {
	if err := c.check(); err != nil {
		return err
	}
	wanted := api.SubscriberExport{SubscriberFilter: c.filter(), SubscriberOrder: c.order()}
	wanted.Subscribed = cmp.Or(wanted.Subscribed, "any") // lists show everybody
	if !c.All {
		wanted.Limit = c.Limit
	}
	file := &records{to: p.out}
	_, err := api.ExportSubscribers.Copy(p.ctx, client, wanted, file)
	if err == nil && !c.All && file.n > c.Limit {
		p.limited(c.pageFlags)
	}
	return err
}

type subscribersShow struct {
	clientFlags
	ID string `arg:"" id:"subscriber" help:"Id or address of the subscriber."`
	showFlag
}

// Run shows a subscriber.
func (c *subscribersShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	s, err := api.GetSubscriber.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, s)
	}
	headcount := ""
	if s.Headcount > 0 {
		headcount = fmt.Sprint(s.Headcount)
	}
	p.fields([][2]string{
		{"id", s.ID}, {"email", s.Email}, {"type", s.EmailType}, {"source", s.Source}, {"status", s.EnrichmentStatus},
		{"name", s.FullName}, {"headline", s.Headline}, {"title", s.JobTitle}, {"seniority", s.Seniority},
		{"location", s.Location}, {"linkedin", s.LinkedinURL}, {"company", s.CompanyName}, {"domain", s.CompanyDomain},
		{"headcount", headcount}, {"industry", s.Industry}, {"country", s.Country},
		{"stated", statedText(s.Stated)}, {"found", foundText(s.Found)}, {"names match", s.NameMatches},
		{"sources", strings.Join(s.Sources, ", ")}, {"tags", strings.Join(s.Tags, ", ")}, {"metadata", string(s.Metadata)},
		{"signed up", clock(s.SignedUpAt)},
		{"created", clock(s.CreatedAt)}, {"enriched", clock(s.EnrichedAt)}, {"unsubscribed", unsubscribed(s.UnsubscribedAt, s.UnsubscribedBy)},
	})
	if len(s.Jobs) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	type j = api.Job
	return writeTable(p, []column[j]{
		{"lookup", func(x j) string { return x.ID }},
		{"status", func(x j) string { return x.Status }},
		{"credits", func(x j) string { return fmt.Sprint(x.Credits) }},
		{"run", func(x j) string { return x.RunID }},
		{"created", func(x j) string { return clock(x.CreatedAt) }},
		{"why", why},
	}, each(s.Jobs))
}

// unsubscribed says since when, and who said so.
func unsubscribed(at time.Time, by string) string {
	if by == "" {
		return clock(at)
	}
	return clock(at) + " (" + by + ")"
}

func statedText(s *api.Stated) string {
	if s == nil {
		return ""
	}
	return joined(nameText(s.FullName, s.FirstName, s.LastName), s.CompanyName, s.CompanyDomain, s.LinkedinURL)
}

func foundText(f *api.Found) string {
	if f == nil {
		return ""
	}
	return joined(nameText(f.FullName, f.FirstName, f.LastName), f.CompanyName, f.CompanyDomain, f.LinkedinURL)
}

func nameText(full, first, last string) string {
	if full != "" {
		return full
	}
	return strings.TrimSpace(first + " " + last)
}

// joined puts what is there beside each other.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), ", ")
}

// why says why a lookup failed, or what it waits for.
func why(j api.Job) string {
	switch {
	case j.Failure != nil:
		return failureText(j.Failure)
	case j.WaitingFor != "" && !j.WaitingUntil.IsZero():
		return "waits for " + j.WaitingFor + " until " + clock(j.WaitingUntil)
	case j.WaitingFor != "":
		return "waits for " + j.WaitingFor
	}
	return ""
}

// fields writes names and values, leaving out what is empty.
func (p *program) fields(fields [][2]string) {
	width := 10
	for _, f := range fields {
		width = max(width, len(f[0]))
	}
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(p.out, "%s %s\n", p.style(faint, fmt.Sprintf("%-*s", width, f[0])), printable(f[1], ""))
		}
	}
}

func each[T any](items []T) func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

type subscribersImport struct {
	clientFlags
	File     string            `arg:"" help:"The CSV file, or - for standard input."`
	Source   string            `name:"source" help:"Where they signed up, for rows that do not say."`
	Map      map[string]string `name:"map" placeholder:"COLUMN=FIELD" help:"What a column means, over what its header says: email, firstName, …, metadata or ignore."`
	Encoding string            `name:"encoding" help:"How the file is written, such as UTF-8, windows-1252 or Shift_JIS. Default: it is found, and asked for when it is not clear."`
	Ignore   bool              `name:"ignore-standing" help:"Believe no column that says that somebody left."`
	Cap      *int64            `name:"cap" placeholder:"CREDITS" help:"What the lookups may cost; whoever is above it is stored and not looked up. Default: what the preview says."`
	Yes      bool              `name:"yes" short:"y" help:"Do not ask."`
	DryRun   bool              `name:"dry-run" help:"Show the preview only."`
	Wait     bool              `name:"wait" help:"Wait until all are looked up, not only imported."`
	showFlag
}

// shown is where the preview goes: of a dry run it is the result.
func (c *subscribersImport) shown(p *program) io.Writer {
	switch {
	case !c.DryRun:
		return p.err
	case c.Output == "json":
		return io.Discard
	}
	return p.out
}

// Run imports a file.
func (c *subscribersImport) Run(p *program) error {
	if c.Cap != nil && *c.Cap < 0 {
		return usage("--cap 100", "a cap of %d credits is negative", *c.Cap)
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	file, name, size, err := c.open(p)
	if err != nil {
		return err
	}
	defer file.Close()
	in := &importing{p: p, client: client, preview: c.shown(p), cap: c.Cap, every: 200 * time.Millisecond}
	send := apiclient.UploadFile{Name: name, Source: c.Source, Mapping: c.Map, Encoding: c.Encoding}
	if c.Ignore {
		send.Standing = "ignore"
	}
	upload, err := in.send(send, file, size)
	if err != nil {
		return err
	}
	if err := in.understand(upload); err != nil {
		return err
	}
	if upload, err = c.decide(p, in, upload); err != nil {
		return err
	}
	if c.DryRun && c.Output == "json" {
		return printJSON(p.out, upload)
	}
	if c.DryRun {
		return nil
	}
	if upload, err = in.follow(upload, c.Wait); err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, upload)
	}
	fmt.Fprintf(p.out, "%s imported: %d new, %d known, %d corporate", plural(upload.Counts.Rows-upload.Counts.Invalid, "row"),
		upload.Counts.New, upload.Counts.Known, upload.Counts.Corporate)
	if n := upload.Counts.Unsubscribed; n > 0 {
		fmt.Fprintf(p.out, ", %d unsubscribed", n)
	}
	fmt.Fprintln(p.out)
	if c.Wait {
		fmt.Fprintf(p.out, "looked up: %d found, %d not found, %d failed\n", upload.Progress.Enriched,
			upload.Progress.NotFound, upload.Progress.Failed)
	}
	return nil
}

func (c *subscribersImport) open(p *program) (io.ReadCloser, string, int64, error) {
	if c.File == "-" {
		return io.NopCloser(p.in), "standard input", 0, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, "", 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = usage("the path of a CSV file", "%s is a directory", c.File)
	}
	if err != nil {
		return nil, "", 0, errors.Join(err, f.Close())
	}
	return f, filepath.Base(c.File), info.Size(), nil
}

// decide confirms the upload or cancels it.
func (c *subscribersImport) decide(p *program, in *importing, u api.Upload) (api.Upload, error) {
	agreed := c.Yes
	var err error
	if !c.Yes && !c.DryRun && c.File != "-" {
		agreed, err = p.agrees("Import them? [y/N] ")
	} else if c.File == "-" {
		agreed = !c.DryRun // standard input is taken: there is nobody to ask
	}
	if agreed && !c.DryRun {
		confirm := api.ConfirmUploadRequest{IDPath: runapi.ID(u.ID)}
		if c.Cap != nil {
			confirm.Cap = fmt.Sprint(*c.Cap)
		}
		return api.ConfirmUpload.Call(p.ctx, in.client, confirm)
	}
	_, canceled := api.CancelUpload.Call(p.ctx, in.client, runapi.ID(u.ID))
	if c.DryRun {
		return u, canceled
	}
	return u, errors.Join(err, canceled, errors.New("nothing was imported"))
}

type subscribersExport struct {
	clientFlags
	subscriberFilter
	subscriberOrder
	Columns string `name:"columns" placeholder:"NAME,NAME" help:"Columns of the file, in this order; metadata.KEY is one of the metadata. Default: all, as a file that can be imported again."`
	Output  string `name:"output" short:"o" enum:"csv,jsonl" default:"csv" help:"csv, or jsonl: a JSON object a line."`
	File    string `name:"file" short:"f" placeholder:"FILE" help:"Where to write. Default: standard output."`
}

// counted is where an export goes; it says who was left out.
type counted struct {
	io.Writer
	p *program
}

// Headers reads how many were left out.
func (c counted) Headers(h http.Header) {
	if left, err := strconv.ParseInt(h.Get(api.LeftOutHeader), 10, 64); err == nil && left > 0 {
		fmt.Fprintf(c.p.err, "%s who unsubscribed left out: --subscribed any takes them too\n", people(left))
	}
}

// people counts persons.
func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

// Run exports subscribers.
func (c *subscribersExport) Run(p *program) (err error) {
	client, err := c.dial()
	if err != nil {
		return err
	}
	wanted := api.SubscriberExport{SubscriberFilter: c.filter(), SubscriberOrder: c.order(), Columns: c.Columns}
	if c.Output != "csv" {
		wanted.Format = c.Output
	}
	if c.File == "" {
		_, err = api.ExportSubscribers.Copy(p.ctx, client, wanted, counted{p.out, p})
		return err
	}
	// A file that is there is whole: it gets its name at the end.
	partial, err := os.CreateTemp(filepath.Dir(c.File), ".liwanag-export-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial.Name()))
		}
	}()
	n, err := api.ExportSubscribers.Copy(p.ctx, client, wanted, counted{partial, p})
	if err = errors.Join(err, partial.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), c.File); err != nil {
		return err
	}
	fmt.Fprintf(p.err, "%s written to %s\n", plural(n, "byte"), c.File)
	return nil
}

// jsonArgument checks a JSON value that was typed.
func jsonArgument(name, text string) (json.RawMessage, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, usage(`'{"key": "value"}', quoted for the shell`, "%s is not JSON", name)
	}
	return json.RawMessage(text), nil
}
