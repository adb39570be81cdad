// Package nodes holds the end-to-end tests of several servers on one PostgreSQL
// database: real processes behind a balancer, stopped, killed, paused and cut off
// from their database, and the simulator's ledger says what was paid.
package nodes
