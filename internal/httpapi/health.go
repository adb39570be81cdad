package httpapi

import (
	"context"
	"net/http"
	"time"
)

const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
	// readyWithin bounds the look at the database.
	readyWithin = 5 * time.Second
)

// health says that all is well; anything else is a problem.
type health struct {
	Status string `json:"status" enum:"ok"`
}

func (s *Server) registerHealth() {
	handle(s, s.describe("GET", healthPath, "health", "The process is alive", 200),
		func(context.Context, *struct{}) (health, error) { return health{"ok"}, nil })
	handle(s, s.describe("GET", readyPath, "ready", "The process can serve: its database answers", 200),
		func(ctx context.Context, _ *struct{}) (health, error) {
			ctx, cancel := context.WithTimeout(ctx, readyWithin)
			defer cancel()
			err := s.cfg.Ready(ctx)
			if p := problemOf(err); err != nil && p.Status == http.StatusInternalServerError {
				p = newProblem(http.StatusServiceUnavailable, "not_ready", "the server cannot serve yet: its log tells more")
				p.fault, p.retryAfter = err, 5
				return health{}, p
			}
			return health{"ok"}, err
		})
	s.open["GET "+healthPath], s.open["GET "+readyPath] = true, true
}
