// Package temporalrunner runs workflow definitions on a Temporal cluster: the
// same definitions, the same [workflow.Runner], the same histories as the embedded
// engine.
//
//	c, err := temporalrunner.Dial(ctx, temporalrunner.DialConfig{}) // TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, …
//	r, err := temporalrunner.New(temporalrunner.Config{Client: c, Definitions: []workflow.Definition{wf}})
//	go r.Run(ctx)                                                   // the workers
//	err = wf.Start(ctx, r, "order-17", order)
//
// A run is one Temporal workflow whose id is the run's and whose type is the
// definition's name and version, "enrichment/v1". Its steps are activities with
// the steps' names, its waits a signal channel and a timer, and what a
// [workflow.Run] tells about it is a query; DESIGN.md says why.
//
// Authors of definitions have no determinism rules to learn: what runs inside of
// the Temporal workflow is [workflow.Plan.Next] and nothing of theirs but pure
// predicates. Change a definition while runs of it are open as for the engine:
// raise its version, and keep the old one until its runs have ended.
package temporalrunner
