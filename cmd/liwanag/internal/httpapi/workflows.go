package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerWorkflows() {
	door.Serve(s.Door, runapi.ListWorkflows, s.listWorkflows)
	door.Serve(s.Door, runapi.GetWorkflow, s.getWorkflow)
}

func (s *Server) listWorkflows(context.Context, *runapi.NoInput) (runapi.List[workflow.Description], error) {
	return listOf(s.cfg.Workflows, "", func(d workflow.Definition) workflow.Description { return d.Plan().Describe() }), nil
}

func (s *Server) getWorkflow(_ context.Context, in *runapi.WorkflowVersion) (workflow.Description, error) {
	plan := s.definition(in.Name, in.Version)
	if plan == nil {
		return workflow.Description{}, door.NewProblem(404, "not_found", "no workflow has this name and version")
	}
	return plan.Describe(), nil
}

// definition finds a definition, of the highest version for 0; nil without one.
func (s *Server) definition(name string, version int) *workflow.Plan {
	var best *workflow.Plan
	for _, d := range s.cfg.Workflows {
		plan := d.Plan()
		if plan.Name == name && (plan.Version == version || version == 0 && (best == nil || plan.Version > best.Version)) {
			best = plan
		}
	}
	return best
}
