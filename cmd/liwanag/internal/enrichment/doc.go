// Package enrichment is the story of the product: jobs are batched, a batch is
// submitted to FullEnrich, the run waits for the webhook, the result is applied.
// workflow.go has it on one screen.
//
// The submission is paid for and FullEnrich has no idempotency key, so the rest
// of the package is about one promise: never lost, and never paid twice by our
// own doing. DESIGN.md beside it gives the states, who may change what, and why.
//
// [Enricher] does the work of the steps. [Service] is everything around them:
// starting batches, taking webhooks in, delivering results, sweeping up, and
// what operators decide. Every decision is made here, on rows that a
// datastore.Store keeps; no lease of an engine is relied on, so the promise holds on
// every runner.
package enrichment
