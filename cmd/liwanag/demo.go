package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/demo"
)

type demoCommand struct {
	File  string  `arg:"" optional:"" type:"existingfile" placeholder:"FILE.csv" help:"Sign-ups to use instead of the 250 of the sample."`
	Dir   string  `name:"dir" placeholder:"DIR" help:"Where database and simulator's state are kept. Default: liwanag-demo in the user's cache folder."`
	Fresh bool    `name:"fresh" help:"Begin anew instead of going on."`
	Exit  bool    `name:"exit" help:"End when the work is done: exit code 0 only if every lookup is final."`
	Speed float64 `name:"speed" default:"20" help:"How many times faster than FullEnrich the simulator is."`

	Engine            string `name:"engine" default:"embedded" enum:"embedded,temporal" help:"What runs the workflows: embedded, or temporal."`
	TemporalAddress   string `name:"temporal-address" env:"TEMPORAL_ADDRESS" placeholder:"HOST:PORT" help:"The Temporal cluster. Default: 127.0.0.1:7233."`
	TemporalNamespace string `name:"temporal-namespace" env:"TEMPORAL_NAMESPACE" placeholder:"NAME" help:"The namespace in it. Default: default."`
}

// Run shows the product.
func (c *demoCommand) Run(p *program) (err error) {
	if c.Dir == "" {
		if c.Dir, err = demo.Dir(); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: where is this program? %w", err)
	}
	d, err := demo.New(p.ctx, demo.Config{Dir: c.Dir, Fresh: c.Fresh, Speed: c.Speed, Program: program,
		Engine: c.Engine, Temporal: config.Temporal{TemporalAddress: c.TemporalAddress, TemporalNamespace: c.TemporalNamespace}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	fmt.Fprintf(p.out, "Liwanag demo: the server at %s\n", d.URL())
	fmt.Fprintf(p.out, "A pretended FullEnrich works at %g times its speed; files in %s\n", c.Speed, c.Dir)
	if c.Engine == config.EngineTemporal {
		fmt.Fprintln(p.out, "The workflows run on Temporal")
	}
	fmt.Fprintln(p.out)

	ctx, stop := context.WithCancelCause(p.ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() {
		err := d.Run(ctx)
		stop(err) // nothing is left to show when it ends by itself
		ended <- err
	}()
	shown := c.show(ctx, p, d)
	if shown == nil && !c.Exit {
		fmt.Fprintf(p.out, "\nThe server goes on; Ctrl-C ends it. Try: liwanag subscribers list --server %[1]s, or open\n%[1]s/\n", d.URL())
		<-ctx.Done()
	}
	stop(nil)
	if err := <-ended; err != nil {
		return fmt.Errorf("%w\n  Try: the log says more: %s", err, d.LogFile())
	}
	if errors.Is(shown, context.Canceled) && !c.Exit {
		fmt.Fprintf(p.err, "Stopped. The same command goes on from here.\n")
		return nil
	}
	return shown
}

// show imports the sign-ups, follows their lookups to the end, and reports.
func (c *demoCommand) show(ctx context.Context, p *program, d *demo.Demo) error {
	began := time.Now()
	client, err := apiclient.New(apiclient.Config{Server: d.URL()})
	if err != nil {
		return err
	}
	inside := *p
	inside.ctx = ctx
	if err := c.importSignUps(&inside, client); err != nil {
		return err
	}
	last, err := followDemo(&inside, d)
	if err != nil {
		return err
	}
	report, err := d.Report(ctx, demoPeople)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	if err := printReport(p, report, time.Since(began)); err != nil {
		return err
	}
	switch {
	case last.Held > 0:
		return fmt.Errorf("%s held: nobody knows whether they were accepted\n  Try: liwanag submissions list "+
			"--state held --server %s", plural(last.Held, "lookup"), d.URL())
	case report.PaidTwice > 0:
		return fmt.Errorf("%s paid twice", plural(int64(report.PaidTwice), "address"))
	}
	return nil
}

func (c *demoCommand) importSignUps(p *program, client *apiclient.Client) error {
	var file io.Reader = bytes.NewReader(demo.SampleSignUps)
	name := "sample.csv"
	if c.File != "" {
		opened, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer opened.Close()
		file, name = opened, filepath.Base(c.File)
	}
	in := &importing{p: p, client: client, preview: p.err, every: 100 * time.Millisecond}
	upload, err := in.send(apiclient.UploadFile{Name: name, Source: "demo", Confirm: true}, file, 0)
	if err != nil {
		return err
	}
	if err := in.understand(upload); err != nil {
		return err
	}
	fmt.Fprintln(p.err)
	_, err = in.follow(upload, false)
	return err
}

// followDemo shows the lookups' progress until nothing more happens by itself.
func followDemo(p *program, d *demo.Demo) (demo.Progress, error) {
	g := p.progress()
	defer g.close()
	submitted, results := g.meter("submitted", ""), g.meter("results", "")
	defer submitted.done()
	defer results.done()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := d.Progress(p.ctx)
		if err != nil {
			return now, err
		}
		submitted.set(now.Submitted, now.Jobs)
		results.set(now.Final, now.Jobs)
		if now.Resting() {
			return now, nil
		}
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return now, p.ctx.Err()
		}
	}
}

// demoPeople is how many rows the table of results has.
const demoPeople = 15

func printReport(p *program, r demo.Report, took time.Duration) error {
	people := func(yield func(demo.Person, error) bool) {
		for _, person := range r.People {
			if !yield(person, nil) {
				return
			}
		}
	}
	err := writeTable(p, []column[demo.Person]{
		{"name", func(x demo.Person) string { return x.Name }},
		{"title", func(x demo.Person) string { return x.Title }},
		{"company", func(x demo.Person) string { return x.Company }},
		{"signed up as", func(x demo.Person) string { return shortAddress(x.Email) }},
	}, people)
	if err != nil {
		return err
	}
	if more := r.Enriched - int64(len(r.People)); more > 0 {
		fmt.Fprintf(p.out, "… and %d more\n", more)
	}
	lookups := r.Enriched + r.NotFound + r.Failed + r.Open
	fmt.Fprintf(p.out, "\n%s, %s in %s\n", plural(r.SignUps, "subscriber"), plural(lookups, "lookup"), span(took))
	rate := 0.0
	if lookups > 0 {
		rate = 100 * float64(r.Enriched) / float64(lookups)
	}
	fmt.Fprintf(p.out, "  found         %d (%.0f %%), not found %d, failed %d\n", r.Enriched, rate, r.NotFound, r.Failed)
	fmt.Fprintf(p.out, "  paid calls    %d, of up to 100 addresses each\n", r.Submissions)
	verdict := "nothing was paid twice"
	if r.PaidTwice > 0 {
		verdict = plural(int64(r.PaidTwice), "address") + " taken twice"
	}
	fmt.Fprintf(p.out, "  credits       %d; the simulator's ledger: %d for %d addresses, %s\n", r.Credits, r.Charged, r.Accepted, verdict)
	return nil
}

// shortAddress shows enough of an address to know it again.
func shortAddress(email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || len(local) <= 3 {
		return email
	}
	runes := []rune(local)
	return string(runes[:min(3, len(runes))]) + "…@" + domain
}
