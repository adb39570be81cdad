package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// unsupported refuses what the server's runner cannot do.
func unsupported(what string) error {
	return door.NewProblem(http.StatusNotImplemented, "not_supported", "on Temporal a run cannot be "+what)
}

// steering is the runner as itself.
func (s *Server) steering() workflow.Runner { return cmp.Or(s.cfg.Steering, s.cfg.Runner) }

func (s *Server) resolveRun(ctx context.Context, in *runapi.Addressed[runapi.ResolveRunRequest]) (runapi.Run, error) {
	if _, err := idOf(liwanag.RunKind, in.ID, "run"); err != nil {
		return runapi.Run{}, err
	}
	r, ok := s.steering().(workflow.Resolver)
	if !ok {
		return runapi.Run{}, unsupported("resolved")
	}
	if in.Body.Failure != "" && len(in.Body.Output) > 0 {
		return runapi.Run{}, door.InvalidField("failure", "a step is resolved by an output or by a failure, not by both")
	}
	caller := door.CallerOf(ctx)
	err := r.Resolve(ctx, in.ID, in.Body.Step, workflow.Resolution{Output: in.Body.Output, Failure: in.Body.Failure,
		Who: strings.TrimSpace(caller.By + " " + caller.Name), Why: in.Body.Reason})
	if errors.Is(err, workflow.ErrPayload) {
		return runapi.Run{}, door.InvalidField("output", "it is not of the step's type")
	}
	if err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.runNow(ctx, in.ID)
}

func (s *Server) pauseRun(ctx context.Context, in *runapi.Addressed[*runapi.PauseRunRequest]) (runapi.Run, error) {
	return s.steer(ctx, in.ID, "paused", workflow.Pauser.Pause)
}

func (s *Server) resumeRun(ctx context.Context, in *runapi.Addressed[*runapi.PauseRunRequest]) (runapi.Run, error) {
	return s.steer(ctx, in.ID, "resumed", workflow.Pauser.Resume)
}

func (s *Server) steer(ctx context.Context, id, what string,
	act func(workflow.Pauser, context.Context, string) error) (runapi.Run, error) {
	if _, err := idOf(liwanag.RunKind, id, "run"); err != nil {
		return runapi.Run{}, err
	}
	p, ok := s.steering().(workflow.Pauser)
	if !ok {
		return runapi.Run{}, unsupported(what)
	}
	if err := act(p, ctx, id); err != nil {
		return runapi.Run{}, door.OfRunner(err)
	}
	return s.runNow(ctx, id)
}
