// Package demo is the product in one go with nothing configured: the server, and a
// simulator of FullEnrich in a process of its own.
package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// SampleSignUps is a CSV file of 250 invented sign-ups: personal addresses, and
// as in every real list some corporate ones, a few that come twice, and a broken
// one.
//
//go:embed sample.csv
var SampleSignUps []byte

// Config configures a Demo. Dir, Speed and Program are needed.
type Config struct {
	Dir     string  // of the database and the simulator's state
	Fresh   bool    // delete what an earlier demo left there
	Speed   float64 // divides the simulator's durations, the fetch schedule and the grace
	Program string  // this program, whose command simulate is started

	// Engine runs the workflows, as LIWANAG_ENGINE does; default embedded. Temporal is
	// the cluster, when it is temporal.
	Engine   string
	Temporal config.Temporal
}

// Demo is the server and a simulator in a process of its own, on free loopback
// ports, with nothing configured. What was killed goes on where it stopped.
type Demo struct {
	*app.App
	dir       string
	simulator *child
	partner   simulator.Control
	log       *os.File
	state     state
}

// state is what a demo has to know of the one before it in its directory.
type state struct {
	Addr      string // where webhooks that are still to come go
	Engine    string // where the open runs are
	TaskQueue string `json:",omitempty"` // of this directory alone, on Temporal
}

// The files in a demo's directory.
const (
	databaseFile = "liwanag.db"
	simulatorDir = "simulator"
	logFile      = "liwanag.log"
	simulatorLog = "simulator.log"
	stateFile    = "demo.json"
)

// New starts the simulator and builds the server. Close ends both.
func New(ctx context.Context, c Config) (_ *Demo, err error) {
	if c.Speed <= 0 {
		return nil, &app.UsageError{Err: fmt.Errorf("a speed of %v: it must be above 0\n  Try: --speed 20", c.Speed)}
	}
	d := &Demo{dir: c.Dir}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if err := errors.Join(refuseLinks(d.dir, append(ownFiles, simulatorDir)...),
		refuseLinks(d.path(simulatorDir), simulatorFiles)); err != nil {
		return nil, err
	}
	if err := d.claim(ctx, c.Fresh); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.remember(c); err != nil {
		return nil, err
	}
	base, err := d.startSimulator(ctx, c)
	if err != nil {
		return nil, err
	}
	if d.log, err = openLog(d.path(logFile)); err != nil {
		return nil, err
	}
	log, err := telemetry.NewLogger(telemetry.LogConfig{Out: d.log, Level: "debug"})
	if err != nil {
		return nil, err
	}
	settings, err := d.settings(c, base)
	if err != nil {
		return nil, err
	}
	if d.App, err = app.New(ctx, app.Config{Settings: settings, Log: log, SweepEvery: shorter(time.Minute, c.Speed),
		Memory: app.LimitMemory()}); err != nil {
		return nil, err
	}
	d.state.Addr = d.Addr()
	return d, d.saveState()
}

func (d *Demo) path(name string) string { return filepath.Join(d.dir, name) }

// claim sees to it that no other demo runs in the directory, and clears it.
func (d *Demo) claim(ctx context.Context, fresh bool) error {
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: d.path(databaseFile)})
	if err == nil {
		err = db.Close()
	}
	var locked *sqlitedb.LockedError
	if errors.As(err, &locked) {
		return fmt.Errorf("a demo is already running in %s (pid %d)\n  Try: stop it, or --dir with another directory", d.dir, locked.PID)
	}
	if !fresh {
		return err
	}
	return errors.Join(eachMatching(d.dir, ownFiles, removeFile), eachMatching(d.path(simulatorDir), []string{simulatorFiles}, removeFile))
}

// What a demo writes in its directory, and in the simulator's.
var ownFiles = []string{databaseFile, databaseFile + "-*", databaseFile + ".*", logFile, simulatorLog, stateFile}

const simulatorFiles = "simulator.*"

func removeFile(path string, _ fs.DirEntry) error { return os.Remove(path) }

// refuseLinks refuses files of ours that somebody made lead elsewhere: what is written
// to them would be written there.
func refuseLinks(dir string, patterns ...string) error {
	return eachMatching(dir, patterns, func(path string, file fs.DirEntry) error {
		if file.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		return &app.UsageError{Err: fmt.Errorf("%s is a symbolic link: the demo would write to where it leads\n"+
			"  Try: remove it, or --dir with another directory", path)}
	})
}

// eachMatching does something to the files of a directory whose names match, and to no
// others.
func eachMatching(dir string, patterns []string, do func(path string, file fs.DirEntry) error) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	faults := []error{err}
	for _, file := range files {
		for _, pattern := range patterns {
			if ours, err := filepath.Match(pattern, file.Name()); ours || err != nil {
				faults = append(faults, err, do(filepath.Join(dir, file.Name()), file))
				break
			}
		}
	}
	return errors.Join(faults...)
}

func (d *Demo) startSimulator(ctx context.Context, c Config) (baseURL string, err error) {
	log, err := openLog(d.path(simulatorLog))
	if err != nil {
		return "", err
	}
	defer log.Close() // the process has its own
	d.simulator, baseURL, err = startChild(ctx, "the simulator", c.Program, []string{"simulate", "--addr", "127.0.0.1:0",
		"--dir", d.path(simulatorDir), "--speed", fmt.Sprint(c.Speed), "--until-stdin-closes"}, log)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(baseURL, "http://") {
		return "", fmt.Errorf("the simulator: %s is not this program: it begins with %q", c.Program, baseURL)
	}
	d.partner = simulator.Control{BaseURL: strings.TrimSuffix(baseURL, "/api/v2")}
	return baseURL, nil
}

func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) // #nosec G304 -- in the demo's own folder
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return f, nil
}

// settings are the defaults, with FullEnrich's times divided by the speed.
func (d *Demo) settings(c Config, base string) (config.Settings, error) {
	s, err := config.Defaults()
	if err != nil {
		return s, err
	}
	s.Addr, s.AdminAddr = freeAddress(d.state.Addr), config.AddrOff
	s.Engine, s.Temporal = cmp.Or(d.state.Engine, s.Engine), c.Temporal
	s.TemporalTaskQueue = cmp.Or(d.state.TaskQueue, s.TemporalTaskQueue)
	s.DatabaseURL = "sqlite:" + d.path(databaseFile)
	s.FullEnrichBaseURL, s.FullEnrichAPIKey = base, config.NewSecret(simulator.DefaultKey)
	s.CallsPerMinute = max(s.CallsPerMinute, int(float64(s.CallsPerMinute)*c.Speed))
	s.AmbiguityGrace = max(time.Second, shorter(s.AmbiguityGrace, c.Speed))
	s.ProbeEvery = min(s.ProbeEvery, s.AmbiguityGrace/2)
	s.FetchSchedule = nil
	for _, at := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour} {
		s.FetchSchedule = append(s.FetchSchedule, shorter(at, c.Speed))
	}
	return s, nil
}

func shorter(t time.Duration, speed float64) time.Duration { return time.Duration(float64(t) / speed) }

// remember reads what an earlier demo left in the directory.
func (d *Demo) remember(c Config) error {
	engine := cmp.Or(c.Engine, config.EngineEmbedded)
	raw, err := os.ReadFile(d.path(stateFile))
	if err != nil || json.Unmarshal(raw, &d.state) != nil {
		d.state = state{}
	}
	if d.state.Engine = cmp.Or(d.state.Engine, engine); d.state.Engine != engine {
		return &app.UsageError{Err: fmt.Errorf("the demo in %s runs on the engine %s\n  Try: --engine %s, or "+
			"--fresh to begin anew", d.dir, d.state.Engine, d.state.Engine)}
	}
	if engine == config.EngineTemporal && d.state.TaskQueue == "" {
		d.state.TaskQueue = "liwanag-demo-" + rand.Text()
	}
	return nil
}

func (d *Demo) saveState() error {
	raw, err := json.Marshal(d.state)
	if err == nil {
		err = os.WriteFile(d.path(stateFile), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// freeAddress is the given loopback address, if it is free, or any.
func freeAddress(last string) string {
	const anyPort = "127.0.0.1:0"
	if !config.LoopbackAddr(last) {
		return anyPort
	}
	free, err := net.Listen("tcp", last)
	if err != nil {
		return anyPort
	}
	_ = free.Close() // only whether it opens was asked
	return last
}

// LogFile is where the server's log is.
func (d *Demo) LogFile() string { return d.path(logFile) }

// Run runs the server, and after it stops the simulator, when ctx ends. It fails
// when one of them does.
func (d *Demo) Run(ctx context.Context) error {
	return app.RunPhases(ctx, app.Phase{"simulator": d.simulator.run}, app.Phase{"server": d.App.Run})
}

// Close gives everything back.
func (d *Demo) Close() error {
	var faults []error
	if d.App != nil {
		faults = append(faults, d.App.Close())
	}
	if d.simulator != nil {
		faults = append(faults, d.simulator.stop())
	}
	if d.log != nil {
		faults = append(faults, d.log.Close())
	}
	return errors.Join(faults...)
}

// Dir is where a demo keeps its files when no directory is given.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", &app.UsageError{Err: fmt.Errorf("there is no cache folder for the demo's files: %w\n  Try: --dir DIR", err)}
	}
	return filepath.Join(cache, "liwanag-demo"), nil
}
