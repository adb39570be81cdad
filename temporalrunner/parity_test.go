package temporalrunner

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow/runnertest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// differs are the scenarios of runnertest in which Temporal behaves otherwise than
// the embedded engine, and why.
var differs = map[string]string{
	"events/that come after the end are late": "Temporal takes no signal for a workflow that has ended: the " +
		"sender is told that the event is late, " +
		"and the event is not kept. Keep what must not be lost before you send it.",
	"retry of runs/consumes what came too late":        "An event that came after the end was not kept, so a retried run waits for it again.",
	"views/list runs newest first, page by page":       "Temporal's index of runs follows a moment later than the runs.",
	"views/list runs by workflow, status, time and id": "Temporal's index of runs follows a moment later than the runs.",
	"attributes/find runs, newest first, page by page": "Temporal's index of runs follows a moment later than the runs.",
	"views/count runs by workflow, status and step": "Temporal counts a waiting run as running and one that " +
		"timed out as failed, does not know where it stands, " +
		"and counts a retried run once for each of its ends.",
}

const parityPage = "../docs/parity.md"

// parity is docs/parity.md.
func parity() string {
	var b strings.Builder
	b.WriteString(`# The same definition on every runner

Generated from the suite that every runner passes, package ` + "`workflow/runnertest`" + `:
` + "`go test ./temporalrunner -run Parity -update`" + ` writes this page, and the test fails when
it is stale. Each line is a scenario; "same" says that the runner passes it as it
stands. Where a runner differs, the suite tests how, and the reason stands below.

| scenario | engine, memory | engine, SQLite | engine, PostgreSQL | Temporal |
|---|---|---|---|---|
`)
	var reasons []string
	for _, name := range runnertest.Scenarios() {
		mark := "same"
		if reason, ok := differs[name]; ok {
			i := slices.Index(reasons, reason)
			if i < 0 {
				i, reasons = len(reasons), append(reasons, reason)
			}
			mark = "differs (" + string(rune('1'+i)) + ")"
		}
		group, what, _ := strings.Cut(name, "/")
		b.WriteString("| **" + group + "** " + what + " | same | same | same | " + mark + " |\n")
	}
	b.WriteString("\n")
	for i, reason := range reasons {
		b.WriteString(string(rune('1'+i)) + ". " + reason + "\n")
	}
	return b.String() + besides
}

// besides is what no scenario shows.
const besides = `
Beside the scenarios, on Temporal:

- A step, an event and a retry each take a trip to the server: tens of milliseconds.
- The state of an open run is told by a worker. While none answers, ` + "`Describe`" + ` of an
  open run is an error, and the receipt of an event does not say whether its id came
  before; the event itself is durable.
- A server that does not end polls cleanly when a worker stops (1.29 is one) may hand
  a task to a worker that is just leaving. The task comes again, after 10 seconds, or
  after the lease of 15 seconds when it was a step's; that attempt counts, except of
  a step that runs at most once and had not begun.
- A definition that differs in its shape leaves every run alone that another one of the same
  version began, also one that has not come to the difference yet; the engine lets those go on
  that fit. The server hands such a run out again and again, at intervals that grow, so that
  it may be minutes after a rollback until it goes on. ` + "`Strict`" + ` refuses to start by what the
  server's index tells, which follows a moment later than the runs.
- A start or an event in a database's transaction, and a step in one, are the stores': Temporal
  keeps its runs elsewhere, and no commit spans both. A definition with such a step is refused.
- Pausing a run, resolving a step of which nobody knows, ` + "`Reconcile`" + ` of a step that runs at most
  once and ` + "`Retention`" + ` are the engine's: a run there is its worker's history, in which no
  other hand writes, and the namespace has a retention. A retry repeats an unknown step unasked.
- Schedules there are the same loop, over a ledger in a store that the program opens for it. Temporal's own are not used: they pass
  the same arguments at each time, and name the runs themselves, so that a firing could not be known by its run.
- A sub-run is a child workflow: about eight events of its run's history, and some trips to the server. Of a step
  at most 1,000 are open at once, whatever ` + "`AtMost`" + ` says. What they yielded is with the server for as long as the
  namespace's retention: a step that reads the items of a map later than that finds none from the first that is gone on, and
  a retry begins anew what it does not find. A sub-run that was ended by Temporal's own means is found within an hour.
- Attributes are kept by the server as one search attribute, which somebody registers in the namespace:
  ` + "`temporal operator search-attribute create --name LiwanagAttributes --type KeywordList`" + `. Without
  it they are kept and shown, and a listing by them is ` + "`ErrNoAttributes`" + `; those set before it was
  registered are found from the run's next setting on.
- A retried run is listed by its latest start.
- An id is free again, and its run not found, when the namespace's retention has
  passed; there is nothing else to prune.
`

func TestTheParityPageIsWhatTheSuiteSays(t *testing.T) {
	want := parity()
	if *update {
		if err := os.WriteFile(parityPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(parityPage)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale: %v\nTry: go test ./temporalrunner -run Parity -update", parityPage, err)
	}
	for name := range differs {
		if !slices.Contains(runnertest.Scenarios(), name) {
			t.Errorf("%q is no scenario", name)
		}
	}
}
