package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerAudit() { door.Serve(s.Door, api.ListActs, s.listActs) }

func (s *Server) listActs(ctx context.Context, in *api.ActQuery) (runapi.List[api.Act], error) {
	if err := s.Tallied(ctx); err != nil {
		return runapi.List[api.Act]{}, err
	}
	rows, next, err := s.cfg.Store.Acts.List(ctx, liwanag.ActFilter(in.ActFilter), pageOf(in.Paging))
	return listOf(rows, next, viewAct), err
}

func viewAct(a liwanag.Act) api.Act {
	return api.Act{At: a.At.UTC(), Actor: a.Actor, Name: a.Name, Act: a.Act, Subject: a.Subject, Reason: a.Reason,
		RequestID: a.Request, Client: a.Client, Times: a.Times}
}
