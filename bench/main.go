// Command bench runs the workloads whose figures stand in docs/performance.md.
//
//	go run . w1                     closed loop of enrichment-shaped runs, and the store's own rows beside it
//	go run . latency                event to durable completion, three steps, one run at a time
//	go run . waiting -n 100000      park runs: memory, disk, idle processor, then kill and restart
//	go run . growth                 W1 at 1,000 and at 100,000 runs in the table
//	go run . import -n 100000       CSV to stored subscribers and jobs
//	go run . webhooks               how soon the program acknowledges sign-ups and results
//
// Figures of one machine compare within one run only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags of every workload.
type settings struct {
	n    int
	conc int
	dir  string
	mem  bool
	prof string
}

func run(ctx context.Context, args []string) error {
	workloads := map[string]func(context.Context, settings) error{
		"w1": w1, "latency": latency, "waiting": waiting, "parked": parked, "growth": growth, "import": importCSV, "webhooks": webhooks,
	}
	if len(args) == 0 || workloads[args[0]] == nil {
		return fmt.Errorf("usage: bench w1|latency|waiting|growth|import|webhooks [-n N] [-conc N] [-dir DIR] [-memory]")
	}
	var s settings
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.IntVar(&s.n, "n", 0, "runs or rows; 0 is the workload's own number")
	f.IntVar(&s.conc, "conc", 0, "concurrent clients; 0 tries 16, 64, 256 and 1024")
	f.StringVar(&s.dir, "dir", "", "folder for the database; empty is a temporary one")
	f.BoolVar(&s.mem, "memory", false, "use the store in memory")
	f.StringVar(&s.prof, "cpuprofile", "", "write a processor profile of the workload")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "liwanag-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	return workloads[args[0]](ctx, s)
}

func (s settings) path(name string) string { return filepath.Join(s.dir, name) }
