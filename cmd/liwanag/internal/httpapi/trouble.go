package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// trouble looks for what needs a person, a kind at a time.
type trouble struct {
	*Server
	ctx    context.Context
	now    time.Time
	money  api.Credits
	counts []runapi.RunCount
}

func (t trouble) settings() (all []api.Attention, _ error) {
	if t.cfg.NoKey {
		all = append(all, api.Attention{Kind: "key_missing", Cause: "none",
			Message: "There is no FullEnrich key: lookups wait. Set FULLENRICH_API_KEY and start the server again."})
	}
	if t.cfg.Unreachable != "" {
		all = append(all, api.Attention{Kind: "public_url_missing", Cause: t.cfg.Unreachable,
			Message: "FullEnrich cannot reach " + t.cfg.Unreachable + ": results are fetched, the first after 2 minutes. Set LIWANAG_PUBLIC_URL."})
	}
	return all, nil
}

func (t trouble) spending() ([]api.Attention, error) {
	c := t.money
	if !c.Paused || t.cfg.NoKey && c.PausedReason == string(liwanag.WaitingKey) {
		return nil, nil
	}
	entry := api.Attention{Kind: "spending_paused", Cause: c.PausedReason,
		Message: "Nothing is sent to FullEnrich (" + c.PausedReason + "): " + c.PausedNote + "."}
	if c.PausedReason == string(liwanag.WaitingPaused) {
		spending, err := t.cfg.Store.Ledger.Spending(t.ctx)
		if err != nil {
			return nil, err
		}
		entry.Message, entry.Cause = "All spending is paused: resume it when it may go on.", causeAt(spending.At)
		entry.Since = utc(spending.At)
	}
	return []api.Attention{entry}, nil
}

func (t trouble) submissions() (all []api.Attention, err error) {
	for _, of := range []struct {
		state         liwanag.SubmissionState
		kind, one, of string
	}{
		{liwanag.SubmissionHeld, "submission_held", "Nobody knows whether FullEnrich took this paid call: adopt, resend or fail it.",
			"Nobody knows whether FullEnrich took these paid calls: adopt, resend or fail each."},
		{liwanag.SubmissionAmbiguous, "submission_ambiguous",
			"The answer to this paid call was lost: a webhook tells what became of it, or it is decided when its grace is over.",
			"The answers to these paid calls were lost: webhooks tell what became of them, or it is decided when their grace is over."},
	} {
		rows, _, err := t.cfg.Store.Submissions.List(t.ctx, liwanag.SubmissionFilter{States: []liwanag.SubmissionState{of.state}},
			liwanag.Page{Limit: 500})
		if err != nil {
			return nil, err
		}
		var found []api.Attention
		for _, row := range rows {
			found = append(found, api.Attention{Kind: of.kind, ID: row.ID.String(), Name: row.Name, People: int64(row.Jobs),
				Credits: int64(row.Jobs), Message: of.one, Cause: string(row.State), Since: utc(row.SendingAt)})
		}
		all = append(all, summed(found, 0, of.of)...)
	}
	return all, nil
}

func (t trouble) foundRates() (all []api.Attention, err error) {
	stopped, err := t.cfg.Store.Ledger.StoppedSources(t.ctx)
	for _, f := range stopped {
		v := viewStopped(f)
		all = append(all, api.Attention{Kind: "found_rate", ID: f.Source, Name: f.Source, Since: v.StoppedAt, Cause: causeAt(v.StoppedAt),
			Message: fmt.Sprintf("The lookups of the source %q wait: FullEnrich found %.1f %% of the last 200 people, and %.1f %% of "+
				"the 500 before. Go on, or drop them.", f.Source, 100*v.LatestRate, 100*v.BeforeRate)})
	}
	return all, err
}

func (t trouble) credits() ([]api.Attention, error) {
	c, mark := t.money, float64(t.cfg.CreditsLow)
	if c.Balance == nil || mark <= 0 || *c.Balance >= mark {
		return nil, nil
	}
	for mark/2 >= 1 && *c.Balance < mark/2 { // half as many are another cause
		mark /= 2
	}
	return []api.Attention{{Kind: "credits_low", Since: c.BalanceAt, Cause: fmt.Sprintf("below %.0f", mark),
		Message: fmt.Sprintf("FullEnrich had %.0f credits left when it said so last, below the mark of %d: buy some, or lookups will wait.",
			*c.Balance, t.cfg.CreditsLow)}}, nil
}

// runs are those that failed, but for messages: of those their sinks tell.
func (t trouble) runs() (all []api.Attention, err error) {
	for _, name := range t.workflowNames() {
		var found []api.Attention
		for _, status := range []workflow.Status{workflow.StatusFailed, workflow.StatusTimedOut} {
			page, err := t.cfg.Runner.List(t.ctx, workflow.Query{Workflow: name, Status: status, Limit: mostNamed + 1})
			if err != nil {
				return nil, door.OfRunner(err)
			}
			for _, r := range page.Runs {
				entry, err := t.failedRun(r)
				if err != nil {
					return nil, err
				}
				found = append(found, entry)
			}
		}
		all = append(all, summed(found, t.failed(name), "Runs of "+name+" failed: look at each, and retry it when the cause is gone.")...)
	}
	return all, nil
}

func (t trouble) workflowNames() (names []string) {
	for _, w := range t.cfg.Workflows {
		if name := w.Plan().Describe().Name; name != notify.Name {
			names = append(names, name)
		}
	}
	return names
}

// failed is how many runs of a workflow did.
func (t trouble) failed(name string) (n int64) {
	for _, c := range t.counts {
		if c.Workflow == name && (c.Status == string(workflow.StatusFailed) || c.Status == string(workflow.StatusTimedOut)) {
			n += c.Runs
		}
	}
	return n
}

func (t trouble) failedRun(r workflow.Run) (api.Attention, error) {
	entry := api.Attention{Kind: "run_failed", ID: r.ID, Name: r.Workflow, Since: utc(r.EndedAt), Cause: causeAt(r.EndedAt),
		Message: "The run failed: retry it when the cause is gone."}
	if f := r.Failure; f != nil && f.Step != "" {
		entry.Message = "The run failed in " + f.Step + ": " + f.Message + ". Retry it when the cause is gone."
	}
	if r.Status == workflow.StatusTimedOut {
		entry.Message = "What the run waited for did not come in time: retry it when it may come now."
	}
	id, err := liwanag.ParseID(liwanag.RunKind, r.ID)
	if err != nil {
		return entry, nil // a run of somebody else's
	}
	jobs, err := t.cfg.Store.Jobs.OfRun(t.ctx, id)
	entry.People = int64(len(jobs))
	return entry, err
}

func (t trouble) uploads() (all []api.Attention, err error) {
	rows, err := t.cfg.Store.Uploads.Waiting(t.ctx, 500)
	for _, up := range rows {
		entry := api.Attention{Kind: "upload_waiting", ID: up.ID.String(), Name: up.FileName, People: up.Counts.New,
			Cause: string(up.Status), Since: utc(up.CreatedAt),
			Message: "The file was read and counted: import it, or cancel it."}
		if up.Status == liwanag.UploadNeedsMapping {
			entry.Message = "The file cannot be understood yet: say what its columns are. After a day it is forgotten."
		}
		all = append(all, entry)
	}
	return summed(all, 0, "Files that were uploaded wait: import each, or cancel it."), err
}

func (t trouble) sinks() (all []api.Attention, err error) {
	rows, err := t.cfg.Store.Sinks.List(t.ctx)
	for _, sink := range rows {
		entry := api.Attention{ID: sink.ID.String(), Name: sink.Name, Since: utc(sink.FailingSince), Cause: causeAt(sink.FailingSince)}
		switch {
		case sink.Disabled && sink.DisabledReason != "":
			entry.Kind = "sink_disabled"
			entry.Message = "Webhooks to " + sink.Name + " were disabled (" + sink.DisabledReason +
				"): mend the receiver, then enable them; what waits is sent then."
		case !sink.Disabled && !sink.FailingSince.IsZero():
			entry.Kind = "sink_failing"
			entry.Message = "Webhooks to " + sink.Name + " are not taken: look at the answers."
		default:
			continue
		}
		all = append(all, entry)
	}
	return all, err
}

func (t trouble) deliveries() (all []api.Attention, err error) {
	states := []liwanag.DeliveryState{liwanag.DeliveryUnmatched, liwanag.DeliveryQuarantined}
	rows, _, err := t.cfg.Store.Deliveries.List(t.ctx, liwanag.DeliveryFilter{States: states}, liwanag.Page{Limit: 500})
	for _, row := range rows {
		all = append(all, api.Attention{Kind: "delivery_unmatched", ID: viewDelivery(row).ID, Since: utc(row.ReceivedAt),
			Cause:   string(row.State),
			Message: "A result of FullEnrich could not be applied whole: look at it, and replay it when the cause is gone."})
	}
	return summed(all, 0, "Results of FullEnrich could not be applied whole: look at each, and replay it when the cause is gone."), err
}

// refusingFor is how long a source is shown as refusing after a refusal.
const refusingFor = 24 * time.Hour

func (t trouble) sources() (all []api.Attention, err error) {
	rows, _, err := t.cfg.Store.Receipts.List(t.ctx,
		liwanag.ReceiptFilter{States: []liwanag.ReceiptState{liwanag.ReceiptRefused, liwanag.ReceiptRejected}},
		liwanag.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	names, err := t.sourceNames()
	if err != nil {
		return nil, err
	}
	at, codes := map[liwanag.ID]int{}, map[liwanag.ID][]string{}
	for _, row := range rows {
		name, there := names[row.SourceID]
		if t.now.Sub(row.ReceivedAt) > refusingFor || !there {
			continue
		}
		i, known := at[row.SourceID]
		if !known {
			i, at[row.SourceID] = len(all), len(all)
			all = append(all, api.Attention{Kind: "source_refusing", ID: row.SourceID.String(), Name: name,
				Message: "Webhooks to the source " + name + " were refused in the last day: look at its deliveries."})
		}
		codes[row.SourceID] = append(codes[row.SourceID], row.Code)
		all[i].Count++
		all[i].Since, all[i].Cause = utc(row.ReceivedAt), joinedSorted(codes[row.SourceID])
	}
	return all, nil
}

func (t trouble) sourceNames() (map[liwanag.ID]string, error) {
	rows, err := t.cfg.Sources.List(t.ctx)
	names := make(map[liwanag.ID]string, len(rows))
	for _, row := range rows {
		names[row.ID] = row.Name
	}
	return names, err
}

func (t trouble) webhooks() ([]api.Attention, error) {
	fetched, err := t.cfg.Enrichment.Silence(t.ctx)
	if err != nil || fetched == 0 {
		return nil, err
	}
	return []api.Attention{{Kind: "webhooks_silent", Count: int64(fetched), Cause: "silent",
		Message: "No webhook of FullEnrich came in a day, all results had to be fetched: check " +
			"LIWANAG_PUBLIC_URL and what is before this server."}}, nil
}
