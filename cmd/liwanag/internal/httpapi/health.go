package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// readyWithin bounds the look at the database.
const readyWithin = 5 * time.Second

func (s *Server) registerHealth() {
	door.Serve(s.Door, api.GetHealth, s.getHealth)
	door.Serve(s.Door, api.GetReady, s.getReady)
}

func (s *Server) getHealth(context.Context, *runapi.NoInput) (api.Health, error) {
	return api.Health{Status: "ok"}, nil
}

func (s *Server) getReady(ctx context.Context, _ *runapi.NoInput) (api.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	err := s.cfg.Ready(ctx)
	if p := door.ProblemOf(err); err != nil && p.Status == http.StatusInternalServerError {
		p = door.NewProblem(http.StatusServiceUnavailable, "not_ready", "the server cannot serve yet: its log tells more")
		p.Fault, p.RetryAfter = err, 5
		return api.Health{}, p
	}
	return api.Health{Status: "ok", Detail: s.cfg.Notices()}, err
}
