package workflow

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAScopeIsReadAnewAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Scopes
		read := 0
		of := func() {
			t.Helper()
			if _, err := s.Of("r", "each", 0, func() (*Scope, error) {
				read++
				return New[int]("w").Plan().Scope("r", nil), nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		for want, after := range []time.Duration{0, scopeAge, time.Second, scopeAge} {
			time.Sleep(after)
			if of(); read != 1+want/2 {
				t.Errorf("read %d times after look %d", read, want)
			}
		}
		if s.Forget("r", "each", 0); len(s.all) != 0 || s.size != 0 {
			t.Errorf("%d scopes of %d bytes are kept", len(s.all), s.size)
		}
		if of(); read != 3 {
			t.Errorf("read %d times", read)
		}
	})
}
