package main

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// The cells of a timeline.
const (
	cellNothing = ' '
	cellBackOff = '·' // between two attempts: a retry, a snooze
	cellWait    = '░' // for an event, asleep
	cellWork    = '█' // an attempt
	cellFailed  = '▓' // an attempt that failed
)

// pipeWidth is the width of a picture that does not go to a terminal.
const pipeWidth = 100

// picture draws a run: what it is, a bar for every step over the time it took,
// and what is to be said about failures, pauses and events.
func picture(r runapi.RunDetail, now time.Time, width int) []string {
	if width == 0 {
		width = pipeWidth
	}
	end := r.EndedAt
	if end.IsZero() {
		end = now
	}
	lines := []string{fmt.Sprintf("%s  %s v%d  %s  %s", r.ID, r.Workflow, r.Version, r.Status, span(end.Sub(r.CreatedAt)))}
	if why := state(r.Run); why != "" {
		lines = append(lines, "  "+why)
	}
	if len(r.Attributes) > 0 {
		lines = append(lines, "  "+strings.Join(r.AttributeTexts(), "  "))
	}
	lines = append(lines, "")
	lines = append(lines, bars(r, end, width)...)
	lines = append(lines, attempts(r)...)
	return append(lines, events(r)...)
}

func bars(r runapi.RunDetail, end time.Time, width int) []string {
	names, notes := 0, 0
	for _, s := range r.Steps {
		names = max(names, lipgloss.Width(s.Name))
		notes = max(notes, lipgloss.Width(note(s)))
	}
	scale := timescale{from: r.CreatedAt, to: end, cells: max(20, width-names-notes-6)}
	began, total := clock(r.CreatedAt), "+"+span(end.Sub(r.CreatedAt))
	gap := max(1, scale.cells+2-lipgloss.Width(began)-lipgloss.Width(total))
	lines := []string{strings.Repeat(" ", names+2) + began + strings.Repeat(" ", gap) + total}
	for _, s := range r.Steps {
		line := s.Name + strings.Repeat(" ", names-lipgloss.Width(s.Name)+2) + "│" + string(scale.bar(s)) + "│ " + note(s)
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// note says in a word how a step stands.
func note(s runapi.Step) string {
	switch {
	case s.SkippedBecause != "":
		return "skipped: " + s.SkippedBecause
	case len(s.Attempts) > 1 && s.Kind != "wait":
		return fmt.Sprintf("%s, %d attempts", s.Status, len(s.Attempts))
	}
	return s.Status
}

// timescale maps times to cells.
type timescale struct {
	from, to time.Time
	cells    int
}

func (t timescale) at(when time.Time) int {
	total := t.to.Sub(t.from)
	if total <= 0 {
		return 0
	}
	return min(t.cells, max(0, int(int64(t.cells)*int64(when.Sub(t.from))/int64(total))))
}

// bar draws a step; what happened is seen, however short it was.
func (t timescale) bar(s runapi.Step) []rune {
	cells := []rune(strings.Repeat(string(cellNothing), t.cells))
	if s.StartedAt.IsZero() || s.Status == "skipped" {
		return cells
	}
	fill := func(from, to time.Time, with rune) {
		if to.IsZero() {
			to = t.to
		}
		a := min(t.at(from), t.cells-1)
		for i := a; i < max(a+1, t.at(to)); i++ {
			cells[i] = with
		}
	}
	pause := cellBackOff
	if s.Kind == "wait" || s.Kind == "sleep" {
		pause = cellWait
	}
	fill(s.StartedAt, s.EndedAt, pause)
	for _, a := range s.Attempts {
		if a.StartedAt.IsZero() {
			continue
		}
		with := cellWork
		if a.Error != "" {
			with = cellFailed
		}
		fill(a.StartedAt, a.EndedAt, with)
	}
	if len(s.Attempts) == 0 && s.Kind != "wait" && s.Kind != "sleep" {
		fill(s.StartedAt, s.EndedAt, cellWork)
	}
	return cells
}

// attempts tells of those that failed.
func attempts(r runapi.RunDetail) []string {
	var lines []string
	for _, s := range r.Steps {
		for _, a := range s.Attempts {
			if a.Error == "" {
				continue
			}
			line := fmt.Sprintf("  %s #%d: %s", s.Name, a.N, a.Error)
			if !a.NextAt.IsZero() && !a.EndedAt.IsZero() {
				line += ", again after " + span(a.NextAt.Sub(a.EndedAt))
			}
			lines = append(lines, line)
		}
	}
	return section("failed attempts", lines)
}

func events(r runapi.RunDetail) []string {
	var lines []string
	for _, e := range r.Events {
		what := "not consumed yet"
		switch {
		case e.Late:
			what = "late"
		case e.ConsumedBy != "":
			what = "resumed " + e.ConsumedBy
		case e.SetAside != "":
			what = "set aside: " + e.SetAside
		}
		lines = append(lines, fmt.Sprintf("  %s  %s after %s: %s", e.Type, e.ID, span(e.ReceivedAt.Sub(r.CreatedAt)), what))
	}
	return section("events", lines)
}

func section(title string, lines []string) []string {
	if len(lines) == 0 {
		return nil
	}
	return append([]string{"", title}, lines...)
}
