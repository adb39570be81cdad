package nodes

import (
	"os"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(func() int { return pgtest.Main(m) }))
}
