package why

import (
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/workflow"
)

var (
	now    = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	ago    = now.Add(-time.Hour)
	later  = now.Add(time.Hour)
	runID  = liwanag.NewID(liwanag.RunKind)
	subID  = liwanag.NewID(liwanag.SubmissionKind)
	sinkID = liwanag.NewID(liwanag.SinkKind)
)

// well is a world in which nothing stands in the way.
func well(change ...func(*World)) World {
	w := World{Now: now, PublicURL: "https://liwanag.example", Proven: true, Budget: 1000, MostAtOnce: 2000,
		CallLimit: 55, NextBatch: later}
	for _, f := range change {
		f(&w)
	}
	return w
}

func paused(reason liwanag.Waiting, note string) func(*World) {
	return func(w *World) { w.Spending = liwanag.Spending{Paused: true, Reason: reason, Note: note, At: ago} }
}

// told is a state, and what has to be said of it.
type told struct {
	state   interface{ Why() api.Why }
	summary string // in the summary
	fact    string // in some fact; empty: any
	command string // of some act; empty: there is none at all
}

func (c told) check(t *testing.T) {
	t.Helper()
	w := c.state.Why()
	facts, commands := "", ""
	for _, f := range w.Facts {
		facts += f.What + "\n"
		if strings.Contains(f.What, "%!") || f.What == "" {
			t.Errorf("not a sentence: %q", f.What)
		}
	}
	for _, a := range w.Acts {
		commands += a.Command + "\n"
		if a.Do == "" || a.Command == "" || strings.Contains(a.Do+a.Command, "%!") {
			t.Errorf("no act: %+v", a)
		}
	}
	if !strings.Contains(w.Summary, c.summary) || !strings.HasSuffix(w.Summary, ".") {
		t.Errorf("summary %q, want %q", w.Summary, c.summary)
	}
	if len(w.Facts) == 0 || w.Facts[0].What != w.Summary || !strings.Contains(facts, c.fact) {
		t.Errorf("facts:\n%swant %q", facts, c.fact)
	}
	if c.command == "" && commands != "" || !strings.Contains(commands, c.command) {
		t.Errorf("acts:\n%swant %q", commands, c.command)
	}
}

func checkAll(t *testing.T, cases map[string]told) {
	for name, c := range cases {
		t.Run(name, c.check)
	}
}

func sub(state liwanag.SubmissionState, cause string) liwanag.Submission {
	return liwanag.Submission{ID: subID, RunID: runID, N: 1, State: state, Cause: cause,
		Name: "liwanag-" + subID.String(), Jobs: 3,
		PreparedAt: ago, SendingAt: ago, OutcomeAt: ago, GraceUntil: later, EnrichmentID: "e-1", Credits: 2}
}

func of(state liwanag.SubmissionState, cause string, change ...func(*Submission)) Submission {
	b := Submission{World: well(), Submission: sub(state, cause), RunOpen: true, EndsAt: later}
	for _, f := range change {
		f(&b)
	}
	return b
}

var adopt = "liwanag submissions adopt " + subID.String() + " ENRICHMENT"

func TestAPaidCallThatWasNotSentSaysWhy(t *testing.T) {
	gate := func(w liwanag.Waiting, change ...func(*World)) Submission {
		return of(liwanag.SubmissionPrepared, "", func(b *Submission) {
			b.World, b.Waiting, b.Until = well(change...), w,
				later
		})
	}
	stopped := func(w *World) { w.Stopped = []string{"it's old"} }
	checkAll(t, map[string]told{
		"prepared": {gate(""), "made in a moment", "", ""},
		"in line": {of(liwanag.SubmissionPrepared, "", func(b *Submission) { b.Before = 7 }), "behind 7 paid calls", "",
			""},
		"budget": {gate(liwanag.WaitingBudget, func(w *World) { w.Used = 1000 }), "1000 of 1000 credits", "",
			"liwanag submissions budget 2000"},
		"credits": {gate(liwanag.WaitingCredits, paused(liwanag.WaitingCredits, "")), "no credits left", "",
			"liwanag submissions resume"},
		"key": {gate(liwanag.WaitingKey, paused(liwanag.WaitingKey, "")), "refuses the key", "",
			"FULLENRICH_API_KEY=…"},
		"no key": {gate(liwanag.WaitingKey, func(w *World) { w.NoKey = true }), "no FullEnrich key", "",
			"FULLENRICH_API_KEY=…"},
		"paused": {gate(liwanag.WaitingPaused, paused(liwanag.WaitingPaused, "the list is wrong.")),
			"paused: the list is wrong.", "", "liwanag submissions resume"},
		"was paused": {gate(liwanag.WaitingPaused), "it is tried again by itself", "", ""},
		"capacity": {gate(liwanag.WaitingCapacity, func(w *World) { w.InFlight = 1990 }), "works on 1990 people", "",
			"LIWANAG_MAX_IN_FLIGHT"},
		"calls":       {gate(liwanag.WaitingCalls), "55 a minute", "", ""},
		"unavailable": {gate(liwanag.WaitingUnavailable), "FullEnrich keeps failing", "", "liwanag doctor"},
		"found rate":  {gate(liwanag.WaitingFoundRate, stopped), "finds far fewer", "it's old", `--resume 'it'\''s old'`},
		"journal ahead": {gate("", held("the database is older than its spend journal. Try: x")),
			"held: the database is older than its spend journal. No resume", "",
			"liwanag submissions release"},
	})
}

func TestAPaidCallThatWasSentSaysWhatIsWaitedFor(t *testing.T) {
	checkAll(t, map[string]told{
		"sending":  {of(liwanag.SubmissionSending, ""), "is under way", "", ""},
		"accepted": {of(liwanag.SubmissionAccepted, ""), "enrichment e-1", "", "liwanag runs wake " + runID.String()},
		"accepted, unreachable": {of(liwanag.SubmissionAccepted, "", func(b *Submission) { b.Gap = ago }), "e-1",
			"does not reach this server", "liwanag doctor --webhook"},
		"accepted, on loopback": {of(liwanag.SubmissionAccepted, "", func(b *Submission) { b.Unreachable = true }), "e-1",
			"FullEnrich cannot reach", "LIWANAG_PUBLIC_URL"},
		"webhook refused, signature": {of(liwanag.SubmissionAccepted, "", func(b *Submission) {
			b.Refused = []liwanag.Act{{Act: ActSignature, Reason: "bad_signature", Times: 2, At: ago}}
		}), "e-1", "2 webhooks were turned away, under its own address: the signature", "FULLENRICH_PREVIOUS_API_KEY"},
		"webhook refused, no key": {of(liwanag.SubmissionAccepted, "", func(b *Submission) {
			b.Refused = []liwanag.Act{{Act: ActWebhook, Reason: "secret_missing", At: ago}}
		}), "e-1", "1 webhook was turned away, under its own address: there was no key", "FULLENRICH_API_KEY=…"},
		"webhook refused, database": {of(liwanag.SubmissionAccepted, "", func(b *Submission) {
			b.Refused = []liwanag.Act{{Act: ActWebhook, Reason: "database_unavailable", At: ago}}
		}), "e-1", "could not store it (503)", "liwanag"},
		"webhook refused, unknown address": {of(liwanag.SubmissionAmbiguous, paid.CauseNoAnswer, func(b *Submission) {
			b.Strangers = []liwanag.Act{{Act: ActAddress, Reason: "unknown_token", At: ago}}
		}), "", "no paid call has the address it came to (404)", adopt},
		"delivery unmatched": {of(liwanag.SubmissionAmbiguous, paid.CauseNoAnswer, func(b *Submission) {
			b.Near = []liwanag.Delivery{{State: liwanag.DeliveryUnmatched, ReceivedAt: ago}}
		}), "", "(unmatched)", "liwanag deliveries show dlv_"},
	})
}

func TestAPaidCallThatIsOverSaysSo(t *testing.T) {
	checkAll(t, map[string]told{
		"refused, run over": {of(liwanag.SubmissionRefused, paid.CauseConnect, func(b *Submission) { b.RunOpen = false }),
			"could not be reached", "", "liwanag runs retry"},
		"held by a restore": {of(liwanag.SubmissionHeld, liwanag.CodeRestored), "restored from a backup", "",
			"liwanag submissions release"},
		"superseded": {of(liwanag.SubmissionSuperseded, "", func(b *Submission) { b.Next = sinkID }),
			"another one was sent", "", "liwanag why " + sinkID.String()},
		"settled":           {of(liwanag.SubmissionSettled, ""), "for 2 credits", "", ""},
		"settled, expired":  {of(liwanag.SubmissionSettled, liwanag.CodeExpired), "three months", "", ""},
		"settled, given up": {of(liwanag.SubmissionSettled, liwanag.CodeOperatorFailed), "gave it up", "", ""},
		"never proven": {of(liwanag.SubmissionAmbiguous, paid.CauseNoAnswer,
			func(b *Submission) { b.Proven = false }), "", "was ever seen", adopt},
		"database read-only": {of(liwanag.SubmissionAccepted, "", func(b *Submission) { b.ReadOnly = true }), "read-only",
			"", "liwanag doctor"},
		"disk full": {of(liwanag.SubmissionAccepted, "", func(b *Submission) { b.DiskFull = true }),
			"disk is full", "", "df -h"},
	})
}

func TestEveryCauseHasWords(t *testing.T) {
	cases := map[string]told{}
	for _, note := range []string{"unreadable", "unsupported_shape", "other_enrichment", "foreign_enrichment",
		"foreign_record", "bad_record"} {
		d := liwanag.Delivery{State: liwanag.DeliveryQuarantined, Note: note, ReceivedAt: ago}
		cases["delivery "+note] = told{of(liwanag.SubmissionAccepted, "",
			func(b *Submission) { b.Near = []liwanag.Delivery{d} }), "e-1",
			nearWords(d), "liwanag deliveries show dlv_"}
		if strings.Contains(nearWords(d), note) {
			t.Errorf("%s has no words", note)
		}
	}
	for _, cause := range []string{paid.CauseLostWorker, paid.CauseNoID, paid.CauseNoAnswer, paid.CauseStale,
		paid.CauseIDTaken, "http_502"} {
		cases["ambiguous "+cause] = told{of(liwanag.SubmissionAmbiguous, cause), "Nobody knows yet", doubtWords(cause),
			adopt}
	}
	for _, cause := range []string{paid.CauseNoID, paid.CauseIDTaken, paid.CausePolicy, paid.CauseTwice,
		paid.CauseUnproven,
		paid.CauseUnreachable, paid.CauseRunEnded} {
		cases["held "+cause] = told{of(liwanag.SubmissionHeld, cause), "A person has to decide", heldWords(cause,
			"https://liwanag.example"), adopt}
		if strings.Contains(heldWords(cause, ""), "("+cause+")") {
			t.Errorf("held, %s: no words", cause)
		}
	}
	for _, cause := range []string{paid.CauseConnect, paid.CauseBreaker, paid.CauseNothingLeft, paid.CauseOverBudget,
		paid.CauseFoundRate,
		paid.CauseRunEnded, "http_429", "http_503", "http_502_not_confirmed"} {
		cases["refused "+cause] = told{of(liwanag.SubmissionRefused, cause), refusedWords(cause), "", ""}
		if strings.Contains(refusedWords(cause), "("+cause+")") {
			t.Errorf("refused, %s: no words", cause)
		}
	}
	for cause, command := range map[string]string{"http_401": "FULLENRICH_API_KEY", "http_403": "FULLENRICH_API_KEY",
		"http_402": "liwanag credits", "http_400": "liwanag doctor --webhook",
		paid.CauseInvalid: "liwanag submissions resume"} {
		cases["refused "+cause] = told{of(liwanag.SubmissionRefused, cause), refusedWords(cause), "", command}
	}
	checkAll(t, cases)
}

// open is a run that has not ended.
func open(status workflow.Status, w *workflow.WaitingFor, change ...func(*Run)) Run {
	r := Run{World: well(), Run: workflow.Run{ID: runID.String(), Workflow: "subscriber-enrichment", Version: 1,
		Status: status, WaitingFor: w,
		CreatedAt: ago, Steps: []workflow.StepState{{Name: "submit-to-fullenrich", Kind: workflow.KindStep, Status: status,
			StartedAt: ago}}}}
	for _, f := range change {
		f(&r)
	}
	return r
}

func over(status workflow.Status, f *workflow.Failure) Run {
	return open(status, nil, func(r *Run) { r.Run.Failure, r.Run.EndedAt = f, ago })
}

func waits(kind workflow.WaitKind) *workflow.WaitingFor {
	return &workflow.WaitingFor{Step: "submit-to-fullenrich", Kind: kind, Events: []string{"enrichment-complete"},
		Until: later}
}

func batchOf(w liwanag.Waiting) func(*Run) {
	return func(r *Run) {
		r.Batch = &liwanag.Batch{RunID: runID, State: liwanag.BatchClosed, Waiting: w, WaitingUntil: later, Size: 3,
			CreatedAt: ago, ClosesAt: later}
	}
}

var wake, resume = "liwanag runs wake " + runID.String(), "liwanag runs resume " + runID.String()

func byHand(r *Run) { r.Run.Paused = true }

func held(note string) func(*World) {
	return func(w *World) {
		w.Spending = liwanag.Spending{Paused: true, Reason: liwanag.WaitingPaused, Note: note, At: ago, HeldAt: ago}
	}
}

func snoozing(w liwanag.Waiting, change ...func(*Run)) Run {
	return open(workflow.StatusWaiting, waits(workflow.WaitSnooze), append([]func(*Run){batchOf(w)}, change...)...)
}

func world(f func(*World)) func(*Run) { return func(r *Run) { r.World = well(f) } }

func standing(s Standing) func(*Run) { return func(r *Run) { r.Standing = s } }

func sends(k liwanag.Sink) func(*Run) {
	return func(r *Run) {
		r.Message = &Message{liwanag.Message{RunID: runID, Attempts: 4, Error: "HTTP 500", CreatedAt: ago}, &k}
	}
}

func TestARunThatWaitsSaysForWhat(t *testing.T) {
	id := runID.String()
	children := func(c workflow.Children) func(*Run) { return func(r *Run) { r.Run.Children = &c } }
	checkAll(t, map[string]told{
		"waits for an event": {open(workflow.StatusWaiting, waits(workflow.WaitEvent)), "the event enrichment-complete", "",
			"liwanag runs event " + id},
		"waits for a result": {open(workflow.StatusWaiting, waits(workflow.WaitEvent), func(r *Run) {
			b := of(liwanag.SubmissionAccepted, "")
			r.Latest = &b
		}), "FullEnrich took the paid call", "It waits at submit-to-fullenrich", wake},
		"retries": {open(workflow.StatusWaiting, waits(workflow.WaitRetry), func(r *Run) {
			r.Run.Steps[0].Attempts = []workflow.Attempt{{N: 2, Error: "503"}}
		}), "failed (2 attempts so far: 503)", "", wake},
		"sleeps":  {open(workflow.StatusWaiting, waits(workflow.WaitSleep)), "It sleeps", "", ""},
		"snoozes": {open(workflow.StatusWaiting, waits(workflow.WaitSnooze)), "cannot go on yet", "", wake},
		"batch is open": {snoozing("", func(r *Run) { r.Batch.State = liwanag.BatchOpen }),
			"still takes people in, 3 people so far", "", ""},
		"budget": {snoozing(liwanag.WaitingBudget), "budget of the day", "", "liwanag submissions budget"},
		"credits": {snoozing(liwanag.WaitingCredits, world(paused(liwanag.WaitingCredits, ""))),
			"no credits left", "", "liwanag credits"},
		"key": {snoozing(liwanag.WaitingKey, world(func(w *World) { w.NoKey = true })), "no FullEnrich key",
			"", "FULLENRICH_API_KEY"},
		"paused": {snoozing(liwanag.WaitingPaused, world(paused(liwanag.WaitingPaused, ""))),
			"All spending is paused", "", "liwanag submissions resume"},
		"capacity":    {snoozing(liwanag.WaitingCapacity), "may be in flight", "", wake},
		"calls":       {snoozing(liwanag.WaitingCalls), "calls of this minute", "", wake},
		"unavailable": {snoozing(liwanag.WaitingUnavailable), "keeps failing", "", wake},
		"found rate": {snoozing(liwanag.WaitingFoundRate, world(func(w *World) { w.Stopped = []string{"old"} })),
			"far fewer", "", "--drop 'old'"},
		"behind paid calls": {snoozing(liwanag.WaitingCalls, func(r *Run) { r.Latest = &Submission{Before: 9} }), "",
			"behind 9 paid calls", wake},
		"journal ahead": {snoozing("", world(held("the spend journal is newer"))), "spend journal", "",
			"liwanag submissions release"},
		"sub-runs open": {open(workflow.StatusWaiting, waits(workflow.WaitRuns), children(workflow.Children{Total: 9,
			Open: 3, Completed: 4, Failed: 1})),
			"4 of 9 are done, 3 open, 1 failed, 1 has not begun", "", "liwanag runs list --parent " + id + " --status failed"},
		"sub-runs failed": {over(workflow.StatusFailed, &workflow.Failure{Step: "map", Code: workflow.CodeSubRuns,
			Message: "4 failed, 3 are tolerated"}),
			"than are tolerated: 4 failed", "", "--status failed"},
	})
}

func TestARunThatIsDueSaysWhatKeepsIt(t *testing.T) {
	event := workflow.EventState{ID: "ev-1", Type: "enrichment-complete", ReceivedAt: ago,
		SetAside: "its data is of another type"}
	disabled := liwanag.Sink{ID: sinkID, Name: "CRM", Disabled: true, DisabledReason: "its receiver is gone"}
	failing := liwanag.Sink{ID: sinkID, Name: "CRM", FailingSince: ago}
	checkAll(t, map[string]told{
		"pending": {open(workflow.StatusPending, nil), "It has not begun", "", ""},
		"queued behind N": {open(workflow.StatusPending, nil, standing(Standing{Before: 12})), "behind 12 runs", "",
			"LIWANAG_CONCURRENCY"},
		"due behind N": {open(workflow.StatusRunning, nil, standing(Standing{Before: 12})), "behind 12 runs", "",
			"LIWANAG_CONCURRENCY"},
		"executes": {open(workflow.StatusRunning, nil, standing(Standing{Node: "a", Latest: ago})),
			"executed by node a", "", ""},
		"past its timeout": {open(workflow.StatusRunning, nil, standing(Standing{Node: "a", Attempt: ago}),
			func(r *Run) { r.Timeout = time.Minute }), "past its timeout of 1m0s", "", "liwanag runs show"},
		"lease of a dead node": {open(workflow.StatusRunning, nil, standing(Standing{Node: "a", Dead: true, Latest: ago})),
			"belongs to a, whose lease is over", "",
			"liwanag serve"},
		"paused by hand": {open(workflow.StatusWaiting, waits(workflow.WaitEvent), byHand), "It is paused", "", resume},
		"suspect": {open(workflow.StatusPending, nil, standing(Standing{Lost: 2, Suspect: true})),
			"2 servers in a row were lost", "", "--force"},
		"taken over": {open(workflow.StatusRunning, nil, standing(Standing{Lost: 1, Node: "b"})), "",
			"1 server was lost", ""},
		"no definition": {open(workflow.StatusPending, nil, func(r *Run) { r.Run.NoDefinition = "version 7 is not held" }),
			"version 7 is not held", "", "--force"},
		"is canceled": {open(workflow.StatusRunning, nil, func(r *Run) { r.Run.CancelRequested = true }),
			"being canceled", "", "--force"},
		"inbox full": {open(workflow.StatusWaiting, waits(workflow.WaitEvent), func(r *Run) {
			r.Run.Events = make([]workflow.EventState, workflow.MaxInbox)
		}), "", "inbox is full, with 1000 events", "liwanag runs cancel"},
		"event set aside": {open(workflow.StatusWaiting, waits(workflow.WaitEvent), func(r *Run) {
			r.Run.Events = []workflow.EventState{event}
		}), "", "set aside: its data is of another type", "liwanag runs event"},
		"sink disabled": {open(workflow.StatusWaiting, waits(workflow.WaitRetry), sends(disabled)),
			"is disabled: its receiver is gone", "", "sinks set " + sinkID.String() + " --on"},
		"sink backing off": {open(workflow.StatusWaiting, waits(workflow.WaitRetry), sends(failing)),
			"did not take the webhook (4 attempts: HTTP 500)", "", "liwanag sinks show"},
		"sink is gone": {open(workflow.StatusWaiting, waits(workflow.WaitRetry),
			func(r *Run) { r.Message = &Message{} }), "was deleted", "", ""},
		"no place to send": {open(workflow.StatusWaiting, waits(workflow.WaitSnooze), sends(failing)), "All places", "",
			""},
		"database read-only": {open(workflow.StatusRunning, nil, world(func(w *World) { w.ReadOnly = true })), "read-only",
			"", "liwanag doctor"},
		"database is gone": {open(workflow.StatusRunning, nil, world(func(w *World) { w.Fault = "it was deleted" })),
			"it was deleted", "", "liwanag doctor"},
		"disk full": {open(workflow.StatusRunning, nil, world(func(w *World) { w.DiskFull = true })),
			"disk is full", "", "df -h"},
		"clocks apart": {open(workflow.StatusRunning, nil, world(func(w *World) { w.Ahead = -time.Minute })), "",
			"1m0s behind the database's", "timedatectl"},
		"completed": {over(workflow.StatusCompleted, nil), "nothing is waited for", "", ""},
		"finished early": {open(workflow.StatusCompleted, nil,
			func(r *Run) { r.Run.FinishedBecause = "no-pending-jobs" }), "no pending jobs", "", ""},
		"failed": {over(workflow.StatusFailed, &workflow.Failure{Step: "x", Message: "boom"}),
			"It failed at x: boom", "", "liwanag runs retry"},
		"timed out": {over(workflow.StatusTimedOut, &workflow.Failure{Step: "x"}), "It timed out at x", "",
			"liwanag runs retry"},
		"canceled": {over(workflow.StatusCanceled, &workflow.Failure{Message: "wrong list"}),
			"canceled: wrong list", "", "liwanag runs retry"},
	})
}

var (
	personID  = liwanag.NewID(liwanag.SubscriberKind)
	enrich    = "liwanag subscribers enrich " + personID.String()
	unbatched = func(j *liwanag.Job) { j.RunID = liwanag.ID{} }
)

func person(change func(*Person)) Person {
	p := Person{World: well(), Person: liwanag.Subscriber{ID: personID, EmailType: liwanag.Personal, CreatedAt: ago}}
	change(&p)
	return p
}

func job(status liwanag.JobStatus, code string, change ...func(*liwanag.Job)) Person {
	return person(func(p *Person) {
		p.Job = &liwanag.Job{Status: status, Failure: liwanag.JobFailure{Code: code}, RunID: runID, CreatedAt: ago,
			EndedAt: ago, Credits: 1, EnrichmentID: "e"}
		for _, f := range change {
			f(p.Job)
		}
	})
}

func TestAPersonSaysWhyNobodyLooksThemUp(t *testing.T) {
	is := func(t liwanag.EmailType) Person { return person(func(p *Person) { p.Person.EmailType = t }) }
	left := func(by string) Person {
		return person(func(p *Person) { p.Person.SuppressedAt, p.Person.UnsubscribedBy = ago, by })
	}
	checkAll(t, map[string]told{
		"suppressed":   {left("spr_x"), "suppressed", "", "liwanag suppressions list"},
		"unsubscribed": {left(liwanag.ByOperator), "unsubscribed, as an operator noted", "", "resubscribe"},
		"by a webhook": {left(liwanag.ByWebhook), "a webhook said", "", "resubscribe"},
		"by a source":  {left("src_1"), "the source src_1 said", "", "resubscribe"},
		"by a file":    {left("upl_1"), "the file upl_1 said", "", "resubscribe"},
		"work address": {is(liwanag.Corporate), "work address", "", "LIWANAG_ENRICH=all"},
		"relay":        {is(liwanag.Relay), "relay address", "", enrich},
		"disposable":   {is(liwanag.Disposable), "disposable address", "", enrich},
		"nobody asked": {is(liwanag.Personal), "Nobody asked", "", enrich},
		"same mailbox": {person(func(p *Person) { p.Twin = runID }), "same mailbox", "",
			"liwanag why " + runID.String()},
	})
}

func TestAPersonSaysHowTheirLookupStands(t *testing.T) {
	unbatchedAt := func(next time.Time) Person {
		p := job(liwanag.JobPending, "", unbatched)
		p.NextBatch = next
		return p
	}
	withRun := job(liwanag.JobPending, "")
	run := open(workflow.StatusPending, nil)
	withRun.Run = &run
	withPaid := job(liwanag.JobHeld, "")
	held := of(liwanag.SubmissionHeld, paid.CausePolicy)
	withPaid.Paid = &held
	checkAll(t, map[string]told{
		"schedule":        {unbatchedAt(later), "scheduled batch, which takes", "", "liwanag enrich"},
		"schedule paused": {unbatchedAt(time.Time{}), "that is paused", "", "liwanag enrich"},
		"in a run":        {withRun, "It has not begun", "", "liwanag runs show"},
		"held":            {withPaid, "A person has to decide", "", "liwanag submissions adopt"},
		"found":           {job(liwanag.JobEnriched, ""), "for 1 credit", "", ""},
		"reused": {job(liwanag.JobEnriched, "", unbatched, func(j *liwanag.Job) { j.EnrichmentID = "" }),
			"used again", "", enrich + " --again"},
		"taken over":        {job(liwanag.JobEnriched, liwanag.CodeSameMailbox), "another address", "", ""},
		"not found":         {job(liwanag.JobNotFound, ""), "does not know", "", enrich + " --again"},
		"cap":               {job(liwanag.JobCanceled, liwanag.CodeCap), "(cap)", "", enrich},
		"dropped":           {job(liwanag.JobCanceled, liwanag.CodeDropped), "(found_rate)", "", enrich},
		"left":              {job(liwanag.JobCanceled, liwanag.CodeUnsubscribed), "when they left", "", ""},
		"waits for mailbox": {job(liwanag.JobCanceled, liwanag.CodeSameMailbox), "same mailbox", "", ""},
		"canceled":          {job(liwanag.JobCanceled, liwanag.CodeCanceled), "was canceled", "", enrich},
		"invalid": {job(liwanag.JobFailed, liwanag.CodeInvalidEmail), "does not take this address", "",
			"liwanag subscribers add"},
		"retried": {job(liwanag.JobFailed, liwanag.CodeProviderUnavailable,
			func(j *liwanag.Job) { j.RetryAt = later }), "could not be reached", "ordered by itself", enrich},
		"timed out": {job(liwanag.JobFailed, liwanag.CodeWebhookTimeout), "no result came in time", "once a day",
			""},
		"expired": {job(liwanag.JobFailed, liwanag.CodeExpired), "any more", "", enrich},
	})
}

func TestAnUploadAndASinkSayWhyTheyStandStill(t *testing.T) {
	upload := func(status liwanag.UploadStatus, change ...func(*liwanag.Upload)) Upload {
		u := Upload{World: well(), Upload: liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), Status: status,
			CreatedAt: ago,
			Counts:    liwanag.UploadCounts{Rows: 9}, Position: 4, Failure: liwanag.JobFailure{Message: "no column holds " +
				"addresses"}},
			Progress: liwanag.UploadProgress{Open: 2}}
		for _, f := range change {
			f(&u.Upload)
		}
		return u
	}
	owned := func(u *liwanag.Upload) { u.Owner, u.OwnedUntil = "node-a", later }
	lost := func(u *liwanag.Upload) { u.Owner, u.OwnedUntil = "node-a", ago }
	checkAll(t, map[string]told{
		"waits to be confirmed": {upload(liwanag.UploadPreviewed), "waits for somebody to confirm", "", "/confirm"},
		"needs a mapping":       {upload(liwanag.UploadNeedsMapping), "cannot be understood yet: no column", "", "--map"},
		"imports":               {upload(liwanag.UploadImporting, owned), "by node-a, with 5 rows left", "", ""},
		"without a node": {upload(liwanag.UploadImporting, lost), "no server that looks after it", "",
			"liwanag serve"},
		"lookups open": {upload(liwanag.UploadEnriching), "waits for 2 lookups", "", "liwanag uploads show"},
		"failed":       {upload(liwanag.UploadFailed), "refused: no column", "", "liwanag subscribers import"},
		"canceled":     {upload(liwanag.UploadCanceled), "canceled", "", ""},
		"done":         {upload(liwanag.UploadDone), "It is done", "", ""},
		"sink disabled": {Sink{Sink: liwanag.Sink{ID: sinkID, Name: "CRM", Disabled: true, DisabledReason: "410"}},
			"disabled: 410", "", "--on"},
		"sink off by hand": {Sink{Sink: liwanag.Sink{ID: sinkID, Name: "CRM", Disabled: true}, Waiting: 3}, "by hand",
			"3 webhooks wait", "--on"},
		"sink backs off": {Sink{Sink: liwanag.Sink{ID: sinkID, Name: "CRM", FailingSince: ago}}, "backs off", "",
			"liwanag sinks messages"},
		"sink is well": {Sink{Sink: liwanag.Sink{ID: sinkID, Name: "CRM"}}, "takes what is sent", "", ""},
	})
}
