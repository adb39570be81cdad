package console

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Measures of the picture, in its own units.
const (
	timelineHead = 34.0
	timelineBar  = 14.0
	leastBar     = 3.0  // what happened is seen, however short it was
	tickSpace    = 74.0 // between two captions of the axis
)

// measures are those of one form of the picture.
type measures struct {
	ID                string  // of what the page may have once
	Names, Bars, Note float64 // widths: of the names, the bars and the words behind them
	Row               float64 // height
	Above             float64 // how far names and words stand above the bars; 0: beside them
}

// The forms of the picture: beside each other, and for a phone above each other.
var (
	wideTimeline   = measures{ID: "wide", Names: 190, Bars: 640, Note: 150, Row: 30}
	narrowTimeline = measures{ID: "narrow", Bars: 340, Row: 46, Above: 15}
)

// timeline is the picture of a run.
type timeline struct {
	measures
	Rows       []timelineEntry
	Ticks      []timelineTick
	Now        float64 // where now is; negative: the run has ended
	Compressed bool
	about      string
}

// timelineEntry is a step in the picture.
type timelineEntry struct {
	Name, Note string
	Y          float64 // middle
	Bars       []timelineBarOf
	Deadline   float64 // negative: none
	Events     []timelineEvent
}

// timelineBarOf is a span of a step: attempt, failed, running, wait, ahead or pause.
type timelineBarOf struct {
	Kind, Title string
	X, Width    float64
}

type timelineEvent struct {
	X     float64
	Title string
}

type timelineTick struct {
	X    float64
	Text string
}

func (t timeline) width() float64  { return t.Names + t.Bars + t.Note }
func (t timeline) height() float64 { return timelineHead + float64(len(t.Rows))*t.Row + 8 }

// drawTimeline draws a run as it stands now.
func drawTimeline(r runapi.RunDetail, now time.Time, m measures) timeline {
	end := r.EndedAt
	if end.IsZero() {
		end = now
	}
	marks := []time.Time{r.CreatedAt, end}
	mark := func(times ...time.Time) {
		for _, t := range times {
			if !t.IsZero() && !t.Before(r.CreatedAt) {
				marks = append(marks, t)
			}
		}
	}
	for _, s := range r.Steps {
		mark(s.StartedAt, s.EndedAt)
		for _, a := range s.Attempts {
			mark(a.StartedAt, a.EndedAt)
		}
	}
	for _, e := range r.Events {
		if !e.Late {
			mark(e.ReceivedAt)
		}
	}
	if w := r.WaitingFor; w != nil {
		mark(w.Until)
	}
	scale := newTimescale(marks, m.Bars)
	t := timeline{measures: m, Now: -1, Compressed: scale.Power < 1, about: timelineWords(r, end)}
	if r.EndedAt.IsZero() {
		t.Now = m.Names + scale.x(now)
	}
	for i, s := range r.Steps {
		t.Rows = append(t.Rows, t.drawStep(r, s, scale, end, timelineHead+(float64(i)+.5)*m.Row+m.Above/2))
	}
	t.Ticks = t.ticksOf(scale, r.CreatedAt, []time.Time{r.CreatedAt, end, scale.marks[len(scale.marks)-1]})
	return t
}

// timelineWords are the picture in a sentence.
func timelineWords(r runapi.RunDetail, end time.Time) string {
	return fmt.Sprintf("%s of %s over %s, %s. The table of steps below says the same in words.",
		capital(plural(int64(len(r.Steps)), "step", "steps")), r.ID, length(end.Sub(r.CreatedAt)), words(r.Status))
}

// ticksOf captions marked times that are far enough from each other, the given ones
// first.
func (t timeline) ticksOf(scale timescale, from time.Time, first []time.Time) (ticks []timelineTick) {
	for _, m := range append(first, scale.marks...) {
		tick := timelineTick{t.Names + scale.x(m), offset(m, from)}
		if !slices.ContainsFunc(ticks, func(o timelineTick) bool { return math.Abs(o.X-tick.X) < tickSpace || o.Text == tick.Text }) {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

func (t timeline) drawStep(r runapi.RunDetail, s runapi.Step, scale timescale, end time.Time, y float64) timelineEntry {
	row := timelineEntry{Name: s.Name, Y: y, Deadline: -1, Note: words(s.Status)}
	for _, e := range r.Events {
		if e.ConsumedBy == s.Name {
			row.Events = append(row.Events,
				timelineEvent{t.Names + scale.x(e.ReceivedAt), e.Type + " came " + offset(e.ReceivedAt, r.CreatedAt)})
		}
	}
	if s.StartedAt.IsZero() || s.Status == "skipped" {
		return row
	}
	bar := func(kind string, from, to time.Time, title string) {
		if to.IsZero() {
			to = end
		}
		x := scale.x(from)
		row.Bars = append(row.Bars, timelineBarOf{kind, title, t.Names + x, max(leastBar, scale.x(to)-x)})
	}
	if snoozing(r, s) {
		row.Note = "waiting"
	}
	row.Note += " · " + took(s.StartedAt, s.EndedAt, end)
	pauses := s.Kind == "wait" || s.Kind == "sleep"
	switch {
	case pauses:
		bar("wait", s.StartedAt, s.EndedAt, s.Name+" waits "+took(s.StartedAt, s.EndedAt, end))
	case len(s.Attempts) == 0 && snoozing(r, s):
		bar("pause", s.StartedAt, s.EndedAt, s.Name+" is not done yet: "+waitingWords(*r.WaitingFor))
	case len(s.Attempts) == 0 && s.EndedAt.IsZero():
		bar("running", s.StartedAt, s.EndedAt, s.Name+" "+took(s.StartedAt, s.EndedAt, end))
	case len(s.Attempts) == 0:
		bar("pause", s.StartedAt, s.EndedAt, s.Name+" "+took(s.StartedAt, s.EndedAt, end)+", without an attempt")
	default:
		bar("pause", s.StartedAt, s.EndedAt, "between attempts")
	}
	for _, a := range s.Attempts {
		if !a.StartedAt.IsZero() {
			bar(attemptKind(a), a.StartedAt, a.EndedAt, attemptWords(a, end))
		}
	}
	if w := r.WaitingFor; w != nil && w.Step == s.Name && w.Until.After(end) {
		row.Deadline = t.Names + scale.x(w.Until)
		bar("ahead", end, w.Until, untilWords(w.Kind)+" "+full(w.Until))
	}
	return row
}

// snoozing says whether the run waits for a snooze or a back-off of the step to end.
func snoozing(r runapi.RunDetail, s runapi.Step) bool {
	w := r.WaitingFor
	return w != nil && w.Step == s.Name && (w.Kind == "snooze" || w.Kind == "retry")
}

func attemptKind(a workflow.Attempt) string {
	switch {
	case a.Error != "":
		return "failed"
	case a.EndedAt.IsZero():
		return "running"
	}
	return "attempt"
}

func attemptWords(a workflow.Attempt, now time.Time) string {
	text := fmt.Sprintf("attempt %d, %s", a.N, took(a.StartedAt, a.EndedAt, now))
	if a.Error != "" {
		text += ": " + a.Error
	}
	if !a.NextAt.IsZero() && !a.EndedAt.IsZero() {
		text += ", again after " + length(a.NextAt.Sub(a.EndedAt))
	}
	return text
}

// px is a length of a picture.
func px(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// clip shortens a text for a picture, which cannot wrap it.
func clip(text string, runes int) string {
	r := []rune(text)
	if len(r) <= runes {
		return text
	}
	return string(r[:runes-1]) + "…"
}

// anchor keeps the captions at both ends of an axis inside the picture.
func (t timeline) anchor(x float64) string {
	switch {
	case x < t.Names+20:
		return "start"
	case x > t.Names+t.Bars-20:
		return "end"
	}
	return "middle"
}
