// Package docs proves that the documents say what the repository holds: their
// links, the tests, commands and settings that they name, the program they quote.
package docs

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

const root = "../../../.."

func read(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// pages are all Markdown files, by path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2 {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found[rel] = read(t, rel)
		}
		return nil
	})
	if err != nil || len(found) < 8 {
		t.Fatalf("%d pages, %v", len(found), err)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noise   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// anchors are the fragments that a page's headings answer to.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		found[strings.ReplaceAll(noise.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return found
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	all := pages(t)
	for name, page := range all {
		for _, l := range link.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			path, fragment, _ := strings.Cut(l[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, l[1])
			} else if fragment != "" && !anchors(all[target])[fragment] {
				t.Errorf("%s links to %s, which has no such heading", name, l[1])
			}
		}
	}
}

var (
	declared = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	named    = regexp.MustCompile("`(?:([\\w/]+): )?(Test[A-Z]\\w*)(?:/[^`]*)?`")
)

func TestEveryTestThatIsNamedIsThere(t *testing.T) {
	tests := map[string]map[string]bool{} // by folder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder := filepath.Dir(rel)
		if tests[folder] == nil {
			tests[folder] = map[string]bool{}
		}
		for _, d := range declared.FindAllStringSubmatch(read(t, rel), -1) {
			tests[folder][d[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, of := range map[string]struct {
		folder  string // of the tests that are named without one
		atLeast int
	}{
		"docs/requirements.md": {"", 20}, "docs/security.md": {"", 50}, "docs/paid-call.md": {"cmd/liwanag/internal/enrichment", 20}, "engine/DESIGN.md": {"engine", 1},
	} {
		found := named.FindAllStringSubmatch(read(t, page), -1)
		if len(found) < of.atLeast {
			t.Errorf("%s names %d tests only", page, len(found))
		}
		for _, n := range found {
			in := n[1]
			if in == "" {
				in = of.folder
			}
			if !tests[in][n[2]] {
				t.Errorf("%s names %s, which is not in %q", page, n[2], in)
			}
		}
	}
}

func TestTheSettingsTableIsTheSettings(t *testing.T) {
	page := read(t, "docs", "operations.md")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Settings]()) {
		if field.Anonymous {
			continue
		}
		tag := field.Tag
		env, value := tag.Get("env"), tag.Get("default")
		if strings.HasSuffix(tag.Get("name"), "-file") && field.Type == reflect.TypeFor[config.SecretFile]() {
			if !strings.Contains(page, "`"+env+"`") {
				t.Errorf("operations.md does not name %s", env)
			}
			continue
		}
		row := regexp.MustCompile("(?m)^\\| `" + env + "` \\| ([^|]*) \\|").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("operations.md has no row for %s", env)
		} else if value != "" && row[1] != "`"+value+"`" {
			t.Errorf("operations.md says that %s is %s, it is %s", env, row[1], value)
		}
	}
}

// In README.md commands stand bare, elsewhere behind a prompt.
var (
	typed = regexp.MustCompile(`(?m)^\$ liwanag ([a-z]+)(?: ([a-z]+))?`)
	bare  = regexp.MustCompile(`(?m)^liwanag ([a-z]+)(?: ([a-z]+))?`)
)

// TestTheCommandsOfLeadsAreRun compares the page with the script that runs what it shows.
func TestTheCommandsOfLeadsAreRun(t *testing.T) {
	script := read(t, "cmd", "liwanag", "test", "script", "leads.txt")
	shown := regexp.MustCompile(`(?m)^\$ (liwanag .*)$`).FindAllStringSubmatch(read(t, "docs", "leads.md"), -1)
	if len(shown) < 5 {
		t.Errorf("only %d commands are shown", len(shown))
	}
	for _, command := range shown {
		if !strings.Contains(script, "\nexec "+command[1]+"\n") {
			t.Errorf("leads.txt does not run: %s", command[1])
		}
	}
}

// TestEveryCommandThatIsShownIsThere compares with the golden file of all helps.
func TestEveryCommandThatIsShownIsThere(t *testing.T) {
	helps := read(t, "cmd", "liwanag", "testdata", "help.txt")
	groups := regexp.MustCompile(`Usage: liwanag ([a-z]+) <command>`)
	isGroup := map[string]bool{}
	for _, g := range groups.FindAllStringSubmatch(helps, -1) {
		isGroup[g[1]] = true
	}
	shown := 0
	for name, page := range pages(t) {
		commands := typed.FindAllStringSubmatch(page, -1)
		if name == "README.md" {
			commands = append(commands, bare.FindAllStringSubmatch(page, -1)...)
		}
		for _, c := range commands {
			want := c[1]
			if isGroup[want] {
				want += " " + c[2]
			}
			if shown++; !strings.Contains(helps, "$ liwanag "+want+" --help") {
				t.Errorf("%s shows %q: there is no such command", name, c[0])
			}
		}
	}
	if shown < 30 {
		t.Errorf("only %d commands were found", shown)
	}
}

func TestWhatIsQuotedIsWhatRuns(t *testing.T) {
	page := read(t, "docs", "library.md")
	for fence, file := range map[string]string{"```go\n": "engine/example_test.go", "```\n": "engine/testdata/picked-up.golden"} {
		if !strings.Contains(page, fence+read(t, file)+"```\n") {
			t.Errorf("docs/library.md does not quote %s as it is", file)
		}
	}
}

// TestEveryErrorCodeIsExplained reads the codes that the server answers with from
// its source.
func TestEveryErrorCodeIsExplained(t *testing.T) {
	page := read(t, "docs", "api.md")
	codes := regexp.MustCompile(`(?:NewProblem\([\w.]+|NewError\([\w.]+|workflow\.Err\w+, http\.Status\w+|context\.\w+, http\.Status\w+), "([a-z_]+)"|&Error\{Class: \w+, Code: "([a-z_]+)"`)
	found := 0
	for _, room := range []string{"httpapi", "httpapi/door", "liwanag", "intake", "intake/sources", "enrichment", "notify", "access"} {
		files, err := filepath.Glob(filepath.Join(root, "cmd", "liwanag", "internal", filepath.FromSlash(room), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range codes.FindAllStringSubmatch(string(source), -1) {
				if found++; !strings.Contains(page, "`"+m[1]+m[2]+"`") {
					t.Errorf("docs/api.md does not explain %s of %s", m[1]+m[2], filepath.Base(file))
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d codes were found", found)
	}
}

// The table of metrics is the golden that a running server is compared with, and
// alert rules ask for metrics that there are.
func TestTheMetricsTableIsTheMetrics(t *testing.T) {
	page, alerts := read(t, "docs", "operations.md"), read(t, "docs", "alerts.yml")
	board := read(t, "deploy", "grafana", "liwanag.json")
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+) (\w+)\{(.*?)\} (.*)\.$`).FindAllStringSubmatch(read(t, "cmd", "liwanag", "internal",
		"telemetry", "testdata", "metrics.txt"), -1) {
		known[m[2]] = true
		row := "| `" + m[2] + "` | " + m[1] + " | " + strings.ReplaceAll(m[3], ",", ", ") + " | " + m[4]
		if !strings.Contains(page, row) {
			t.Errorf("operations.md lacks the row %s", row)
		}
	}
	for _, name := range regexp.MustCompile("liwanag_[a-z_]+[a-z]").FindAllString(page+alerts+board, -1) {
		if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("%s is no metric", name)
		}
	}
	if len(known) < 30 {
		t.Errorf("%d metrics are known", len(known))
	}
	if shown := strings.Count(board, `"expr": `); shown < 20 || !json.Valid([]byte(board)) {
		t.Errorf("the dashboard asks for %d metrics, or is no JSON", shown)
	}
}
