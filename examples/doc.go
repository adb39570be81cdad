// Package examples has one idea a file: a small program's workflow, named for what it
// shows, and beside it a test that runs it in virtual time, in memory and on SQLite.
//
// A constructor takes what its steps talk to as functions, so that a test hands in fakes
// and a program its clients. README.md is the list.
package examples

import (
	"context"
	"time"
)

const day = 24 * time.Hour

// Mail sends a letter. A step that sends may run again, so a real one hands
// [workflow.Info.IdempotencyKey] on.
type Mail func(ctx context.Context, to, text string) error
