package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Import is a folder whose files are loaded.
type Import struct{ Folder string }

// Loaded is what an import did.
type Loaded struct{ Rows, Failed int }

// ETL shows a map: a sub-run for each file, known only when the folder was listed, each
// with retries of its own, eight at once; two may fail, and the rest is summed up.
func ETL(list func(ctx context.Context, folder string) ([]string, error),
	load func(ctx context.Context, file string) (rows int, err error)) *workflow.Workflow[Import] {
	wf := workflow.New[Import]("etl")
	files := workflow.Step(wf, "list", func(ctx context.Context, in Import) ([]string, error) {
		return list(ctx, in.Folder)
	})
	loaded := workflow.Map(wf, "load", workflow.Each(files), func(b *workflow.Workflow[string]) *workflow.Result[int] {
		return workflow.Step(b, "file", load, workflow.Retry{MaxAttempts: 4, InitialDelay: time.Second})
	}, workflow.AtMost(8), workflow.Tolerate(2))
	workflow.Step(wf, "sum", func(ctx context.Context, _ Import) (sum Loaded, err error) {
		for file, err := range loaded.All(ctx) {
			if err != nil {
				return sum, err
			}
			if sum.Rows += file.Output; file.Failure != nil {
				sum.Failed++
			}
		}
		return sum, nil
	})
	return wf
}
