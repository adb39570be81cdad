// Package modules proves that the modules can be used as they are published: a
// proxy of files is made of the tree, and an outside program and go install take
// them from there.
package modules

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	root    = "../../../.."
	library = "github.com/liwanag/liwanag"
	// The modules require this version of each other.
	version = "v0.1.0"
	// Modules in the graph of a program that uses workflow, engine and SQLite.
	mostModules = 39
)

// published are the modules by their folders.
var published = map[string]string{".": library, "temporalrunner": library + "/temporalrunner",
	"observe/otel": library + "/observe/otel", "cmd/liwanag": library + "/cmd/liwanag"}

// outside is somebody else's program, which runs a workflow on SQLite.
const outside = `package main

import (
	"context"
	"fmt"
	"log"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

func main() {
	ctx := context.Background()
	greet := workflow.New[string]("greet")
	workflow.Step(greet, "say", func(_ context.Context, name string) (string, error) { return "hello " + name, nil })
	st, err := sqlite.Open(ctx, "outside.db")
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{greet}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	if err := greet.Start(ctx, e, "one", "you"); err != nil {
		log.Fatal(err)
	}
	for {
		run, err := e.Describe(ctx, "one")
		if err != nil {
			log.Fatal(err)
		}
		if run.Status.Ended() {
			fmt.Println(run.Status, string(run.Output))
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
}
`

func TestAnOutsideProgramUsesTheLibraryWithFewModules(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/outside\n\ngo 1.26.0\n")
	write(t, filepath.Join(dir, "main.go"), outside)
	env := proxied(t)
	command(t, dir, env, "go", "get", library+"@latest")
	command(t, dir, env, "go", "mod", "tidy")
	if got := command(t, dir, env, "go", "run", "."); got != "completed \"hello you\"\n" {
		t.Errorf("the program says %q", got)
	}
	all := strings.Fields(command(t, dir, env, "go", "list", "-m", "-f", "{{.Path}}", "all"))
	if len(all) > mostModules {
		t.Errorf("%d modules in its graph, want %d at most:\n%s", len(all), mostModules, strings.Join(all, "\n"))
	}
	t.Logf("%d modules", len(all))
}

func TestGoInstallTakesTheProgram(t *testing.T) {
	dir := t.TempDir()
	env := append(proxied(t), "GOBIN="+dir)
	command(t, dir, env, "go", "install", published["cmd/liwanag"]+"@latest")
	if got := command(t, dir, env, filepath.Join(dir, "liwanag"), "version"); !strings.Contains(got, strings.TrimPrefix(version, "v")) {
		t.Errorf("it says that it is %q", got)
	}
}

// proxied is the environment of a go command that finds our modules in a proxy of
// files, made of the tree, and all others where they are already.
func proxied(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short builds no programs")
	}
	proxy := t.TempDir()
	for folder, path := range published {
		publish(t, proxy, filepath.Join(root, folder), path)
	}
	known := strings.TrimSpace(command(t, ".", nil, "go", "env", "GOMODCACHE"))
	others := strings.TrimSpace(command(t, ".", nil, "go", "env", "GOPROXY"))
	return []string{
		"GOWORK=off", "GONOSUMDB=" + library, "GOFLAGS=-modcacherw -trimpath -buildvcs=false", "GOMODCACHE=" + t.TempDir(),
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(known, "cache", "download") + "," + others,
	}
}

// publish writes the files of one version of a module, as a proxy has them.
func publish(t *testing.T, proxy, folder, path string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "list"), version+"\n")
	write(t, filepath.Join(dir, version+".info"), `{"Version":"`+version+`","Time":"2026-01-01T00:00:00Z"}`)
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, version+".mod"), string(mod))
	out, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := zip.Create(out, module.Version{Path: path, Version: version}, files(t, folder)); err != nil {
		t.Fatal(err)
	}
}

// files are those of a module: hidden folders and modules of their own left out.
func files(t *testing.T, folder string) (all []zip.File) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(entry.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(rel, ".") || rel == "liwanag" {
			return err
		}
		all = append(all, file{path: filepath.ToSlash(rel), at: path})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type file struct{ path, at string }

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.at) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.at) }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs a program and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, faults.String())
	}
	return string(out)
}
