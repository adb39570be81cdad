package workflow

import (
	"context"
	"errors"
)

// Around is called around each attempt of a step or handler, and each look of a wait, by a
// runner that was given it: for deadlines of a tenant, a token in the context, a limit over
// all steps. It calls next once, with its context or one made of it, and returns its error
// or one of its own; [InfoFrom] says whose attempt it is. The step's [Timeout] counts what
// it does, its [Retry] follows what it returns, and a panic is one of the step. That next
// has failed it cannot hide, and an attempt that it does not let begin it must refuse with
// an error.
type Around func(ctx context.Context, next func(context.Context) error) error

// within calls an attempt inside of all that is around it, the first outermost.
func within(around []Around, ctx context.Context, attempt func(context.Context) error) error {
	if len(around) == 0 {
		return attempt(ctx)
	}
	var failed error
	called := false
	err := around[0](ctx, func(ctx context.Context) error {
		if called {
			failed = Permanent(misuse("an Around called its attempt twice"))
			return failed
		}
		called = true
		failed = within(around[1:], ctx, attempt)
		return failed
	})
	switch {
	case err != nil:
		return err
	case !called:
		return Permanent(misuse("an Around let an attempt not begin, and returned no error"))
	}
	return failed
}

// CheckAround is an error when one is nil.
func CheckAround(around []Around) error {
	for _, a := range around {
		if a == nil {
			return errors.New("workflow: an Around is nil")
		}
	}
	return nil
}
