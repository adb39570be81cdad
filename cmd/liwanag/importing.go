package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// importing is a CSV file on its way into a server.
type importing struct {
	p      *program
	client *apiclient.Client
	// preview is where what was found is shown.
	preview io.Writer
	// cap is what the lookups may cost; nil: whatever they cost.
	cap *int64
	// every is how often the server is asked how far it has come.
	every time.Duration
}

// send sends a file and gives what the server found in it. size may be 0 when
// it is not known.
func (i *importing) send(f apiclient.UploadFile, r io.Reader, size int64) (api.Upload, error) {
	g := i.p.progress()
	if size > 0 {
		sent := g.meter("sending", "bytes")
		r = &countingReader{Reader: r, read: func(n int64) { sent.set(n, size) }}
		defer g.close()
		defer sent.done()
	}
	return i.client.Upload(i.p.ctx, f, r)
}

// describe writes what the server found in a file.
func (i *importing) describe(u api.Upload) error {
	sample, err := api.GetUploadSample.Call(i.p.ctx, i.client, runapi.ID(u.ID))
	if err != nil {
		return err
	}
	w := i.preview
	fmt.Fprintf(w, "%s: %s\n", printable(u.FileName, ""), plural(u.Counts.Rows, "row"))
	fmt.Fprintf(w, "  columns       %s\n", printable(columnsText(u), ""))
	for _, e := range sample.Encodings {
		if len(e.Values) > 0 || e.Name != "UTF-8" {
			fmt.Fprintf(w, "  encoding      %s\n", printable(encodingText(e), ""))
		}
	}
	for _, line := range notes(u, sample) {
		fmt.Fprintf(w, "  %-13s %s\n", line[0], printable(line[1], ""))
	}
	for _, c := range []struct {
		name string
		n    int64
		note string
	}{
		{"new", u.Counts.New, "personal addresses, not known yet"},
		{"known", u.Counts.Known, "subscribers already: updated, not looked up"},
		{"duplicate", u.Counts.Duplicate, "come twice in the file"},
		{"corporate", u.Counts.Corporate, "stored, not looked up"},
		{"relay", u.Counts.Relay, "hide another address: stored, not looked up"},
		{"disposable", u.Counts.Disposable, "for minutes or days: stored, not looked up"},
		{"suppressed", u.Counts.Suppressed, "never to come in again: left out"},
		{"unsubscribed", u.Counts.Unsubscribed, "left, as the file says: stored, not looked up"},
		{"invalid", u.Counts.Invalid, "left out"},
	} {
		if c.n > 0 {
			fmt.Fprintf(w, "  %-12s %5d  %s\n", c.name, c.n, c.note)
		}
	}
	if c := u.Changes; c.People > 0 {
		fmt.Fprintf(w, "  %-12s %5d  known people: %s\n", "changed", c.People, changesText(c))
	}
	credits, note := u.EstimatedCredits, "credits at most"
	if i.cap != nil && *i.cap < credits {
		note = fmt.Sprintf("credits at most: %s above the cap are not looked up", plural(credits-*i.cap, "person"))
		credits = *i.cap
	}
	fmt.Fprintf(w, "  %-12s %5d  %s\n", "costs", credits, note)
	money, err := api.GetCredits.Call(i.p.ctx, i.client, runapi.NoInput{})
	if err == nil && money.Balance != nil {
		fmt.Fprintf(w, "  %-12s %5.0f  credits at FullEnrich, as of %s\n", "balance", *money.Balance, clock(money.BalanceAt))
	}
	return err
}

// columnsText names the columns of a file and what they are taken for, but for those
// that are left out.
func columnsText(u api.Upload) string {
	var mapped []string
	for _, column := range u.Columns {
		switch field := u.Mapping[column]; field {
		case "ignore":
			continue
		case "", column:
			mapped = append(mapped, column)
		default:
			mapped = append(mapped, column+" → "+field)
		}
	}
	return strings.Join(mapped, ", ")
}

// notes are what a preview says beside the counts.
func notes(u api.Upload, sample api.UploadSample) (lines [][2]string) {
	for _, n := range u.Standing {
		text := fmt.Sprintf("%s: %s that the person left (--ignore-standing: they stay)", n.Column, verb(n.Rows, "row says", "rows say"))
		if u.IgnoreStanding {
			text = fmt.Sprintf("%s: %s that the person left, which is not believed", n.Column, verb(n.Rows, "row says", "rows say"))
		}
		lines = append(lines, [2]string{"standing", text})
	}
	for _, n := range u.Unread {
		text := fmt.Sprintf("%s: %s no time, from row %d on, and kept as it is", n.Column, verb(n.Rows, "cell is", "cells are"), n.First)
		if values := unreadValues(sample, n.Column); len(values) > 0 {
			text += ": " + strings.Join(values, ", ")
		}
		lines = append(lines, [2]string{"no time", text})
	}
	for _, n := range u.Typos {
		text := fmt.Sprintf("%s at %s: is %s meant? Nothing is changed", plural(n.Rows, "row"), n.Domain, n.Meant)
		lines = append(lines, [2]string{"mistyped?", text})
	}
	return lines
}

func verb(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// unreadValues are cells of the first rows that are no times, three at most.
func unreadValues(sample api.UploadSample, column string) (values []string) {
	i := slices.Index(sample.Columns, column)
	for _, row := range sample.Rows {
		if slices.Contains(row.Unread, column) && i < len(row.Cells) && len(values) < 3 {
			values = append(values, row.Cells[i])
		}
	}
	return values
}

// encodingText shows how a file reads.
func encodingText(e api.EncodingSample) string {
	if len(e.Values) == 0 {
		return e.Name
	}
	return e.Name + ": " + strings.Join(e.Values, ", ")
}

// understand shows what the server found in a file, and gives up one that needs a
// mapping or an encoding first.
func (i *importing) understand(u api.Upload) error {
	if u.Failure != nil && u.Failure.Code == "unclear_encoding" {
		return i.unclear(u)
	}
	if err := errors.Join(i.describe(u), i.invalidRows(i.p.ctx, u)); err != nil || u.Status != "needs_mapping" {
		return err
	}
	_, err := api.CancelUpload.Call(i.p.ctx, i.client, runapi.ID(u.ID))
	return errors.Join(fmt.Errorf("%s cannot be imported: %s\n  Try: liwanag subscribers import --map \"COLUMN=email\", "+
		"with the column that holds the addresses", printable(u.FileName, ""), failureText(u.Failure)), err)
}

// unclear refuses a file that reads differently in several encodings, and shows how.
func (i *importing) unclear(u api.Upload) error {
	sample, err := api.GetUploadSample.Call(i.p.ctx, i.client, runapi.ID(u.ID))
	if err != nil {
		return err
	}
	fmt.Fprintf(i.p.err, "%s may be written in one of these encodings:\n", printable(u.FileName, ""))
	for _, e := range sample.Encodings {
		fmt.Fprintf(i.p.err, "  %s\n", printable(encodingText(e), ""))
	}
	_, err = api.CancelUpload.Call(i.p.ctx, i.client, runapi.ID(u.ID))
	return errors.Join(fmt.Errorf("it is not clear how %s is written\n  Try: liwanag subscribers import --encoding NAME, "+
		"the one in which it reads rightly", printable(u.FileName, "")), err)
}

// follow shows an upload's progress until its rows are imported, or, with
// lookups, until they are looked up too.
func (i *importing) follow(u api.Upload, lookups bool) (api.Upload, error) {
	g := i.p.progress()
	defer g.close()
	imported := g.meter("imported", "")
	defer imported.done()
	var done *meter
	if lookups && u.EstimatedCredits > 0 {
		done = g.meter("looked up", "")
		defer done.done()
	}
	good := u.Counts.Rows - u.Counts.Invalid
	for state, err := range i.client.WatchUpload(i.p.ctx, u.ID, i.every) {
		if err != nil {
			if isUnreachable(err) {
				continue // it is asked again: the server may be restarting
			}
			return u, err
		}
		u = state
		over := u.Progress.Enriched + u.Progress.NotFound + u.Progress.Failed
		if done != nil {
			done.set(min(over, u.EstimatedCredits), u.EstimatedCredits)
		}
		switch {
		case u.Status == "failed":
			return u, fmt.Errorf("the import of %s failed: %s", u.FileName, failureText(u.Failure))
		case u.Status == "canceled":
			return u, fmt.Errorf("the import of %s was canceled", u.FileName)
		case u.Status == "importing":
			imported.set(min(u.Progress.Imported, good), good)
			continue
		}
		imported.set(good, good)
		if !lookups || over >= u.EstimatedCredits {
			return u, nil
		}
	}
	if err := i.p.ctx.Err(); err != nil {
		return u, fmt.Errorf("stopped watching: the server goes on with the import: %w", err)
	}
	return u, nil
}

func failureText(f *api.JobFailure) string {
	if f == nil {
		return "without a reason"
	}
	return strings.TrimSpace(f.Message + " (" + f.Code + ")")
}

// plural writes a number of things.
func plural(n int64, thing string) string {
	if thing == "person" && n != 1 {
		return fmt.Sprintf("%d people", n)
	}
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// invalidRows writes the rows that were left out, the first few.
func (i *importing) invalidRows(ctx context.Context, u api.Upload) error {
	if u.Counts.Invalid == 0 {
		return nil
	}
	var all bytes.Buffer
	if _, err := api.GetUploadErrors.Copy(ctx, i.client, runapi.ID(u.ID), &all); err != nil {
		return err
	}
	file := csv.NewReader(&all)
	file.FieldsPerRecord = -1   // a row may have a cell too many
	rows, err := file.ReadAll() // row, line, code, field, reason, cells
	if err != nil {
		return fmt.Errorf("the invalid rows cannot be read: %w", err)
	}
	const shown = 5
	for n, row := range rows[min(1, len(rows)):] {
		if n == shown {
			fmt.Fprintf(i.preview, "  … and %d more: GET /api/v1/uploads/%s/errors.csv\n", len(rows)-1-n, u.ID)
			break
		}
		if len(row) >= 5 {
			fmt.Fprintf(i.preview, "  line %s is left out: %s\n", printable(row[1], ""), printable(strings.TrimPrefix(row[3]+": "+row[4], ": "), ""))
		}
	}
	return nil
}

func changesText(c api.UploadChanges) string {
	return c.Text(func(n int64) string { return fmt.Sprint(n) })
}
