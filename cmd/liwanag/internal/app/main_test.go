package app

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// What was closed leaves nothing running behind; idle connections of the tests'
// own client excepted.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(suite{m}, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

type suite struct{ *testing.M }

func (s suite) Run() int { return pgtest.Main(s.M) }
