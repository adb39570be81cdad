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
	timelineNames = 190.0
	timelineBars  = 640.0
	timelineNotes = 150.0
	timelineRow   = 30.0
	timelineHead  = 34.0
	timelineBar   = 14.0
	leastBar      = 3.0  // what happened is seen, however short it was
	tickSpace     = 74.0 // between two captions of the axis
)

// timeline is the picture of a run.
type timeline struct {
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

func (t timeline) width() float64  { return timelineNames + timelineBars + timelineNotes }
func (t timeline) height() float64 { return timelineHead + float64(len(t.Rows))*timelineRow + 8 }

// drawTimeline draws a run as it stands now.
func drawTimeline(r runapi.RunDetail, now time.Time) timeline {
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
	scale := newTimescale(marks, timelineBars)
	t := timeline{Now: -1, Compressed: scale.Power < 1, about: timelineWords(r, end)}
	if r.EndedAt.IsZero() {
		t.Now = timelineNames + scale.x(now)
	}
	for i, s := range r.Steps {
		t.Rows = append(t.Rows, drawStep(r, s, scale, end, timelineHead+(float64(i)+.5)*timelineRow))
	}
	t.Ticks = ticksOf(scale, r.CreatedAt, []time.Time{r.CreatedAt, end, scale.marks[len(scale.marks)-1]})
	return t
}

// timelineWords are the picture in a sentence.
func timelineWords(r runapi.RunDetail, end time.Time) string {
	return fmt.Sprintf("%s of %s over %s, %s. The table of steps below says the same in words.",
		capital(plural(int64(len(r.Steps)), "step", "steps")), r.ID, length(end.Sub(r.CreatedAt)), words(r.Status))
}

// ticksOf captions marked times that are far enough from each other, the given ones
// first.
func ticksOf(scale timescale, from time.Time, first []time.Time) (ticks []timelineTick) {
	for _, m := range append(first, scale.marks...) {
		tick := timelineTick{timelineNames + scale.x(m), offset(m, from)}
		if !slices.ContainsFunc(ticks, func(t timelineTick) bool { return math.Abs(t.X-tick.X) < tickSpace || t.Text == tick.Text }) {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

func drawStep(r runapi.RunDetail, s runapi.Step, scale timescale, end time.Time, y float64) timelineEntry {
	row := timelineEntry{Name: s.Name, Y: y, Deadline: -1, Note: words(s.Status)}
	for _, e := range r.Events {
		if e.ConsumedBy == s.Name {
			row.Events = append(row.Events,
				timelineEvent{timelineNames + scale.x(e.ReceivedAt), e.Type + " came " + offset(e.ReceivedAt, r.CreatedAt)})
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
		row.Bars = append(row.Bars, timelineBarOf{kind, title, timelineNames + x, max(leastBar, scale.x(to)-x)})
	}
	row.Note += " · " + took(s.StartedAt, s.EndedAt, end)
	pauses := s.Kind == "wait" || s.Kind == "sleep"
	switch {
	case pauses:
		bar("wait", s.StartedAt, s.EndedAt, s.Name+" waits "+took(s.StartedAt, s.EndedAt, end))
	case len(s.Attempts) == 0:
		bar("attempt", s.StartedAt, s.EndedAt, s.Name+" "+took(s.StartedAt, s.EndedAt, end))
	default:
		bar("pause", s.StartedAt, s.EndedAt, "between attempts")
	}
	for _, a := range s.Attempts {
		if !a.StartedAt.IsZero() {
			bar(attemptKind(a), a.StartedAt, a.EndedAt, attemptWords(a, end))
		}
	}
	if w := r.WaitingFor; w != nil && w.Step == s.Name && w.Until.After(end) {
		row.Deadline = timelineNames + scale.x(w.Until)
		bar("ahead", end, w.Until, untilWords(w.Kind)+" "+full(w.Until))
	}
	return row
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
func anchor(x float64) string {
	switch {
	case x < timelineNames+20:
		return "start"
	case x > timelineNames+timelineBars-20:
		return "end"
	}
	return "middle"
}
