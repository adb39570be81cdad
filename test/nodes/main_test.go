package nodes

import (
	"os"
	"testing"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/test/process"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(func() int { return pgtest.Main(m) }))
}
