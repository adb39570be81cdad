// Package telemetry is what operators see of a running server: its log, and its
// counters in Prometheus' format. Both are observers of the runner.
package telemetry
