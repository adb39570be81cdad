// Command hello runs a workflow in a file: what docs/library.md begins with.
package main

import (
	"context"
	"fmt"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	hello := workflow.New[string]("hello")
	workflow.Step(hello, "greet", func(_ context.Context, name string) (string, error) { return "hello " + name, nil })
	st, _ := sqlite.Open(ctx, "hello.db") // each error matters: left out to show the rest
	defer st.Close()
	eng, _ := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{hello}})
	go eng.Run(ctx)
	_ = hello.Start(ctx, eng, "run-1", "world") // once, however often the program runs
	run, err := workflow.Await(ctx, eng, "run-1")
	fmt.Println(run.Status, string(run.Output), err)
}
