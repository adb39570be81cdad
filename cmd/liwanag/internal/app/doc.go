// Package app is the wiring: the only place that knows everything. [New] builds
// the server from its settings, [App.Run] runs it until it is told to stop, and
// [App.Close] gives everything back. [Simulator] is the partner, pretended, and
// [Demo] is both of them with nothing configured.
package app
