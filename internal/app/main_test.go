package app

import (
	"testing"

	"go.uber.org/goleak"
)

// What was closed leaves nothing running behind; idle connections of the tests'
// own client excepted.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
