// Package crash holds the end-to-end tests that kill: the real program and the
// simulator run as processes, and the simulator's ledger says what was paid.
package crash
