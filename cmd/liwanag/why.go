package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type whyCommand struct {
	clientFlags
	ID string `arg:"" name:"id" help:"Id of a run, paid call (submission), subscriber, upload or sink, an enrichment id, or an e-mail address."`
	showFlag
}

// Run says why something stands where it stands.
func (c *whyCommand) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	answer, err := p.why(client, c.ID)
	if err != nil {
		return err
	}
	return p.showWhy(answer, c.Output)
}

// reasons are asked for by the prefix of an id.
var reasons = map[string]struct {
	kind  string
	route runapi.Route[runapi.IDPath, api.Why]
}{
	"run_": {"run", api.WhyRun}, "sbm_": {"submission", api.WhySubmission}, "sub_": {"subscriber", api.WhySubscriber},
	"upl_": {"upload", api.WhyUpload}, "snk_": {"sink", api.WhySink},
}

var enrichmentID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// why asks about whatever an id names.
func (p *program) why(client *apiclient.Client, id string) (api.Why, error) {
	switch {
	case strings.Contains(id, "@"):
		return api.WhySubscriber.Call(p.ctx, client, runapi.ID(id))
	case shortID.MatchString(id):
		whole, err := p.anything(client, id)
		if err != nil {
			return api.Why{}, err
		}
		id = whole
	case enrichmentID.MatchString(strings.ToLower(id)):
		of, err := api.GetEnrichment.Call(p.ctx, client, api.EnrichmentPath{EnrichmentID: strings.ToLower(id)})
		if err != nil {
			return api.Why{}, err
		}
		id = of.SubmissionID
	}
	for prefix, r := range reasons {
		if strings.HasPrefix(id, prefix) {
			return r.route.Call(p.ctx, client, runapi.ID(id))
		}
	}
	return api.Why{}, usage("liwanag why run_…, sbm_…, sub_…, upl_…, snk_…, an enrichment id, or an e-mail address",
		"%q is no id of a run, paid call, subscriber, upload or sink", printable(id, ""))
}

// anything finds the one thing that a short id names: of its kind if it says which.
func (p *program) anything(client *apiclient.Client, short string) (whole string, err error) {
	var found []string
	for prefix, r := range reasons {
		if strings.Contains(short, "_") && !strings.HasPrefix(short, prefix) {
			continue
		}
		ids, err := p.endingIn(client, r.kind, short[len(short)-8:])
		if err != nil {
			return "", err
		}
		found = append(found, ids...)
	}
	return onlyOne("run, paid call, subscriber, upload or sink", short, found)
}

func (p *program) showWhy(w api.Why, format string) error {
	if format == "json" {
		return printJSON(p.out, w)
	}
	var b strings.Builder
	b.WriteString(p.style(bold, printable(w.Summary, "")) + "\n")
	for i, f := range w.Facts {
		spans := whenWords(f)
		if f.What == w.Summary && i == 0 {
			if spans != "" {
				b.WriteString("  " + p.style(faint, spans) + "\n")
			}
			continue
		}
		line := "  - " + printable(f.What, "")
		if spans != "" {
			line += " " + p.style(faint, "("+spans+")")
		}
		b.WriteString(line + "\n")
	}
	if len(w.Acts) > 0 {
		b.WriteString("What you can do:\n")
	}
	for _, a := range w.Acts {
		b.WriteString("  - " + printable(a.Do, "") + "\n      " + printable(a.Command, "") + "\n")
	}
	_, err := fmt.Fprint(p.out, b.String())
	return err
}

// whenWords say since when and until when something is so.
func whenWords(f api.WhyFact) string {
	var parts []string
	if !f.Since.IsZero() {
		parts = append(parts, "since "+clock(f.Since))
	}
	if !f.Until.IsZero() {
		parts = append(parts, "until "+clock(f.Until))
	}
	return strings.Join(parts, ", ")
}
