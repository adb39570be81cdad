package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const sourcesPath = "/api/v1/sources"

func (s *Server) registerSources() {
	handle(s, s.describe("GET", "/api/v1/source-kinds", "list-source-kinds", "The kinds of sources, and how to set each up at its sender", 200), s.listSourceKinds)
	handle(s, s.describe("GET", sourcesPath, "list-sources", "List the endpoints that take webhooks of sign-ups in, oldest first", 200), s.listSources)
	handle(s, s.describe("POST", sourcesPath, "add-source", "Make a source; the answer shows its URL and secret, once", http.StatusCreated), s.addSource)
	handle(s, s.describe("GET", sourcesPath+"/{id}", "get-source", "One source", 200), s.getSource)
	handle(s, s.describe("PATCH", sourcesPath+"/{id}", "change-source", "Change a source", 200), s.changeSource)
	handle(s, s.describe("POST", sourcesPath+"/{id}/rotate", "rotate-source", "Make a new secret or URL; the answer shows them, once", 200), s.rotateSource)
	handle(s, s.describe("POST", sourcesPath+"/{id}/try", "try-source", "What a body would do; nothing is stored", 200), s.trySource)
	silent(s, s.describe("DELETE", sourcesPath+"/{id}", "delete-source", "Delete a source and what is kept of its deliveries", http.StatusNoContent),
		func(ctx context.Context, in *runapi.IDPath) error {
			id, err := idOf(liwanag.SourceIDKind, in.ID, "source")
			if err != nil {
				return err
			}
			return named(s.cfg.Sources.Delete(ctx, id), "source")
		})
}

// source is a source as the API shows it.
type source struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Kind      string          `json:"kind" enum:"generic,ghost,kit,mailchimp"`
	Settings  json.RawMessage `json:"settings,omitempty" doc:"The kind's own, an object: docs/webhooks.md."`
	Secrets   int             `json:"secrets" doc:"How many verify signatures now."`
	Disabled  bool            `json:"disabled" doc:"Everything that comes is answered 404."`
	URL       string          `json:"url,omitempty" doc:"There once, in the answer that made it."`
	Secret    string          `json:"secret,omitempty" doc:"There once, in the answer that made it."`
	CreatedAt time.Time       `json:"createdAt"`
	UpdatedAt time.Time       `json:"updatedAt"`
}

func viewSource(m sources.Made) source {
	return source{ID: m.ID.String(), Name: m.Name, Kind: string(m.Kind), Settings: m.Settings, Secrets: len(m.Secrets), Disabled: m.Disabled,
		URL: m.URL, Secret: m.Secret, CreatedAt: m.CreatedAt.UTC(), UpdatedAt: m.UpdatedAt.UTC()}
}

// sourceKind is a kind of source as the API shows it.
type sourceKind struct {
	Kind       string          `json:"kind"`
	Title      string          `json:"title"`
	Signed     bool            `json:"signed" doc:"Whether there is a secret, with the defaults."`
	SecretFrom string          `json:"secretFrom,omitempty" enum:"us,sender" doc:"Who makes the secret, with the defaults: us (it is entered at the sender) or the sender (it is entered here)."`
	Help       string          `json:"help" doc:"How to set it up at the sender."`
	Defaults   json.RawMessage `json:"defaults,omitempty" doc:"Settings that are left out."`
}

func (s *Server) listSourceKinds(context.Context, *struct{}) (runapi.List[sourceKind], error) {
	kinds, err := sources.Kinds()
	return listOf(kinds, "", func(k sources.Kind) sourceKind {
		return sourceKind{string(k.Kind), k.Title, k.SecretFrom != sources.SecretFromNobody, string(k.SecretFrom), k.Help, k.Defaults}
	}), err
}

func (s *Server) listSources(ctx context.Context, _ *struct{}) (runapi.List[source], error) {
	rows, err := s.cfg.Sources.List(ctx)
	return listOf(rows, "", func(row liwanag.Source) source { return viewSource(sources.Made{Source: row}) }), err
}

func (s *Server) addSource(ctx context.Context, in *struct {
	Body struct {
		Name     string          `json:"name" minLength:"1" maxLength:"100"`
		Kind     string          `json:"kind" enum:"generic,ghost,kit,mailchimp"`
		Settings json.RawMessage `json:"settings,omitempty" doc:"Left out: the kind's defaults."`
		Secret   string          `json:"secret,omitempty" maxLength:"500" doc:"The sender's. Left out: one is made where ours is entered at the sender."`
	}
}) (source, error) {
	b := in.Body
	made, err := s.cfg.Sources.Create(ctx, sources.Draft{Name: b.Name, Kind: liwanag.SourceKind(b.Kind), Settings: b.Settings, Secret: b.Secret})
	return viewSource(made), err
}

// onSource finds the source of a path and answers with what is done to it.
func onSource(ctx context.Context, text string, do func(context.Context, liwanag.ID) (sources.Made, error)) (source, error) {
	id, err := idOf(liwanag.SourceIDKind, text, "source")
	if err != nil {
		return source{}, err
	}
	made, err := do(ctx, id)
	return viewSource(made), named(err, "source")
}

func (s *Server) getSource(ctx context.Context, in *runapi.IDPath) (source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		row, err := s.cfg.Sources.Get(ctx, id)
		return sources.Made{Source: row}, err
	})
}

func (s *Server) changeSource(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		Name     *string         `json:"name,omitempty" maxLength:"100"`
		Settings json.RawMessage `json:"settings,omitempty" doc:"Replaces all of them. Another proof makes the secrets useless: they are forgotten, and a new one is made where ours is entered at the sender."`
		Disabled *bool           `json:"disabled,omitempty"`
	}
}) (source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		return s.cfg.Sources.Change(ctx, id, sources.Change(in.Body))
	})
}

func (s *Server) rotateSource(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		Secret     string `json:"secret,omitempty" maxLength:"500" doc:"The sender's new one."`
		MakeSecret bool   `json:"makeSecret,omitempty" doc:"Make one of ours. The old one goes on verifying."`
		DropOld    bool   `json:"dropOld,omitempty" doc:"Forget all secrets but the newest."`
		URL        bool   `json:"url,omitempty" doc:"Make a new URL; the old one stops at once."`
	}
}) (source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		return s.cfg.Sources.Rotate(ctx, id, sources.Rotation(in.Body))
	})
}

// triedSource says what a body would do.
type triedSource struct {
	State  string      `json:"state" enum:"accepted,ignored,rejected"`
	Code   string      `json:"code,omitempty"`
	Reason string      `json:"reason,omitempty"`
	Items  []triedItem `json:"items" nullable:"false"`
}

// triedItem is one person in a tried body.
type triedItem struct {
	Event  string       `json:"event" enum:"subscribed,updated,unsubscribed,ignored"`
	SignUp *triedSignUp `json:"signUp,omitempty" doc:"As it would be stored."`
	Error  string       `json:"error,omitempty"`
	Errors []fieldFault `json:"errors,omitempty" nullable:"false"`
}

// triedSignUp is a person as they would be stored.
type triedSignUp struct {
	Email         string          `json:"email"`
	EmailType     string          `json:"emailType" enum:"personal,corporate"`
	Source        string          `json:"source,omitempty"`
	FirstName     string          `json:"firstName,omitempty"`
	LastName      string          `json:"lastName,omitempty"`
	FullName      string          `json:"fullName,omitempty"`
	CompanyName   string          `json:"companyName,omitempty"`
	CompanyDomain string          `json:"companyDomain,omitempty"`
	LinkedinURL   string          `json:"linkedinUrl,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
}

func (s *Server) trySource(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		Body        string          `json:"body"`
		ContentType string          `json:"contentType,omitempty" doc:"As the sender says; the kind decides how a body is read."`
		Settings    json.RawMessage `json:"settings,omitempty" doc:"Tried instead of the source's own."`
	}
}) (triedSource, error) {
	id, err := idOf(liwanag.SourceIDKind, in.ID, "source")
	if err != nil {
		return triedSource{}, err
	}
	tried, err := s.cfg.Sources.Try(ctx, id, sources.Trial{Body: []byte(in.Body.Body), Settings: in.Body.Settings})
	out := triedSource{State: string(tried.State), Code: tried.Code, Reason: tried.Reason, Items: []triedItem{}}
	for _, item := range tried.Items {
		out.Items = append(out.Items, viewTried(item))
	}
	return out, named(err, "source")
}

func viewTried(item sources.TriedItem) triedItem {
	out := triedItem{Event: string(item.What)}
	var invalid *intake.ValidationError
	switch p := item.SignUp; {
	case errors.As(item.Err, &invalid):
		out.Error = liwanag.CodeOf(item.Err)
		for _, f := range invalid.Fields {
			out.Errors = append(out.Errors, fieldFault(f))
		}
	case item.Err != nil:
		out.Error = liwanag.CodeOf(item.Err)
	case item.What != sources.Ignored:
		out.SignUp = &triedSignUp{Email: p.Email, EmailType: string(p.EmailType), Source: p.Source, FirstName: p.Summary.FirstName,
			LastName: p.Summary.LastName, FullName: p.Summary.FullName, CompanyName: p.Summary.CompanyName, CompanyDomain: p.Summary.CompanyDomain,
			LinkedinURL: p.Summary.LinkedinURL, Metadata: p.Metadata}
	}
	return out
}
