package door

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// noActs are operations that change something and are no manual acts: programs
// add subscribers all day, a trial stores nothing, and a mapping only changes a preview.
var noActs = []string{"add-subscriber", "try-source", "map-upload"}

// actsThatRead change nothing: personal data leaves.
var actsThatRead = []string{"export-subscribers"}

// actOf is an operation's name in the audit trail, run.cancel for cancel-run;
// empty for one that is no manual act. Whatever may change something is one,
// unless it is named above: a new route is audited by itself.
func actOf(op *huma.Operation) string {
	reads := op.Method == http.MethodGet && !slices.Contains(actsThatRead, op.OperationID)
	if reads || slices.Contains(noActs, op.OperationID) || !under(op.Path, "/api") {
		return ""
	}
	return nameOf(op)
}

// nameOf is an operation's name, turned around.
func nameOf(op *huma.Operation) string {
	verb, noun, _ := strings.Cut(op.OperationID, "-")
	return noun + "." + verb
}

// intent is what a request is about to do, as its path, query and body say.
type intent struct {
	name, subject, reason string
	read                  string // of personal data, which is counted
}

// intend notes the act of a request.
func (d *Door) intend(op *huma.Operation, r *http.Request, body []byte) {
	said := struct {
		Reason  string   `json:"reason"`
		DryRun  bool     `json:"dryRun"`
		Source  string   `json:"source"`
		Credits *int64   `json:"credits"`
		Kind    string   `json:"kind"`
		ID      string   `json:"id"`
		IDs     []string `json:"ids"`
		Expect  *int64   `json:"expect"`
		Name    string   `json:"name"`
	}{Reason: r.URL.Query().Get("reason")}
	_ = json.Unmarshal(body, &said) // a body that does not fit is refused before it acts
	if said.DryRun {
		return
	}
	named := r.PathValue("id")
	switch op.OperationID { // what was set is no subject
	case "dismiss-attention", "restore-attention":
		said.Reason, named = said.Kind, said.ID
	case "add-key":
		said.Reason = Clip(said.Name)
	case "set-budget":
		said.Reason = strings.TrimSuffix(budgetWords(said.Credits)+": "+said.Reason, ": ")
	case "unsubscribe-subscribers", "suppress-subscribers", "erase-subscribers", "tag-subscribers":
		people := int64(len(said.IDs))
		if said.Expect != nil {
			people = *said.Expect
		}
		said.Reason = strings.TrimSuffix(fmt.Sprintf("people: %d; %s", people, said.Reason), "; ")
	case "resume-stopped-source", "drop-stopped-source":
		said.Reason = strings.TrimSuffix(said.Source+": "+said.Reason, ": ")
	}
	var subject liwanag.ID // text that is no id names nothing, and could be anything
	_ = subject.UnmarshalText([]byte(named))
	scopeOf(r.Context()).intent = intent{name: actOf(op), subject: subject.String(), reason: said.Reason, read: readOf(op)}
}

// budgetWords say what the budget of a day becomes.
func budgetWords(credits *int64) string {
	switch {
	case credits == nil:
		return "as the settings say"
	case *credits == 0:
		return "no limit"
	}
	return fmt.Sprintf("%d credits a UTC day", *credits)
}

// auditIntended writes the row of a request's act, just before it acts.
func (d *Door) auditIntended(ctx context.Context) error {
	carried := scopeOf(ctx)
	intended := carried.intent
	if intended.read != "" {
		d.tally.count(talliedBy{actor: carried.caller.By, name: carried.caller.Name, act: intended.read, client: carried.client})
	}
	if intended.name == "" {
		return nil
	}
	return d.audit(ctx, intended)
}

// acted follows an act: what was counted before it does not show it.
func (d *Door) acted(ctx context.Context) {
	if scopeOf(ctx).intent.name != "" && d.cfg.Acted != nil {
		d.cfg.Acted()
	}
}

// audit writes a row of the audit trail. An act whose row cannot be written does
// not happen.
func (d *Door) audit(ctx context.Context, a intent) error {
	carried := scopeOf(ctx)
	return d.cfg.Note(ctx, liwanag.Act{At: d.cfg.Now().UTC(), Actor: carried.caller.By, Name: carried.caller.Name,
		Act: a.name, Subject: a.subject, Reason: clipTo(a.reason, maxReason), Request: carried.id, Client: carried.client})
}

// maxReason bounds what is kept of a reason, in bytes.
const maxReason = 500
