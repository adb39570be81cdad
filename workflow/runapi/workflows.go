package runapi

import "github.com/liwanag/liwanag/workflow"

// Routes of workflows.
var (
	ListWorkflows = Get[NoInput, List[workflow.Description]]("/workflows",
		"list-workflows", "The definitions this server holds").Scoped(ScopeRead)
	GetWorkflow = Get[WorkflowVersion, workflow.Description]("/workflows/{name}",
		"get-workflow", "A definition with its steps and policies").Scoped(ScopeRead)
	CountRuns = Get[WorkflowPath, List[RunCount]]("/workflows/{name}/counts",
		"count-runs", "How many runs stand at each step, and how many ended how").Scoped(ScopeRead)
)

// WorkflowPath is the path of a workflow.
type WorkflowPath struct {
	Name string `path:"name"`
}

// WorkflowVersion is the path of a definition.
type WorkflowVersion struct {
	WorkflowPath
	Version int `query:"version" minimum:"1" maximum:"1000000" doc:"Default: the highest."`
}

// RunCount says how many runs stand at a step, or ended in a way.
type RunCount struct {
	Workflow string `json:"workflow"`
	Version  int    `json:"version"`
	Status   string `json:"status" enum:"running,waiting,completed,failed,timed_out,canceled" doc:"Of runs that have not ended: waiting in a pause of a step, else running, pending ones included."`
	Step     string `json:"step,omitempty" doc:"Where waiting runs stand."`
	Runs     int64  `json:"runs"`
}
