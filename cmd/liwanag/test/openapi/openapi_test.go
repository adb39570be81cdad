// Package openapi lets public tools judge the description of the API: a linter,
// and a generator whose client then talks to a running server.
package openapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

func TestMain(m *testing.M) { os.Exit(process.Main(m.Run)) }

const apiKey = "test-api-key-of-32-characters-xx"

// tools are the programs of package.json, in a folder of this repository's cache
// that goes with the lock file.
func tools(t *testing.T) (dir string) {
	t.Helper()
	lock := read(t, filepath.Join("client", "package-lock.json"))
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "openapi", fmt.Sprintf("%x", sha256.Sum256(lock))[:12]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copyTo(t, dir, "package.json", "package-lock.json")
	command(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	write(t, filepath.Join(dir, "installed"), nil)
	return dir
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyTo(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		write(t, filepath.Join(dir, name), read(t, filepath.Join("client", name)))
	}
}

// command runs a program and returns what it printed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s\n  Try: make deps", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String() + stderr.String()
}

// serve starts a server beside the simulator.
func serve(t *testing.T) (url string) {
	t.Helper()
	partner, _ := process.StartSimulator(t, "--speed", "200", "--seed", "7")
	addr := process.FreeAddr(t)
	server := process.Start(t, []string{"LIWANAG_ADDR=" + addr, "LIWANAG_ADMIN_ADDR=off", "LIWANAG_API_KEY=" + apiKey,
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "liwanag.db"), "FULLENRICH_BASE_URL=" + partner, "FULLENRICH_API_KEY=fe_sim_key",
		"LIWANAG_CALLS_PER_MINUTE=10000", "LIWANAG_BATCH_WINDOW=50ms"}, "serve")
	client, err := apiclient.New(apiclient.Config{Server: "http://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for client.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatalf("the server does not come up:\n%s", server.Tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return "http://" + addr
}

func TestTheDescriptionPassesALinterAndItsGeneratedClientTalksToAServer(t *testing.T) {
	installed, server := tools(t), serve(t)
	dir, err := os.MkdirTemp(installed, "work-") // below the installed modules, where node finds them
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	copyTo(t, dir, "package.json", "redocly.yaml", "tsconfig.json", "client.ts")
	write(t, filepath.Join(dir, "openapi.json"), described(t, server))
	bin := filepath.Join(installed, "node_modules", ".bin")

	if said := command(t, dir, filepath.Join(bin, "redocly"), "lint", "openapi.json"); !strings.Contains(said, "openapi.json: validated") {
		t.Errorf("the linter validated nothing:\n%s", said)
	}
	command(t, dir, filepath.Join(bin, "openapi-typescript"), "openapi.json", "-o", "api.d.ts")
	command(t, dir, filepath.Join(bin, "tsc"), "-p", ".")

	t.Setenv("SERVER", server)
	t.Setenv("KEY", apiKey)
	var got map[string]any
	if said := command(t, dir, "node", "client.js"); json.Unmarshal([]byte(said), &got) != nil {
		t.Fatalf("the client says %s", said)
	}
	for name, want := range map[string]any{
		"status": "created", "hint": true, "run": "completed", "job": "enriched", "matched": 0.0, "erased": 204.0,
		"notFound": "not_found", "contentType": "application/problem+json", "invalid": "invalid_email", "field": "email", "stranger": "unauthorized",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if emails := fmt.Sprint(got["emails"]); emails != "[maria.santos+found@gmail.com]" || got["title"] == nil ||
		len(fmt.Sprint(got["steps"])) < 10 {
		t.Errorf("%v", got)
	}
}

// described is the description that a server has of itself.
func described(t *testing.T, server string) []byte {
	t.Helper()
	res, err := http.Get(server + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	document, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestAGeneratedGoClientTalksToAServer lets oapi-codegen make a client, whose types
// main.go is compiled against.
func TestAGeneratedGoClientTalksToAServer(t *testing.T) {
	server, dir := serve(t), t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join("goclient", name)))
	}
	write(t, filepath.Join(dir, "openapi.json"), described(t, server))
	t.Setenv("GOWORK", "off")
	command(t, dir, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", "client.gen.go", "openapi.json")

	t.Setenv("SERVER", server)
	t.Setenv("KEY", apiKey)
	var got map[string]any
	if said := command(t, dir, "go", "run", "."); json.Unmarshal([]byte(said), &got) != nil {
		t.Fatalf("the client says %s", said)
	}
	for name, want := range map[string]any{
		"status": "created", "run": "completed", "steps": true, "job": "enriched", "title": true, "sources": 0.0, "workflows": true,
		"matched": 0.0, "invalid": "invalid_email", "stranger": "unauthorized", "health": 200.0, "erased": 204.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// ogen is a stricter generator of Go: what it does not know it refuses.
const ogen = "github.com/ogen-go/ogen/cmd/ogen@v1.16.0"

func TestOgenTakesTheDescription(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "openapi.json"), read(t, filepath.Join("..", "..", "internal", "httpapi", "testdata", "openapi.json")))
	t.Setenv("GOWORK", "off")
	command(t, dir, "go", "run", ogen, "--target", "client", "--package", "client", "--clean", "openapi.json")
	if made := string(read(t, filepath.Join(dir, "client", "oas_client_gen.go"))); !strings.Contains(made, "EnrichSubscribers(ctx") {
		t.Error("the client lacks an operation")
	}
}

// TestTheLinterFindsFaults breaks the description in a way that the linter must
// not pass, so that passing means something.
func TestTheLinterFindsFaults(t *testing.T) {
	installed := tools(t)
	dir := t.TempDir()
	copyTo(t, dir, "redocly.yaml")
	document := string(read(t, filepath.Join("..", "..", "internal", "httpapi", "testdata", "openapi.json")))
	broken := strings.Replace(document, `"operationId": "get-run"`, `"operationId": "list-runs"`, 1)
	if broken == document {
		t.Fatal("there is no operation get-run")
	}
	write(t, filepath.Join(dir, "openapi.json"), []byte(broken))
	cmd := exec.CommandContext(t.Context(), filepath.Join(installed, "node_modules", ".bin", "redocly"), "lint", "openapi.json")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "operation-operationId-unique") {
		t.Errorf("%v\n%s", err, out)
	}
}
