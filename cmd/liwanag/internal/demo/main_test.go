package demo

import (
	"testing"

	"go.uber.org/goleak"
)

// What was closed leaves nothing running behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
