package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// outputFlag is how a listing is written.
type outputFlag struct {
	Output string `name:"output" short:"o" enum:"table,json,jsonl,csv" default:"table" help:"table, json, jsonl or csv."`
}

// showFlag is how one thing is written.
type showFlag struct {
	Output string `name:"output" short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// pageFlags are how much of a listing is shown.
type pageFlags struct {
	Limit int  `name:"limit" default:"50" help:"The newest N."`
	All   bool `name:"all" help:"All of them."`
}

// column is one column of a table or a CSV file.
type column[T any] struct {
	name  string
	value func(T) string
}

// list writes what fetch gives, page by page, in the format that was asked for.
func list[T any](p *program, o outputFlag, page pageFlags, columns []column[T], fetch func(runapi.Paging) (runapi.List[T], error)) error {
	if err := page.check(); err != nil {
		return err
	}
	more := false
	err := write(p, o, columns, func(yield func(T, error) bool) { more = pages(page, fetch, yield) })
	if err == nil && more {
		p.limited(page)
	}
	return err
}

func (page pageFlags) check() error {
	if page.Limit < 1 && !page.All {
		return usage("--limit 50, or --all", "a limit of %d shows nothing", page.Limit)
	}
	return nil
}

// limited says that there may be more than the limit lets through.
func (p *program) limited(page pageFlags) {
	fmt.Fprintf(p.err, "These are the newest %d. Try: --limit N, or --all\n", page.Limit)
}

// write writes items in the format that was asked for.
func write[T any](p *program, o outputFlag, columns []column[T], items iter.Seq2[T, error]) error {
	switch o.Output {
	case "json":
		return writeJSON(p.out, items)
	case "jsonl":
		return writeLines(p.out, items)
	case "csv":
		return writeCSV(p.out, columns, items)
	}
	return writeTable(p, columns, items)
}

// pages yields up to the limit and says whether there is more.
func pages[T any](page pageFlags, fetch func(runapi.Paging) (runapi.List[T], error), yield func(T, error) bool) (more bool) {
	left := page.Limit
	for cursor := ""; ; {
		size := 500
		if !page.All {
			size = min(size, left)
		}
		got, err := fetch(runapi.Paging{Limit: size, Cursor: cursor})
		if err != nil {
			var none T
			yield(none, err)
			return false
		}
		for _, item := range got.Items {
			if !yield(item, nil) {
				return false
			}
		}
		left -= len(got.Items)
		cursor = got.NextCursor
		switch {
		case cursor == "":
			return false
		case !page.All && left <= 0:
			return true
		}
	}
}

func writeJSON[T any](w io.Writer, items iter.Seq2[T, error]) error {
	all := []T{}
	for item, err := range items {
		if err != nil {
			return err
		}
		all = append(all, item)
	}
	return printJSON(w, all)
}

func printJSON(w io.Writer, value any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

func writeLines[T any](w io.Writer, items iter.Seq2[T, error]) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for item, err := range items {
		if err == nil {
			err = out.Encode(item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeCSV[T any](w io.Writer, columns []column[T], items iter.Seq2[T, error]) error {
	out := csv.NewWriter(w)
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for item, err := range items {
		if err != nil {
			return err
		}
		for i, c := range columns {
			record[i] = unformula(c.value(item))
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// records counts the records of the CSV file that is written through it.
type records struct {
	to     io.Writer
	n      int
	quoted bool
}

func (r *records) Write(part []byte) (int, error) {
	for _, b := range part {
		switch {
		case b == '"':
			r.quoted = !r.quoted
		case b == '\n' && !r.quoted:
			r.n++
		}
	}
	return r.to.Write(part)
}

// unformula keeps a spreadsheet from executing a cell.
func unformula(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// writeTable writes aligned columns; on a terminal long cells are cut.
func writeTable[T any](p *program, columns []column[T], items iter.Seq2[T, error]) error {
	rows := [][]string{make([]string, len(columns))}
	for i, c := range columns {
		rows[0][i] = strings.ToUpper(c.name)
	}
	for item, err := range items {
		if err != nil {
			return err
		}
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = printable(c.value(item), "")
			if p.shows {
				row[i] = brief(row[i])
			}
			if p.width > 0 {
				row[i] = shorten(row[i], maxCell)
			}
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2))
			}
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = p.style(bold, text)
		}
		if _, err := fmt.Fprintln(p.out, text); err != nil {
			return err
		}
	}
	return nil
}

// maxCell is how wide a cell of a table may be on a terminal.
const maxCell = 60

// shorten cuts a text to a width in cells.
func shorten(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	var out strings.Builder
	used := 1 // of the ellipsis
	for _, r := range text {
		if used += lipgloss.Width(string(r)); used > width {
			break
		}
		out.WriteRune(r)
	}
	return out.String() + "…"
}

// clock writes a time in the zone of whoever reads it.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// span writes a duration with as many digits as mean something.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
