// Package liwanag holds the words of the product: subscribers, jobs, batches,
// submissions, deliveries and uploads, their states, their errors, and Store,
// the contract between the decisions (internal/enrichment, internal/intake)
// and the rows (internal/datastore).
//
// Every decision is made by the callers of Store, so that it is the same on
// every database. A datastore only keeps rows, and the guards that must hold
// whatever a caller does: unique indexes and compare-and-set.
package liwanag
