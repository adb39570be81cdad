package temporalrunner

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/workflow"
)

func (r *Runner) List(ctx context.Context, q workflow.Query) (workflow.Page, error) { return workflow.Page{}, errors.New("todo") }
