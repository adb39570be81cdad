package crash

import (
	"os"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

func TestMain(m *testing.M) { os.Exit(process.Main(m.Run)) }
