// Package engine runs workflow definitions in this process and remembers every
// move in a store: in memory, in a SQLite file, or in PostgreSQL.
//
//	st, err := sqlite.Open(ctx, "workflows.db")
//	eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
//	go eng.Run(ctx)
//	err = wf.Start(ctx, eng, "run_0197c1e5-5a55-7a0e-9b2f-0d6f7d0f9a11", input)
//
// The engine is a loop: claim runs that are due, let [workflow.Plan.Next] decide,
// act, commit the outcome and the next park in one fenced transaction. A waiting
// run is a row and nothing else. DESIGN.md, beside this file, says how and why.
package engine
