package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerSuppressions() {
	door.Serve(s.Door, api.ListSuppressions, s.listSuppressions)
	door.Serve(s.Door, api.AddSuppression, s.addSuppression)
	door.Serve(s.Door, api.RemoveSuppression, s.removeSuppression)
}

func viewSuppression(one liwanag.Suppression) api.Suppression {
	return api.Suppression{ID: one.ID.String(), Email: one.Email, Domain: one.Domain, Reason: one.Reason, CreatedAt: one.CreatedAt.UTC()}
}

func (s *Server) listSuppressions(ctx context.Context, in *api.SuppressionQuery) (runapi.List[api.Suppression], error) {
	rows, next, err := s.cfg.Store.Suppressions.List(ctx, pageOf(in.Paging))
	return listOf(rows, next, viewSuppression), err
}

func (s *Server) addSuppression(ctx context.Context, in *api.NewSuppression) (api.Suppression, error) {
	if (in.Email == "") == (in.Domain == "") {
		return api.Suppression{}, door.InvalidField("email", "name an email or a domain, one of them")
	}
	var address *liwanag.Email
	var domain string
	if in.Email != "" {
		parsed, err := liwanag.ParseEmail(in.Email)
		if err != nil {
			return api.Suppression{}, door.InvalidField("email", err.Error())
		}
		address = &parsed
	} else {
		var err error
		if domain, err = liwanag.ParseDomain(in.Domain); err != nil {
			return api.Suppression{}, door.InvalidField("domain", "it is not a domain")
		}
	}
	one, rows, err := s.cfg.Enrichment.AddSuppression(ctx, address, domain, door.Clip(in.Reason))
	view := viewSuppression(one)
	view.Rows = &rows
	return view, err
}

func (s *Server) removeSuppression(ctx context.Context, in *runapi.IDPath) (none runapi.None, err error) {
	id, err := idOf(liwanag.SuppressionKind, in.ID, "suppression")
	if err != nil {
		return none, err
	}
	return none, named(s.cfg.Enrichment.RemoveSuppression(ctx, id), "suppression")
}
