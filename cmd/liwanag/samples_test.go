package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// samples runs the samples of docs/commands.md in the order of the page, against the
// program and a simulated FullEnrich, and compares what they answer. Ids of the page
// stand for those of the run.
type samples struct {
	t      *testing.T
	dir    string
	sim    string
	env    []string
	url    string // of the server
	began  string // what the server said
	stop   func()
	ids    map[string]string // of the run, by those of the page
	update bool
	ready  map[string]bool // what is prepared, once
}

// held are the sections whose samples a transcript of test/script runs.
var held = map[string]string{"## demo": "demo.txt", "## copy": "copy.txt"}

// TestTheSamplesOfCommandsAreReal regenerates the samples of docs/commands.md with -update.
func TestTheSamplesOfCommandsAreReal(t *testing.T) {
	if testing.Short() {
		t.Skip("-short starts no servers")
	}
	path := filepath.Join("..", "..", "docs", "commands.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := newSamples(t)
	lines := s.page(strings.Split(string(page), "\n"))
	if *update && !t.Failed() {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newSamples(t *testing.T) *samples {
	s := &samples{t: t, dir: t.TempDir(), sim: simulated(t), stop: func() {}, update: *update,
		ids: map[string]string{}, ready: map[string]bool{}}
	others := httptest.NewServer(&receiver{})
	t.Cleanup(others.Close)
	s.env = append(os.Environ(), "HOME="+s.dir, "TZ=UTC", "NO_COLOR=1", "LIWANAG_ADDR=127.0.0.1:0", "LIWANAG_ADMIN_ADDR=127.0.0.1:0",
		"FULLENRICH_BASE_URL="+s.sim+"/api/v2", "FULLENRICH_API_KEY=fe_sim_key", "LIWANAG_BATCH_WINDOW=50ms", "LIWANAG_CALLS_PER_MINUTE=10000",
		"LIWANAG_BACKUP_DIR="+filepath.Join(s.dir, "backups"), "LIWANAG_SINK_ALLOW=127.0.0.0/8", "RECEIVER="+others.URL,
		"DATABASE_URL=sqlite:"+filepath.Join(s.dir, "liwanag.db"))
	for name, text := range sampleFiles {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// page runs what stands behind "$ " and returns the page with the answers of today.
func (s *samples) page(lines []string) (now []string) {
	section, inside, fenced := "", false, false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.HasPrefix(line, "## ") {
			section = line
		}
		if strings.HasPrefix(line, "```") {
			inside = !inside
			fenced = inside && line == "```"
		}
		command, is := strings.CutPrefix(line, "$ ")
		if !fenced || !is || held[section] != "" {
			now = append(now, line)
			continue
		}
		end := i + 1
		for ; lines[end] != "```" && !strings.HasPrefix(lines[end], "$ "); end++ {
		}
		command, answer := s.sample(command, lines[i+1:end])
		now = append(append(now, "$ "+command), answer...)
		i = end - 1
	}
	return now
}

// sample runs one, and compares.
func (s *samples) sample(command string, shown []string) (now string, answer []string) {
	s.t.Helper()
	form := someID.ReplaceAllString(command, "ID")
	for _, prepare := range prepared[form] {
		if !s.ready[form] {
			s.prepare(prepare, command)
		}
	}
	s.ready[form] = true
	refused := slices.ContainsFunc(shown, func(l string) bool { return strings.HasPrefix(l, "liwanag: ") })
	real := someID.ReplaceAllStringFunc(command, func(id string) string {
		if is, known := s.ids[id]; known {
			return is
		}
		if !refused {
			s.t.Errorf("%s: nothing before it shows %s", command, id)
		}
		return id
	})
	said, failed := s.says(real)
	if failed != refused {
		s.t.Errorf("%s: it fails: %t\n%s", command, failed, strings.Join(said, "\n"))
	}
	answer, fault := s.compare(shown, said)
	if fault != "" {
		s.t.Errorf("$ %s\ndoes not answer: %s\nbut:\n%s\n  Try: go test ./cmd/liwanag -run Samples -update", command, fault,
			strings.Join(said, "\n"))
	}
	return real, answer
}

// says runs a command, and gives its answer as it were where the page is read.
func (s *samples) says(command string) (lines []string, failed bool) {
	s.t.Helper()
	var raw []byte
	switch {
	case command == "liwanag serve":
		s.serve()
		raw = []byte(s.began)
	case strings.HasPrefix(command, "liwanag simulate"):
		raw = s.firstLines(2, command)
	default:
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
		defer cancel()
		shell := exec.CommandContext(ctx, "bash", "-c", command)
		shell.Dir, shell.Env = s.dir, append(slices.Clip(s.env), "LIWANAG_SERVER="+s.url)
		out, err := shell.CombinedOutput()
		raw, failed = out, err != nil
	}
	text := strings.NewReplacer(s.dir, "/var/lib/liwanag", strings.TrimPrefix(s.url, "http://"), "127.0.0.1:8484").Replace(string(raw))
	other := "127.0.0.1:8485"
	if strings.HasPrefix(command, "liwanag simulate") {
		other = "127.0.0.1:8486"
	}
	text = otherPort.ReplaceAllString(text, other)
	if text = strings.TrimRight(progressing.ReplaceAllString(text, ""), "\n"); text == "" {
		return nil, failed
	}
	return strings.Split(text, "\n"), failed
}

// progressing is what a file says of its way, as often as it takes.
var progressing = regexp.MustCompile(`(?m)^(sending|imported|results) \d+ of \d+.*\n`)

var otherPort = regexp.MustCompile(`127\.0\.0\.1:\d{5}\b`)

// firstLines are the first of what a command says that goes on for ever.
func (s *samples) firstLines(n int, command string) (said []byte) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "bash", "-c", "exec "+command+" --addr 127.0.0.1:0 2>&1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for one := make([]byte, 1); strings.Count(string(said), "\n") < n; said = append(said, one[0]) {
		if _, err := out.Read(one); err != nil {
			s.t.Fatalf("%s ends with %q, %v", command, said, err)
		}
	}
	return said
}

// serve starts a server, with settings besides.
func (s *samples) serve(env ...string) {
	s.t.Helper()
	s.stop()
	cmd := exec.CommandContext(s.t.Context(), "liwanag", "serve")
	cmd.Dir, cmd.Env = s.dir, append(slices.Clip(s.env), env...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.stop = func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait(); s.stop = func() {} }
	var said []byte
	whole := func() bool {
		return strings.Contains(string(said), "database  ") && strings.HasSuffix(string(said), "\n")
	}
	for one := make([]byte, 1); !whole(); said = append(said, one[0]) {
		if _, err := out.Read(one); err != nil {
			s.t.Fatalf("the server ends with %q, %v", said, err)
		}
	}
	s.began = string(said)
	s.url = regexp.MustCompile(`(http\S+)/api/v1`).FindStringSubmatch(s.began)[1]
}

// prepare does what a sample needs and the page does not show. What it says after BIND
// names what the id in the sample's command stands for.
func (s *samples) prepare(what, command string) {
	s.t.Helper()
	word, rest, _ := strings.Cut(what, " ")
	switch word {
	case "STOP":
		s.stop()
	case "START":
		s.serve(strings.Fields(rest)...)
	case "FAULT":
		s.post(s.sim+"/_sim/faults", rest)
	case "WEBHOOK":
		s.post(s.source(), rest)
	case "BIND":
		said, failed := s.says(rest)
		ids := someID.FindAllString(strings.Join(said, " "), -1)
		if failed || len(ids) == 0 {
			s.t.Fatalf("%s: %s", rest, strings.Join(said, "\n"))
		}
		s.ids[someID.FindString(command)] = ids[len(ids)-1]
	default:
		if said, failed := s.says(what); failed {
			s.t.Fatalf("before %s: %s: %s", command, what, strings.Join(said, "\n"))
		}
	}
}

// source makes a source whose address is its proof.
func (s *samples) source() string {
	s.t.Helper()
	said, _ := s.says("liwanag sources add generic Shop --proof path -o json")
	at := regexp.MustCompile(`/webhooks/generic/[^"]+`).FindString(strings.Join(said, " "))
	return s.url + at
}

func (s *samples) post(to, body string) {
	s.t.Helper()
	answer, err := http.Post(to, "application/json", strings.NewReader(body)) // #nosec G107 -- a server of this test
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		s.t.Fatalf("%s: %s", to, answer.Status)
	}
}

// compare finds the lines of the page among what was said: all of them, or, where the page
// leaves some out with "…", those that it shows, in their order. It learns ids.
func (s *samples) compare(shown, said []string) (now []string, fault string) {
	if s.update && !slices.Contains(shown, "…") && !slices.ContainsFunc(said, func(l string) bool { return len([]rune(l)) > widest }) {
		s.learnAll(shown, said)
		return said, ""
	}
	next, gap := 0, false
	for _, line := range shown {
		if line == "…" {
			now, gap = append(now, line), true
			continue
		}
		at := next
		for at < len(said) && !like(line, said[at]) {
			at++
		}
		if at == len(said) || at > next && !gap {
			return shown, line
		}
		s.learn(line, said[at])
		now, next, gap = append(now, cutLike(line, said[at])), at+1, false
	}
	if next < len(said) && !gap {
		return shown, "nothing more, but " + said[next]
	}
	return now, ""
}

const widest = 170

// learnAll learns the ids of lines that are alike, when the page is made anew.
func (s *samples) learnAll(shown, said []string) {
	for i := range min(len(shown), len(said)) {
		s.learn(shown[i], said[i])
	}
}

func (s *samples) learn(shown, said string) {
	a, b := someID.FindAllString(shown, -1), someID.FindAllString(said, -1)
	for i := range min(len(a), len(b)) {
		s.ids[a[i]] = b[i]
	}
	for _, id := range b { // where the page is made anew, and shows other ids later
		if _, known := s.ids[id]; !known {
			s.ids[id] = id
		}
	}
}

// like says whether a line of the page, of which … leaves a part out, is one that was said.
func like(shown, said string) bool {
	parts := strings.Split(normal(vary(shown)), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(normal(vary(said)))
}

// cutLike cuts a line that was said where the page cuts its.
func cutLike(shown, said string) string {
	if !strings.HasSuffix(shown, "…") {
		return said
	}
	runes := []rune(said)
	return string(runes[:min(len(runes), len([]rune(shown))-1)]) + "…"
}

var someID = regexp.MustCompile(`\b(sub|run|job|upl|key|src|snk|vie|sbm|rcp|msg|spr)_[0-9a-f]{8}-[0-9a-f-]{27}`)

// vary takes out of a line what differs between runs.
func vary(line string) string {
	for _, v := range varying {
		line = v.found.ReplaceAllString(line, v.is)
	}
	return line
}

var varying = []struct {
	found *regexp.Regexp
	is    string
}{
	{someID, "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`^\d+ +TIME`), "SEQ TIME"},
	{regexp.MustCompile(`\d{8}T\d{6}\.\d+Z`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d UTC`), "DAY"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(µs|ms|s|m|h)\b`), "TOOK"},
	{regexp.MustCompile(`[│·█░][│·█░ ]+`), "BAR"},
	{regexp.MustCompile(`\b\d+ (bytes|rows of)`), "N $1"},
	{regexp.MustCompile(`balance +\d+|had \d+|\d+ credits are left`), "BALANCE"},
	{regexp.MustCompile(`go\d\S+ \w+/\w+`), "GO"},
	{regexp.MustCompile(`"id":"[0-9a-f…]+"|enrichment-complete +[0-9a-f-]+…?`), "EVENT"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`), "UUID"},
}

// sampleFiles are what the samples read.
var sampleFiles = map[string]string{
	"signups.csv": "email,first name,source\nana.reyes+found@gmail.com,Ana,fair\njoe+notfound@yahoo.com,Joe,fair\n" +
		"nobody,No,fair\nana.reyes+found@gmail.com,Ana,fair\n",
	"kunden.csv": "email,name\nanna@gmail.com,\xcd\xf5\xce\xb0\n",
}

// until waits for what a command says.
func until(text, command string) string {
	return fmt.Sprintf("until liwanag %s | grep -q '%s'; do sleep 0.05; done", command, text)
}

const (
	ada = "liwanag subscribers add ada@gmail.com"
	mia = "mia+found@gmail.com"
)

// prepared is what stands before a sample, by the command with its ids as ID.
var prepared = map[string][]string{
	"liwanag subscribers list": {until("enriched", "subscribers show maria.santos+found@gmail.com")},
	"liwanag subscribers unsubscribe --source fair-2024 --dry-run": {
		"liwanag submissions pause", "liwanag subscribers add b.o@gmail.com --source fair-2024",
		"liwanag subscribers add ivy@yahoo.com --source fair-2024", "liwanag subscribers add bo+news@gmail.com --source blog"},
	"liwanag runs list --status completed --query maria.santos+found@gmail.com": {"liwanag submissions resume"},
	"liwanag runs list --status waiting": {
		`FAULT {"action":"webhook-never","email":"mia"}`, "liwanag subscribers add " + mia,
		until("wait-for-webhook", "runs list --status waiting")},
	"liwanag runs wake ID": {until("wait-for-webhook", "runs list --status waiting")},
	"liwanag runs event ID enrichment-complete '{}' --id by-hand": {"liwanag submissions resume",
		"BIND liwanag subscribers add mia@yahoo.com", until("wait-for-webhook", "runs list --status waiting")},
	"liwanag runs cancel --status waiting --dry-run": {
		"liwanag submissions pause", "for i in 1 2; do liwanag subscribers add late$i@gmail.com; sleep 0.2; done",
		until("^2", "runs list --status waiting -o csv | grep -c submit-to")},
	"liwanag why ada@gmail.com":                                   {"liwanag submissions pause --reason 'checking the bill'", ada, until("not now", "runs list --limit 1")},
	"liwanag doctor --webhook":                                    {"liwanag submissions resume"},
	"liwanag sources list":                                        {`WEBHOOK {"email":"kim@gmail.com"}`},
	"liwanag sinks test ID":                                       {"BIND liwanag sinks add $RECEIVER/200"},
	"liwanag migrate":                                             {"STOP"},
	"liwanag backup nightly.backup":                               {"mkdir backups", "START"},
	"liwanag restore backups/nightly.backup":                      {"STOP"},
	"liwanag submissions release \"compared with the dashboard\"": {"START"},
	"liwanag submissions budget 500 --reason \"a larger list comes\"": {
		until("^0", "runs list --status waiting -o csv | grep -c submit-to"),
		until("^0", "runs list --status waiting -o csv | grep -c wait-for"), until("reserved *0", "credits")},
	"liwanag sinks messages --topic test": {until("delivered", "sinks messages")},
	"liwanag runs list":                   {"START LIWANAG_API_KEY=a-key-of-at-least-32-characters-x"},
	"liwanag prune":                       {"START"},
}
