package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Who acts, as the audit trail has it.
const (
	actorKey     = "key"     // whoever has the API key
	actorConsole = "console" // a browser with a session
	actorLocal   = "local"   // no key is set: somebody on this machine
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
	verb, noun, _ := strings.Cut(op.OperationID, "-")
	return noun + "." + verb
}

// intent is what a request is about to do, as its path, query and body say.
type intent struct{ name, subject, reason string }

// intend notes the act of a request.
func (s *Server) intend(op *huma.Operation, r *http.Request, body []byte) {
	said := struct {
		Reason string `json:"reason"`
		DryRun bool   `json:"dryRun"`
	}{Reason: r.URL.Query().Get("reason")}
	_ = json.Unmarshal(body, &said) // a body that does not fit is refused before it acts
	if said.DryRun {
		return
	}
	var subject liwanag.ID // text that is no id names nothing, and could be anything
	_ = subject.UnmarshalText([]byte(r.PathValue("id")))
	scopeOf(r.Context()).intent = intent{actOf(op), subject.String(), said.Reason}
}

// auditIntended writes the row of a request's act, just before it acts.
func (s *Server) auditIntended(ctx context.Context) error {
	intended := scopeOf(ctx).intent
	if intended.name == "" {
		return nil
	}
	return s.audit(ctx, intended)
}

// acted follows an act: what was counted before it does not show it.
func (s *Server) acted(ctx context.Context) {
	if scopeOf(ctx).intent.name != "" {
		s.overviews.forget()
	}
}

// audit writes a row of the audit trail. An act whose row cannot be written does
// not happen.
func (s *Server) audit(ctx context.Context, a intent) error {
	carried := scopeOf(ctx)
	return s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Acts.Insert(liwanag.Act{At: s.cfg.Now().UTC(), Actor: carried.actor, Act: a.name, Subject: a.subject,
			Reason: clipTo(a.reason, maxReason), Request: carried.id})
	})
}

// maxReason bounds what is kept of a reason, in bytes.
const maxReason = 500

func (s *Server) registerAudit() { serve(s, api.ListActs, s.listActs) }

func (s *Server) listActs(ctx context.Context, in *api.ActQuery) (runapi.List[api.Act], error) {
	rows, next, err := s.cfg.Store.Acts.List(ctx, liwanag.ActFilter(in.ActFilter), pageOf(in.Paging))
	return listOf(rows, next, viewAct), err
}

func viewAct(a liwanag.Act) api.Act {
	return api.Act{At: a.At.UTC(), Actor: a.Actor, Act: a.Act, Subject: a.Subject, Reason: a.Reason, RequestID: a.Request}
}
