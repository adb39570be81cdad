package listing

import (
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Tally is one counted figure: how often something happened in a span, which is
// numbered from 1970, or what a day cost.
type Tally struct {
	Span int64
	What string // signed_up, a job's status, or spent
	N    int64
}

// maxSpans bounds what one question may ask for.
const maxSpans = 1000

// Spans are the empty spans from the one that since is in to the one before
// until.
func Spans(since, until time.Time, span time.Duration) []liwanag.Activity {
	var all []liwanag.Activity
	for from := since.UTC().Truncate(span); from.Before(until) && len(all) < maxSpans; from = from.Add(span) {
		all = append(all, liwanag.Activity{From: from})
	}
	return all
}

// Fill writes the figures into their spans. What a day cost is only known of
// whole days.
func Fill(spans []liwanag.Activity, span time.Duration, tallies []Tally) []liwanag.Activity {
	first := spans[0].From.UnixMicro() / span.Microseconds()
	for _, t := range tallies {
		at := t.Span - first
		if t.What == "spent" {
			if span != 24*time.Hour {
				continue
			}
			at = t.Span - int64(liwanag.DayOf(spans[0].From))
		}
		if at < 0 || at >= int64(len(spans)) {
			continue
		}
		switch a := &spans[at]; t.What {
		case "signed_up":
			a.SignUps += t.N
		case string(liwanag.JobEnriched):
			a.Enriched += t.N
		case string(liwanag.JobNotFound):
			a.NotFound += t.N
		case string(liwanag.JobFailed):
			a.Failed += t.N
		case "spent":
			a.Spent += t.N
		}
	}
	return spans
}
