package demo

import (
	"bytes"
	"encoding/csv"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestAFreshDemoDeletesItsOwnFilesOnly(t *testing.T) {
	d := &Demo{dir: filepath.Join(t.TempDir(), "odd [name]*")}
	for _, file := range []string{"simulator/simulator.journal", "simulator/mine.txt", "liwanag.db", "liwanag.db-wal",
		"liwanag.log", "simulator.log", "demo.json", "people.csv", "liwanag.txt"} {
		if err := os.MkdirAll(filepath.Dir(d.path(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.path(file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.claim(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, pattern := range []string{d.dir, d.path(simulatorDir)} {
		files, err := os.ReadDir(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !f.IsDir() {
				left = append(left, f.Name())
			}
		}
	}
	if got := strings.Join(left, " "); got != "liwanag.txt people.csv mine.txt" {
		t.Errorf("left: %s", got)
	}
}

func TestADemoTakesItsFormerAddressIfItIsFree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if got := freeAddress(addr); got != "127.0.0.1:0" {
		t.Errorf("while it is taken: %s", got)
	}
	l.Close()
	if got := freeAddress(addr); got != addr {
		t.Errorf("when it is free again: %s, want %s", got, addr)
	}
	for _, last := range []string{"", "0.0.0.0:80", "example.com:80"} {
		if got := freeAddress(last); got != "127.0.0.1:0" {
			t.Errorf("after %q: %s", last, got)
		}
	}
}

func TestADemoGoesOnWithItsEngineAndItsTaskQueue(t *testing.T) {
	d := &Demo{dir: t.TempDir()}
	if err := d.remember(Config{Engine: config.EngineTemporal}); err != nil {
		t.Fatal(err)
	}
	d.state.Addr = "127.0.0.1:8080"
	if err := d.saveState(); err != nil {
		t.Fatal(err)
	}
	again := &Demo{dir: d.dir}
	if err := again.remember(Config{Engine: config.EngineTemporal}); err != nil || again.state != d.state || again.state.TaskQueue == "" {
		t.Errorf("%+v, %v; want %+v", again.state, err, d.state)
	}
	if err := again.remember(Config{}); !errors.As(err, new(*app.UsageError)) || !strings.Contains(err.Error(), "--fresh") {
		t.Errorf("with the other engine: %v", err)
	}
	other := &Demo{dir: t.TempDir()}
	if err := other.remember(Config{Engine: config.EngineTemporal}); err != nil || other.state.TaskQueue == d.state.TaskQueue {
		t.Errorf("another directory: %+v, %v", other.state, err)
	}
	for _, text := range []string{`{`, ``} {
		if err := os.WriteFile(d.path(stateFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := again.remember(Config{}); err != nil || again.state != (state{Engine: config.EngineEmbedded}) {
			t.Errorf("after %q: %+v, %v", text, again.state, err)
		}
	}
}

func TestADemosTimesAreDividedByItsSpeed(t *testing.T) {
	d := &Demo{dir: t.TempDir()}
	s, err := d.settings(Config{Speed: 20}, "http://127.0.0.1:1/api/v2")
	if err != nil {
		t.Fatal(err)
	}
	if s.AmbiguityGrace != 3*time.Minute || s.FetchSchedule[0] != 30*time.Second || s.CallsPerMinute != 1100 ||
		s.WebhookTimeout != 24*time.Hour {
		t.Errorf("grace %s, schedule %v, calls %d, timeout %s", s.AmbiguityGrace, s.FetchSchedule, s.CallsPerMinute, s.WebhookTimeout)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(t.Context(), Config{Dir: t.TempDir()}); !errors.As(err, new(*app.UsageError)) {
		t.Errorf("speed 0: %v", err)
	}
}

func TestAProgramThatIsNoSimulatorIsRefused(t *testing.T) {
	for script, want := range map[string]string{"echo hello; cat": `begins with "hello"`, "exit 3": "ended at its start (exit status 3)"} {
		program := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := New(t.Context(), Config{Dir: t.TempDir(), Speed: 20, Program: program})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", script, err, want)
		}
	}
}

// The sample is worth looking at: mostly personal addresses, and what spoils
// every real list.
func TestTheSampleIsLikeARealList(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(SampleSignUps)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	domains := liwanag.BuiltinDomains()
	seen := map[string]bool{}
	counts := map[string]int{}
	for _, row := range rows[1:] {
		email, err := liwanag.ParseEmail(row[0])
		switch {
		case err != nil:
			counts["invalid"]++
		case seen[email.Key]:
			counts["duplicate"]++
		default:
			seen[email.Key] = true
			counts[string(domains.Classify(email.Domain))]++
		}
	}
	if len(rows) != 251 || counts["personal"] != 231 || counts["corporate"] != 12 || counts["duplicate"] != 6 || counts["invalid"] != 1 {
		t.Errorf("%d rows: %v", len(rows)-1, counts)
	}
}

func TestADemoWritesToNoFileThatLeadsElsewhere(t *testing.T) {
	for _, name := range []string{"liwanag.log", "liwanag.db", "liwanag.db-wal", "demo.json", "simulator", "simulator/simulator.journal"} {
		for _, fresh := range []bool{false, true} {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.Symlink(victim, at)); err != nil {
				t.Fatal(err)
			}
			_, err := New(t.Context(), Config{Dir: dir, Fresh: fresh, Speed: 20, Program: "/does/not/exist"})
			if !errors.As(err, new(*app.UsageError)) || !strings.Contains(err.Error(), "Try: ") || !strings.Contains(err.Error(), at) {
				t.Errorf("%s, fresh %t: %v", name, fresh, err)
			}
			if raw, err := os.ReadFile(victim); err != nil || string(raw) != "mine" {
				t.Errorf("%s, fresh %t: %q %v", name, fresh, raw, err)
			}
		}
	}
}
