package temporalrunner

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestOneRunOfARunnerAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runner{}
		for range 2 { // one after the other is fine
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			synctest.Wait()
			within, cancel := context.WithCancel(t.Context())
			cancel()
			if r.Run(within) == nil {
				t.Error("a second Run beside the first is taken")
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
