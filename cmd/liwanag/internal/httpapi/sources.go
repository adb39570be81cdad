package httpapi

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerSources() {
	door.Serve(s.Door, api.ListSourceKinds, s.listSourceKinds)
	door.Serve(s.Door, api.ListSources, s.listSources)
	door.Serve(s.Door, api.AddSource, s.addSource)
	door.Serve(s.Door, api.GetSource, s.getSource)
	door.Serve(s.Door, api.ChangeSource, s.changeSource)
	door.Serve(s.Door, api.RotateSource, s.rotateSource)
	door.Serve(s.Door, api.TrySource, s.trySource)
	door.Serve(s.Door, api.DeleteSource, s.deleteSource)
}

func (s *Server) deleteSource(ctx context.Context, in *runapi.IDPath) (none runapi.None, err error) {
	id, err := idOf(liwanag.SourceIDKind, in.ID, "source")
	if err != nil {
		return none, err
	}
	return none, named(s.cfg.Sources.Delete(ctx, id), "source")
}

func viewSource(m sources.Made) api.Source {
	return api.Source{ID: m.ID.String(), Name: m.Name, Kind: string(m.Kind), Settings: m.Settings,
		Secrets: len(m.Secrets), SecretMissing: sources.LacksSecret(m.Source), Disabled: m.Disabled,
		URL: m.URL, Secret: m.Secret, CreatedAt: m.CreatedAt.UTC(), UpdatedAt: m.UpdatedAt.UTC()}
}

func (s *Server) listSourceKinds(context.Context, *runapi.NoInput) (runapi.List[api.SourceKind], error) {
	kinds, err := sources.Kinds()
	return listOf(kinds, "", func(k sources.Kind) api.SourceKind {
		return api.SourceKind{Kind: string(k.Kind), Title: k.Title, Signed: k.SecretFrom != sources.SecretFromNobody,
			SecretFrom: string(k.SecretFrom), Help: k.Help, Defaults: k.Defaults}
	}), err
}

func (s *Server) listSources(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.Source], error) {
	rows, err := s.cfg.Sources.List(ctx)
	return listOf(rows, "", func(row liwanag.Source) api.Source { return viewSource(sources.Made{Source: row}) }), err
}

func (s *Server) addSource(ctx context.Context, in *api.AddSourceRequest) (api.Source, error) {
	made, err := s.cfg.Sources.Create(ctx,
		sources.Draft{Name: in.Name, Kind: liwanag.SourceKind(in.Kind), Settings: in.Settings, Secret: in.Secret})
	return viewSource(made), err
}

// onSource finds the source of a path and answers with what is done to it.
func onSource(ctx context.Context, text string, do func(context.Context, liwanag.ID) (sources.Made, error)) (api.Source, error) {
	id, err := idOf(liwanag.SourceIDKind, text, "source")
	if err != nil {
		return api.Source{}, err
	}
	made, err := do(ctx, id)
	return viewSource(made), named(err, "source")
}

func (s *Server) getSource(ctx context.Context, in *runapi.IDPath) (api.Source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		row, err := s.cfg.Sources.Get(ctx, id)
		return sources.Made{Source: row}, err
	})
}

func (s *Server) changeSource(ctx context.Context, in *runapi.Addressed[api.ChangeSourceRequest]) (api.Source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		return s.cfg.Sources.Change(ctx, id, sources.Change(in.Body))
	})
}

func (s *Server) rotateSource(ctx context.Context, in *runapi.Addressed[api.RotateSourceRequest]) (api.Source, error) {
	return onSource(ctx, in.ID, func(ctx context.Context, id liwanag.ID) (sources.Made, error) {
		return s.cfg.Sources.Rotate(ctx, id, sources.Rotation(in.Body))
	})
}

func (s *Server) trySource(ctx context.Context, in *runapi.Addressed[api.TrySourceRequest]) (api.TriedSource, error) {
	id, err := idOf(liwanag.SourceIDKind, in.ID, "source")
	if err != nil {
		return api.TriedSource{}, err
	}
	tried, err := s.cfg.Sources.Try(ctx, id, sources.Trial{Body: []byte(in.Body.Body), Settings: in.Body.Settings})
	out := api.TriedSource{State: string(tried.State), Code: tried.Code, Reason: tried.Reason, Items: []api.TriedItem{}}
	for _, item := range tried.Items {
		out.Items = append(out.Items, viewTried(item))
	}
	return out, named(err, "source")
}

func viewTried(item sources.TriedItem) api.TriedItem {
	out := api.TriedItem{Event: string(item.What)}
	var invalid *intake.ValidationError
	switch p := item.SignUp; {
	case errors.As(item.Err, &invalid):
		out.Error = liwanag.CodeOf(item.Err)
		for _, f := range invalid.Fields {
			out.Errors = append(out.Errors, api.FieldFault(f))
		}
	case item.Err != nil:
		out.Error = liwanag.CodeOf(item.Err)
	case item.What != sources.Ignored:
		out.SignUp = &api.TriedSignUp{Email: p.Email, EmailType: string(p.EmailType), Source: p.Source, FirstName: p.Stated.FirstName,
			LastName: p.Stated.LastName, FullName: p.Stated.FullName, CompanyName: p.Stated.CompanyName, CompanyDomain: p.Stated.CompanyDomain,
			LinkedinURL: p.Stated.LinkedinURL, Tags: p.Tags, SignedUpAt: utc(p.SignedUpAt), Metadata: p.Metadata}
	}
	return out
}

// sourceKindName is the schema of a source's kind: generators call the enum of the
// field Source.kind SourceKind, which is the name of another type.
const sourceKindName = "SourceKindName"

// nameSourceKind gives the kinds of sources a schema of their own.
func nameSourceKind(all huma.Registry) {
	for _, owner := range []string{"Source", "AddSourceRequest"} {
		properties := all.Map()[owner].Properties
		all.Map()[sourceKindName] = properties["kind"]
		properties["kind"] = &huma.Schema{Ref: "#/components/schemas/" + sourceKindName}
	}
}
