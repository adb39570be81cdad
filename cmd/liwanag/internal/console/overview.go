package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerOverview() {
	c.handle("GET /{$}", func(v *visit) error { return c.overview(v, nil) })
	for act, route := range map[string]runapi.Route[api.Dismissal, api.Attentions]{
		"dismiss": api.DismissAttention, "restore": api.RestoreAttention} {
		c.handle("POST /attention/"+act, func(v *visit) error {
			if err := v.form(); err != nil {
				return err
			}
			if _, err := route.Call(v.Context(), v.api, api.Dismissal{Kind: v.PostForm.Get("kind"), ID: v.PostForm.Get("id"),
				Cause: v.PostForm.Get("cause")}); err != nil {
				return c.overview(v, err)
			}
			return v.goTo("/", "")
		})
	}
	c.handle("POST /spending/pause", func(v *visit) error {
		if err := v.form(); err != nil {
			return err
		}
		if _, err := api.PauseSubmissions.Call(v.Context(), v.api,
			api.PauseRequest{Body: &api.Reason{Reason: v.Form.Get("reason")}}); err != nil {
			return c.overview(v, err)
		}
		return v.goTo(own(v.Form.Get("back")), "Spending is paused: no paid call is made until you resume it.")
	})
	c.handle("POST /spending/resume", func(v *visit) error {
		if err := v.form(); err != nil {
			return err
		}
		if _, err := api.ResumeSubmissions.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
			return c.overview(v, err)
		}
		return v.goTo(own(v.Form.Get("back")), "Spending goes on.")
	})
}

// ranges are the spans of the overview.
var ranges = []choice{{"24h", "24 hours"}, {"7d", "7 days"}, {"30d", "30 days"}}

// overview shows the figures; fault is of an action that did not work.
func (c *Console) overview(v *visit, fault error) error {
	o, err := api.GetOverview.Call(v.Context(), v.api, api.OverviewRequest{Range: v.URL.Query().Get("range")})
	if err != nil {
		return err
	}
	// The overview may be some seconds old; whether money is spent is asked now.
	if o.Credits, err = api.GetCredits.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
		return err
	}
	f := frame{Title: "Overview", Here: "/", Nav: "/", Charts: true}
	status := http.StatusOK
	if fault != nil {
		f.Fault = faultOf(fault)
		status = f.Fault.Status
	}
	return v.show(status, f, overviewPage(v, glance{o}))
}

// glance is the overview with the sums that its tiles show.
type glance struct{ api.Overview }

func (g glance) sum(of func(api.Span) int64) (total int64) {
	for _, s := range g.Spans {
		total += of(s)
	}
	return total
}

func (g glance) signUps() int64  { return g.sum(func(s api.Span) int64 { return s.SignUps }) }
func (g glance) enriched() int64 { return g.sum(func(s api.Span) int64 { return s.Enriched }) }
func (g glance) notFound() int64 { return g.sum(func(s api.Span) int64 { return s.NotFound }) }
func (g glance) failed() int64   { return g.sum(func(s api.Span) int64 { return s.Failed }) }

// spent are credits: of the days of the range, or of today.
func (g glance) spent() int64 {
	if g.hourly() {
		return g.Credits.Spent
	}
	return g.sum(func(s api.Span) int64 { return s.Spent })
}

// hourly says whether the spans are hours, which know nothing of credits.
func (g glance) hourly() bool { return g.Range == "24h" }

// matchRate is the share of answers that say who somebody is.
func (g glance) matchRate() string {
	answers := g.enriched() + g.notFound()
	if answers == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(g.enriched())/float64(answers))
}

// open counts runs that have not ended.
func (g glance) open() int64 { return g.Runs["pending"] + g.Runs["running"] + g.Runs["waiting"] }

// seen is how much of what needs a person was dismissed.
func (g glance) seen() int64 {
	n := int64(len(g.Dismissed))
	if !g.Onboarding.Done && g.Onboarding.Dismissed {
		n++
	}
	return n
}

// spanName is a span's begin for people.
func (g glance) spanName(t time.Time) string {
	if g.hourly() {
		return t.UTC().Format("Mon 15:04")
	}
	return t.UTC().Format("Mon 2 Jan")
}

// remedy is where to do something about what needs a person.
type remedy struct{ Text, Path string }

// remedyOf links what needs a person to where it is dealt with.
func remedyOf(a api.Attention) remedy {
	one := func(text, listing, many string) remedy {
		if a.ID != "" {
			return remedy{text, under(listing, a.ID)}
		}
		return remedy{text, many}
	}
	switch a.Kind {
	case "submission_held", "submission_ambiguous":
		return one("Decide", "/submissions", "/submissions?state="+strings.TrimPrefix(a.Kind, "submission_"))
	case "run_failed":
		return one("See the run", "/runs", "/runs?status=failed")
	case "upload_waiting":
		return one("See the file", "/uploads", "/uploads")
	case "spending_paused", "credits_low":
		return remedy{"See credits", "/credits"}
	case "found_rate":
		return remedy{"Decide", "/credits#stopped"}
	case "sink_failing", "sink_disabled":
		return remedy{"See webhooks out", under("/sinks", a.ID)}
	case "source_refusing":
		return remedy{"See the source", under("/sources", a.ID)}
	case "delivery_unmatched":
		return one("See the delivery", "/deliveries", "/deliveries?source=fullenrich&state=unmatched")
	case "webhooks_silent":
		return remedy{"See the runs", "/runs?status=waiting"}
	}
	return remedy{}
}

// attentionTitles say what it is.
var attentionTitles = map[string]string{
	"key_missing": "No FullEnrich key", "public_url_missing": "No public URL", "spending_paused": "Spending is paused",
	"submission_held": "Paid call on hold", "submission_ambiguous": "Paid call without an answer", "found_rate": "Hardly anybody is found",
	"credits_low": "Credits are low", "run_failed": "Run failed", "upload_waiting": "Upload waits", "sink_disabled": "Webhooks out disabled",
	"sink_failing": "Webhooks out failing", "delivery_unmatched": "Result not applied", "source_refusing": "Source refuses webhooks",
	"webhooks_silent": "No webhooks of FullEnrich", "onboarding": "First steps",
}

func attentionTitle(a api.Attention) string {
	return firstOf(attentionTitles[a.Kind], capital(words(a.Kind)))
}

// attentionName is what the thing is called; of runs and paid calls that is their id.
func attentionName(a api.Attention) string {
	switch a.Kind {
	case "run_failed", "submission_held", "submission_ambiguous":
		return shortID(a.ID)
	}
	return a.Name
}

// atStake says what it is about, in people and credits.
func atStake(a api.Attention) string {
	switch {
	case a.People > 0 && a.Credits > 0:
		return "At stake: " + plural(a.People, "person", "people") + ", " + plural(a.Credits, "credit", "credits") + " at most"
	case a.People > 0:
		return plural(a.People, "person", "people")
	}
	return ""
}

// attentionTone says how urgent it is: red is wrong, and costs until somebody acts.
func attentionTone(kind string) tone {
	switch kind {
	case "spending_paused":
		return tone{"wait", "pause"}
	case "submission_held", "run_failed", "sink_disabled", "sink_failing", "delivery_unmatched", "key_missing":
		return tone{"bad", "hand"}
	case "onboarding", "upload_waiting":
		return tone{"calm", "hand"}
	}
	return tone{"wait", "hand"}
}

// stepTitles name the first steps.
var stepTitles = map[string]string{"key": "A FullEnrich key", "public_url": "Reachable from outside", "people": "The first people",
	"results": "An export, or webhooks out"}

// stepWays are where the first steps are done.
var stepWays = map[string][]remedy{
	"people":  {{"Upload a CSV", "/uploads"}, {"Add source", "/sources"}, {"Read the API", "/docs"}},
	"results": {{"Export people", "/subscribers?status=enriched"}, {"Webhooks out", "/sinks"}},
}

// ways are where the visitor may do a first step.
func (v *visit) ways(step string) []remedy {
	return slices.DeleteFunc(slices.Clone(stepWays[step]), func(r remedy) bool { return !v.opens(r.Path) })
}

func stepIcon(done bool) string {
	if done {
		return "check"
	}
	return "clock"
}

// balance is what is left at FullEnrich, as far as it was ever told.
func balance(c api.Credits) string {
	if c.Balance == nil {
		return "–"
	}
	return amount(*c.Balance)
}

// unit is what a span is.
func (g glance) unit() string {
	if g.hourly() {
		return "hour"
	}
	return "day"
}

// creditsNote says of what the credits of a tile are.
func creditsNote(g glance) string {
	if !g.hourly() {
		return number(g.Credits.Spent) + " today"
	}
	return "today"
}

// pausedWords say why and until when spending is paused.
func pausedWords(c api.Credits) string {
	why := firstOf(map[string]string{ // #nosec G101 -- words on a page
		"paused": "By hand", "credits": "No credits are left", "key": "FullEnrich refuses the key"}[c.PausedReason],
		words(c.PausedReason))
	if c.PausedNote != "" {
		why += ": " + c.PausedNote
	}
	if !c.PausedUntil.IsZero() {
		why += ", until " + full(c.PausedUntil)
	}
	return strings.TrimPrefix(why, ": ")
}

// chartSeries is a column of a chart's table. Tone names its color.
type chartSeries struct {
	Name, Tone string
	Of         func(api.Span) int64
}

// percent is the share of a status among all, as a length of 100.
func percent(counts map[string]int64, status string) string {
	all := total(counts)
	if all == 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(counts[status])/float64(all), 'f', 2, 64)
}

func total(counts map[string]int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}
