package examples

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/workflow"
)

// Tenant is whom a step works for.
func Tenant(ctx context.Context) string {
	name, _ := ctx.Value(tenantKey{}).(string)
	return name
}

type tenantKey struct{}

// ForTenants shows what stands around every attempt, for engine.Config.Around: whoever is
// suspended has no step begin, and each finds its tenant in its context.
func ForTenants(of func(runID string) string, suspended func(tenant string) bool) workflow.Around {
	return func(ctx context.Context, next func(context.Context) error) error {
		tenant := of(workflow.InfoFrom(ctx).RunID)
		if suspended(tenant) {
			return workflow.Permanent(errors.New("the tenant " + tenant + " is suspended"))
		}
		return next(context.WithValue(ctx, tenantKey{}, tenant))
	}
}

// Greet is a step that needs its tenant.
func Greet() *workflow.Workflow[string] {
	wf := workflow.New[string]("greet")
	workflow.Step(wf, "greet", func(ctx context.Context, who string) (string, error) {
		return "hello " + who + ", from " + Tenant(ctx), nil
	})
	return wf
}
