package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerOverview() {
	c.handle("GET /{$}", func(v *visit) error { return c.overview(v, nil) })
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

// untouched says whether nobody has come in yet.
func (g glance) untouched() bool {
	return total(g.Subscribers) == 0 && g.signUps() == 0
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
	switch a.Kind {
	case "submission_held":
		if a.ID != "" {
			return remedy{"Decide", under("/submissions", a.ID)}
		}
		return remedy{"Decide", "/submissions?state=held"}
	case "spending_paused", "credits_low":
		return remedy{"See credits", "/credits"}
	case "sink_failing", "sink_disabled":
		return remedy{"See the sink", under("/sinks", a.ID)}
	case "source_refusing":
		return remedy{"See what came", under("/sources", a.ID)}
	case "delivery_unmatched":
		return remedy{"See deliveries", "/deliveries?source=fullenrich&state=unmatched"}
	case "webhooks_silent":
		return remedy{"See the runs", "/runs?status=waiting"}
	}
	return remedy{}
}

// attentionTone says how urgent it is.
func attentionTone(kind string) tone {
	switch {
	case kind == "spending_paused":
		return tone{"wait", "pause"}
	case kind == "submission_held" || strings.HasSuffix(kind, "_disabled") || strings.HasSuffix(kind, "_failing"):
		return tone{"bad", "hand"}
	}
	return tone{"wait", "hand"}
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
	why := words(c.PausedReason)
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
