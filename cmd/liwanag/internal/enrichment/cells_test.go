package enrichment_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// changedCell names the cell of package paid's tables that a process of tests
// changes before it begins.
const changedCell = "LIWANAG_TEST_CHANGED_CELL"

func TestMain(m *testing.M) {
	if name := os.Getenv(changedCell); name != "" {
		cells()[name]() // one that is unknown stops the process, which is no failing test
	}
	os.Exit(pgtest.Main(m))
}

// TestEveryCellIsHeld changes one cell of the tables after the other, in a process
// of its own, and runs the tests that hold it: one must fail. A cell that nobody
// holds could be lost unseen. Cells that become wider are held by the promises in
// package paid.
func TestEveryCellIsHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("some ninety processes of tests")
	}
	for _, name := range slices.Sorted(maps.Keys(cells())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proof := proofOf(name)
			if proof == "" {
				t.Fatal("no test is named for it")
			}
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern(proof), "-test.failfast", "-test.timeout=5m")
			child.Env = append(os.Environ(), changedCell+"="+name)
			out, err := child.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("survives %s:\n%s", proof, out)
			case !strings.Contains(string(out), "--- FAIL: "):
				t.Errorf("%v, and not by a failing test:\n%s", err, out)
			}
		})
	}
}

// pattern selects one test, or one of its subtests.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// What a cell is changed to: what is most like it.
var (
	wrongState = map[liwanag.SubmissionState]liwanag.SubmissionState{"sending": "ambiguous", "accepted": "ambiguous", "refused": "superseded",
		"ambiguous": "held", "held": "ambiguous", "superseded": "refused", "settled": "superseded"}
	wrongJob = map[liwanag.JobStatus]liwanag.JobStatus{"submitted": "pending", "pending": "held",
		"held": "submitted", "failed": "canceled"}
	wrongMeaning = map[paid.Meaning]paid.Meaning{paid.Taken: paid.Unknown, paid.Unknown: paid.Down, paid.Unsent: paid.Down,
		paid.Unreached: paid.Unknown, paid.Busy: paid.Down, paid.Down: paid.Unknown, paid.Address: paid.Fault, paid.Key: paid.Fault,
		paid.Credits: paid.Fault, paid.Fault: paid.Down}
)

// cells are the cells of the tables by name, and what changes each.
func cells() map[string]func() {
	all := map[string]func(){}
	for _, m := range paid.Moves {
		for i, from := range m.From {
			all[m.Name+": from "+string(from)] = func() { m.From = slices.Delete(m.From, i, i+1) }
		}
		for i, job := range m.Jobs {
			all[m.Name+": jobs "+string(job)] = func() { m.Jobs = slices.Delete(m.Jobs, i, i+1) }
		}
		if m.JobsTo != "" {
			all[m.Name+": jobs to"] = func() { m.JobsTo = wrongJob[m.JobsTo] }
		}
		all[m.Name+": to"] = func() { m.To = wrongState[m.To] }
		all[m.Name+": refund"] = func() { m.Refund = !m.Refund }
	}
	for i := range paid.Answers {
		r := &paid.Answers[i]
		all[r.Answer+": meaning"] = func() { r.Meaning = wrongMeaning[r.Meaning] }
		if r.Cause != "" {
			all[r.Answer+": cause"] = func() { r.Cause = "wrong" }
		}
	}
	return all
}

// proofOf is the test that holds a cell: the one of its own, or that of its row.
func proofOf(cell string) string {
	colon := strings.LastIndex(cell, ": ") // names of answers have one, too
	row, column := cell[:colon], cell[colon+2:]
	if own := proofs[row][column]; own != "" {
		return own
	}
	return proofs[row][""]
}

const (
	adopted   = "TestAHeldSubmissionThatIsAdoptedWaitsForItsResult"
	givenUp   = "TestASubmissionInDoubtCanBeGivenUp"
	causes    = "TestAnAnswerIsKeptWithItsCause/"
	operator  = "TestRow15_WithoutEvidenceTheOperatorDecides/"
	given     = "TestGivenResultsSettleASubmissionWhateverIsKnownOfIt/"
	expires   = "TestRow25_ItExpiresWhileItsRunStillWaits"
	lost      = "TestRow13_WebhookLostIDKnown/standard"
	reset     = "TestRow07_ResetAfterWritingNotAccepted/standard"
	breaker   = "TestABreakerThatOpensAfterTheCommitUsesNoAttempt"
	everybody = "TestRow05a_WhatConcernsEveryBatchPausesSpendingAfterAResubmissionToo/"
)

// proofs are the tests that hold the rows of the tables, by column; "": the others.
var proofs = map[string]map[string]string{
	"send": {"": "TestRow03_CrashAfterSendingBeforeConnecting/standard", "from prepared": lost, "refund": lost,
		"to": "TestAnAnswerIsRecordedWhenTheDatabaseIsBack/standard"},
	"accept": {"": adopted, "from sending": lost, "to": lost, "refund": lost,
		"from ambiguous": "TestRow08_ResetAfterAcceptanceIsAdoptedByTheBeacon/standard"},
	"refuse": {"": "TestRow04_ConnectFailure/standard", "from prepared": "TestAPreparedSubmissionOfACanceledRunIsReleased",
		"from ambiguous": "TestARefusalThatComesAfterTheDoubtEndsIt"},
	"doubt":     {"": reset},
	"hold":      {"": adopted, "from sending": "TestASubmissionWhoseRunEndsWhileItIsOnTheWireIsHeld"},
	"supersede": {"": reset, "from held": operator + "resubmit/standard", "jobs held": operator + "resubmit/standard"},
	"settle": {"": "TestRow12_WebhookBeforeTheAnswer/standard", "from sending": given + "sending", "from ambiguous": given + "ambiguous",
		"from held": given + "held", "from refused": "TestRow09c_5xxWithoutTheEnvelopeAccepted/standard",
		"from superseded": "TestRow20_WebhookAfterSupersession/standard"},
	"expire":  {"": expires, "jobs failed": "TestRow25_FetchAfterThreeMonths/standard"},
	"give up": {"": givenUp, "from held": operator + "fail/standard", "jobs held": operator + "fail/standard"},

	"an enrichment id":                                       {"": lost},
	"2xx without an id that can be read":                     {"": causes + "no_id"},
	"an id that is another submission's":                     {"": causes + "taken_id"},
	"none: FullEnrich keeps failing, it was not tried":       {"": breaker},
	"none: our own client would not send it":                 {"": causes + "invalid_request", "meaning": everybody + "invalid_request_first"},
	"none: no connection, no name, no TLS":                   {"": causes + "no_connection"},
	"none: the sender stood still too long after its commit": {"": causes + "stale"},
	"none: timeout, reset":                                   {"": causes + "no_answer"},
	"5xx with FullEnrich's own error":                        {"": causes + "own_5xx"},
	"another 5xx, `standard`":                                {"": causes + "5xx,_standard"},
	"another 5xx, `strict`":                                  {"": causes + "5xx,_strict"},
	"429":                                                    {"": causes + "busy", "meaning": "TestRow06_ABusyFullEnrichSaysWhenAResubmissionIsTriedAgain"},
	"401, 403":                                               {"": causes + "key", "meaning": "TestRow06_NotNowUsesNoAttempt/401/standard"},
	"402":                                                    {"": causes + "credits", "meaning": "TestRow06_NotNowUsesNoAttempt/402/standard"},
	"400 `error.reverse.email.…`":                            {"": causes + "address", "meaning": "TestRow05_OneBadAddressInABatch/standard"},
	"anything else":                                          {"": causes + "fault", "meaning": "TestRow05a_OurOwnFaultPausesAllSpending/standard"},
}
