// Package runapi is the HTTP interface of runs, workflows and events: each route
// once, as a value that a server serves, a client calls and a description
// describes, and the types of what goes in and comes out.
//
// The frame of it is for other routes too: a [Route] knows its method, path and
// statuses, its types say which fields are parameters and what is the body, and
// [Decode] and [Route.Call] are the two ends of the same wire. What makes the calls
// is a [Caller].
package runapi
