// Command bench runs the workloads whose figures stand in docs/performance.md.
//
//	go run . w1                              closed loop of enrichment-shaped runs, and the store's own rows beside it
//	go run . w1 -store postgres -peers       the same on PostgreSQL, and other engines beside it
//	go run . w1 -store postgres -nodes 2     one node, and two on the same processors
//	go run . w1 -orphans 50000               the same among due runs that no definition holds
//	go run . latency                         event to durable completion, three steps, one run at a time
//	go run . waiting -n 100000               park runs: memory, disk, idle processor, then kill and restart
//	go run . map                             a run over 10,000 items of one step, and as many runs on their own (W5)
//	go run . growth                          W1 as the table grows to 100,000 runs
//	go run . import -n 100000                CSV to stored subscribers and jobs
//	go run . webhooks                        how soon the program acknowledges sign-ups and results
//	go run . idle -store postgres            what the program asks a database for when nothing happens
//	go run . start -store postgres           a start in the transaction that inserts an order, beside the row alone
//	go run . console                         pages of the console and the API with 100,000 runs and subscribers
//	go run . backup                          event to durable completion, and writes, while backups are made
//	go run . temporal                        W1 on Temporal, and a hand-written Temporal workflow beside it
//
// Each takes -store sqlite, postgres or memory where that makes sense; the
// PostgreSQL server is a private one, thrown away afterwards. Databases stand in
// the system's folder for temporary files: TMPDIR puts them on another disk.
// Figures of one machine compare within one run only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
)

// collectAt is what "liwanag serve" sets when GOGC is not set, for all that is
// compared: little is live in any of them.
const collectAt = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags of every workload, and what it runs in.
type settings struct {
	n          int
	conc       int
	slots      int
	nodes      int
	cross      bool
	orphans    int
	store      string
	dir        string
	prof       string
	at         string
	peers      bool
	statements bool

	cluster *cluster // with -store postgres
	abandon context.CancelCauseFunc
}

var workloads = map[string]func(context.Context, settings) error{
	"w1": w1, "latency": latency, "waiting": waiting, "map": maps, "growth": growth, "import": importCSV, "webhooks": webhooks,
	"idle": idle, "console": console, "people": people, "backup": backup, "temporal": temporal,
	"start":  starts,
	"parked": parked, // a process that waiting starts
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) == 0 || workloads[args[0]] == nil {
		return errors.New("usage: bench w1|latency|waiting|map|growth|import|webhooks|idle|console|people|backup|temporal|start [flags]. " +
			"Try: bench w1 -help")
	}
	var s settings
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.IntVar(&s.n, "n", 0, "runs or rows; 0 is the workload's own number")
	f.IntVar(&s.conc, "conc", 0, "concurrent clients, or items of a map; 0 tries several")
	f.IntVar(&s.slots, "slots", 1024, "steps that an engine executes at once")
	f.IntVar(&s.nodes, "nodes", 1, "engines over one database, each with connections of its own")
	f.BoolVar(&s.cross, "cross", false, "send events through any node, not the one that a run was started on (w1)")
	f.IntVar(&s.orphans, "orphans", 0, "beside it, among so many due runs that nobody's definition holds (w1)")
	f.StringVar(&s.store, "store", onSQLite, "sqlite, postgres or memory")
	f.StringVar(&s.prof, "cpuprofile", "", "write a processor profile of the workload")
	f.BoolVar(&s.peers, "peers", false, "run the peers beside it (w1 on postgres)")
	f.BoolVar(&s.statements, "statements", false, "print the statements that cost the PostgreSQL server most (needs pg_stat_statements)")
	f.StringVar(&s.at, "at", "", "the database of a process that another workload starts")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if err := s.validate(args[0]); err != nil {
		return err
	}
	ctx, s.abandon = context.WithCancelCause(ctx)
	defer s.abandon(nil)
	if s.at == "" {
		if s.dir, err = os.MkdirTemp("", "liwanag-bench"); err != nil {
			return err
		}
		defer os.RemoveAll(s.dir)
	}
	if s.store == onPostgres && s.at == "" {
		var extra []string
		if s.statements || args[0] == "idle" {
			extra = append(extra, "shared_preload_libraries=pg_stat_statements")
		}
		if s.cluster, err = startCluster(extra...); err != nil {
			return err
		}
		defer s.cluster.Remove()
	}
	if err := workloads[args[0]](ctx, s); err != nil || !s.statements {
		return err
	}
	return s.printStatements(ctx)
}

func (s settings) validate(workload string) error {
	switch {
	case !slices.Contains([]string{onSQLite, onPostgres, onMemory}, s.store):
		return fmt.Errorf("-store %s: it is sqlite, postgres or memory", s.store)
	case s.nodes < 1:
		return fmt.Errorf("-nodes %d: one at the least", s.nodes)
	case s.nodes > 1 && s.store != onPostgres:
		return fmt.Errorf("-nodes %d: only -store postgres takes several", s.nodes)
	case s.peers && (workload != "w1" || s.store != onPostgres):
		return errors.New("-peers: they run w1 with -store postgres")
	case s.statements && s.store != onPostgres:
		return errors.New("-statements: only with -store postgres")
	}
	return nil
}

func (s settings) path(name string) string { return filepath.Join(s.dir, name) }

func (s settings) concs() []int {
	if s.conc > 0 {
		return []int{s.conc}
	}
	return []int{16, 64, 256, 1024}
}
