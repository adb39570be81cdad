package store

import (
	"context"
	"time"
)

// Transactor is implemented by stores in whose transactions steps can run.
type Transactor interface {
	// StepsIn is what Node.Store says of those steps.
	StepsIn() string
	// Transact begins a transaction, which in puts into the context of a step, and commits
	// with it what do returns, fenced by the lease as Commit does; it never ends the run nor
	// parks it. An error of do undoes the transaction and is returned as it is. Within is
	// how long do may take, about.
	//
	// A [Refusal] says that the database does not take what do wrote: nothing was written.
	// After another error than [ErrLeaseLost] something may have been, once at most.
	Transact(ctx context.Context, l Lease, within time.Duration, do func(in Inside) (Progress, error)) (News, error)
}

// Inside is a context as it is inside of a transaction.
type Inside func(ctx context.Context) context.Context

// Refusal is an error that what a step wrote in a transaction has caused.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }
