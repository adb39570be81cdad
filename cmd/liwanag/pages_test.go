package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// step is a command that a page shows, and what the page says that it answers.
type step struct {
	command string
	answer  []string
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// stepsOf are the commands of a page: what stands behind "$ ", with the lines behind "> ".
func stepsOf(t *testing.T, page string) (steps []step) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		if block[1] != "" {
			continue // no shell
		}
		for line := range strings.Lines(block[2]) {
			line = strings.TrimSuffix(line, "\n")
			command, begins := strings.CutPrefix(line, "$ ")
			more, goesOn := strings.CutPrefix(line, "> ")
			switch {
			case begins:
				steps = append(steps, step{command: command})
			case len(steps) == 0:
				t.Fatalf("%s shows an answer to nothing: %s", page, line)
			case goesOn:
				steps[len(steps)-1].command += "\n" + more
			default:
				steps[len(steps)-1].answer = append(steps[len(steps)-1].answer, line)
			}
		}
	}
	return steps
}

// alike are what no two runs have in common: ids, times, addresses, and widths of columns.
var alike = []struct {
	found *regexp.Regexp
	is    string
}{
	{regexp.MustCompile(`\b(sub|run|job|upl|key|src|snk|vie)_[0-9a-f-]{36}`), "ID"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`https?://(127\.0\.0\.1:\d+|liwanag\.example\.com)`), "ADDRESS"},
	{regexp.MustCompile(` +`), " "},
}

func normal(line string) string {
	for _, a := range alike {
		line = a.found.ReplaceAllString(line, a.is)
	}
	return strings.TrimSpace(line)
}

// script is a shell script that does the steps in order, and keeps each answer in a file.
func script(steps []step, in *strings.Replacer) string {
	var b strings.Builder
	for i, s := range steps {
		command := in.Replace(s.command)
		answer := fmt.Sprintf("$ANSWERS/%d", i)
		if command == "liwanag serve &" {
			fmt.Fprintf(&b, "liwanag serve > %s 2>&1 & SERVER=$!\ntrap 'kill $SERVER; wait $SERVER' EXIT\n", answer)
			fmt.Fprintf(&b, "until grep -q 'API ' %s; do kill -0 $SERVER || exit 9; sleep 0.1; done\n", answer)
			fmt.Fprintf(&b, "export LIWANAG_SERVER=$(sed -n 's,.*API *\\(http.*\\)/api/v1$,\\1,p' %s)\n", answer)
			continue
		}
		fmt.Fprintf(&b, "{ %s\n} > %s 2>&1 < /dev/null || { echo 'step %d failed'; cat %s; exit 1; }\n", command, answer, i, answer)
	}
	return b.String()
}

// runPage does what a page says, in a shell of its own with a simulated FullEnrich, and
// compares the answers that it shows.
func runPage(t *testing.T, page string, before []step, in *strings.Replacer) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short starts no servers")
	}
	steps := append(before, stepsOf(t, page)...)
	dir, answers := t.TempDir(), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-u")
	shell.Dir = dir
	shell.Cancel = func() error { return shell.Process.Signal(os.Interrupt) }
	shell.Env = append(os.Environ(), "HOME="+dir, "TZ=UTC", "ANSWERS="+answers, "LIWANAG_ADDR=127.0.0.1:0", "LIWANAG_ADMIN_ADDR=off",
		"FULLENRICH_BASE_URL="+simulated(t)+"/api/v2", "LIWANAG_BATCH_WINDOW=50ms", "LIWANAG_CALLS_PER_MINUTE=10000",
		"LIWANAG_SINK_ALLOW=127.0.0.0/8")
	shell.Stdin = strings.NewReader(script(steps, in))
	if said, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", page, err, said)
	}
	for i, s := range steps {
		said, err := os.ReadFile(filepath.Join(answers, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		is := map[string]bool{}
		for line := range strings.Lines(string(said)) {
			is[normal(line)] = true
		}
		for _, line := range s.answer {
			if !is[normal(line)] {
				t.Errorf("%s: %s\ndoes not answer: %s\nbut:\n%s", page, s.command, line, said)
			}
		}
	}
}

// simulated starts a simulated FullEnrich that works fast, with the same people each time.
func simulated(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("liwanag", "simulate", "--addr", "127.0.0.1:0", "--speed", "200", "--seed", "7")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := regexp.MustCompile(`http\S+/api/v2`)
	text := make([]byte, 0, 4096)
	for buffer := make([]byte, 512); ; {
		n, err := out.Read(buffer)
		text = append(text, buffer[:n]...)
		if found := address.Find(text); found != nil {
			return strings.TrimSuffix(string(found), "/api/v2")
		}
		if err != nil {
			t.Fatalf("the simulator does not start: %v\n%s", err, text)
		}
	}
}

// TestEveryStepOfTheFirstUseWorks does what docs/first-use.md says, and wants the answers
// that it shows.
func TestEveryStepOfTheFirstUseWorks(t *testing.T) {
	runPage(t, "first-use.md", nil, strings.NewReplacer(
		"cat > fullenrich-api-key        # paste it, Ctrl-D", "echo fe_sim_key > fullenrich-api-key",
		"export LIWANAG_PUBLIC_URL=https://liwanag.example.com", ":", // the simulator reaches the server where it is
		"https://liwanag.example.com", "$LIWANAG_SERVER"))
}

// TestTheRecipesWork does what docs/recipes.md says, on a server that has found a few people.
func TestTheRecipesWork(t *testing.T) {
	took := &receiver{}
	others := httptest.NewServer(took)
	t.Cleanup(others.Close)
	var before []step
	for _, command := range []string{
		"export LIWANAG_API_KEY=a-key-of-at-least-32-characters-x FULLENRICH_API_KEY=fe_sim_key LIWANAG_BACKUP_DIR=$PWD", "liwanag serve &",
		"printf 'email,plan\\nana.cruz@gmail.com,pro\\neve.santos@icloud.com,free\\ngrace.kim@gmail.com,pro\\n' > few.csv",
		"liwanag subscribers import few.csv --source newsletter --yes --wait",
	} {
		before = append(before, step{command: command})
	}
	runPage(t, "recipes.md", before, strings.NewReplacer("https://liwanag.example.com", "$LIWANAG_SERVER",
		"https://hooks.example.com", others.URL+"/200", "https://slack.com", others.URL+"/200", "https://api.kit.com", others.URL+"/200"))
	took.mu.Lock()
	defer took.mu.Unlock()
	if len(took.taken) < 4 {
		t.Errorf("others were told %d times only", len(took.taken))
	}
}
