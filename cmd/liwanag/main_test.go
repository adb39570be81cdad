package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/workflow/runapi"
)

var update = flag.Bool("update", false, "write the golden files and transcripts")

// offline is a program without a terminal.
func offline(t *testing.T) (p *program, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	return &program{ctx: t.Context(), in: strings.NewReader(""), out: out, err: errs, width: 100}, out, errs
}

func TestHelpIsAsDocumented(t *testing.T) {
	var all strings.Builder
	var commands func(n *kong.Node, path []string)
	help := func(path []string) {
		p, out, _ := offline(t)
		parser, err := newParser(&grammar{}, p)
		if err != nil {
			t.Fatal(err)
		}
		exited := -1
		parser.Exit = func(code int) { exited = code; panic("exit") }
		func() {
			defer func() { _ = recover() }()
			_, _ = parser.Parse(append(path, "--help"))
		}()
		if exited != 0 {
			t.Errorf("%v --help exits with %d", path, exited)
		}
		fmt.Fprintf(&all, "$ liwanag %s\n%s\n", strings.Join(append(path, "--help"), " "), out)
	}
	commands = func(n *kong.Node, path []string) {
		help(path)
		for _, child := range n.Children {
			commands(child, append(append([]string{}, path...), child.Name))
		}
	}
	p, _, _ := offline(t)
	parser, err := newParser(&grammar{}, p)
	if err != nil {
		t.Fatal(err)
	}
	commands(parser.Model.Node, nil)
	golden(t, "help.txt", all.String())
}

func TestErrorsHaveTheirExitCodeAndAWayOut(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		try  bool
	}{
		{errors.New("disk gone"), exitFailed, false},
		{fmt.Errorf("x: %w", context.Canceled), exitFailed, false},
		{usage("this", "wrong"), exitUsage, true},
		{&app.UsageError{Err: errors.New("wrong")}, exitUsage, true},
		{&notFound{"nothing"}, exitNotFound, false},
		{&apiclient.Problem{Problem: api.Problem{Status: 404, Detail: "no such run"}}, exitNotFound, true},
		{&apiclient.Problem{Problem: api.Problem{Status: 401, Detail: "no key"}}, exitRefused, true},
		{&apiclient.Problem{Problem: api.Problem{Status: 409, Detail: "has ended"}}, exitRefused, false},
		{&apiclient.Problem{Problem: api.Problem{Status: 422, Detail: "wrong"}}, exitRefused, false},
		{&apiclient.Problem{Problem: api.Problem{Status: 429, Detail: "slow down"}}, exitRefused, true},
		{&apiclient.Problem{Problem: api.Problem{Status: 503, Detail: "no database"}}, exitRefused, true},
		{&apiclient.Problem{Problem: api.Problem{Status: 507, Detail: "disk full"}}, exitRefused, false},
		{&apiclient.Problem{Problem: api.Problem{Status: 500, Detail: "our fault"}}, exitFailed, true},
		{&apiclient.Unreachable{Server: "s", Err: errors.New("refused")}, exitFailed, true},
	} {
		p, _, errs := offline(t)
		if code := p.fail(test.err); code != test.code {
			t.Errorf("%v: exit code %d, want %d", test.err, code, test.code)
		}
		if try := strings.Contains(errs.String(), "\n  Try: "); try != test.try {
			t.Errorf("%v: a way out is %v, want %v: %s", test.err, try, test.try, errs)
		}
		if strings.Count(errs.String(), "Try: ") > 1 {
			t.Errorf("%v: more than one way out: %s", test.err, errs)
		}
	}
}

func TestNothingFromStrangersSteersTheTerminal(t *testing.T) {
	const evil = "\x1b]0;title\x07\x1b[2J\u202edrow\u200b\x9b1m\r\n"
	p, out, errs := offline(t)
	err := writeTable(p, []column[string]{{"name", func(s string) string { return s }},
		{"again", func(s string) string { return s }}}, each([]string{evil}))
	if err != nil {
		t.Fatal(err)
	}
	p.fields([][2]string{{"name", evil}})
	p.fail(&apiclient.Problem{Problem: api.Problem{Status: 422, Detail: evil}})
	for _, text := range []string{out.String(), errs.String()} {
		if strings.ContainsAny(text, "\x1b\x07\r\u202e\u200b\u009b") {
			t.Errorf("%q", text)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want 3: %q", lines, out)
	}
}

func TestSpreadsheetsExecuteNoCell(t *testing.T) {
	p, out, _ := offline(t)
	columns := []column[string]{{"name", func(s string) string { return s }}}
	if err := writeCSV(p.out, columns, each([]string{"=1+1", "+1", "-1", "@x", "a,b", "plain"})); err != nil {
		t.Fatal(err)
	}
	if want := "name\n'=1+1\n'+1\n'-1\n'@x\n\"a,b\"\nplain\n"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}
}

func TestATableIsAlignedByWhatIsSeen(t *testing.T) {
	p, out, _ := offline(t)
	columns := []column[[2]string]{{"name", func(s [2]string) string { return s[0] }}, {"n", func(s [2]string) string { return s[1] }}}
	rows := [][2]string{{"日本", "1"}, {"Ana", "2"}, {strings.Repeat("x", 80), "3"}}
	if err := writeTable(p, columns, each(rows)); err != nil {
		t.Fatal(err)
	}
	pad := strings.Repeat(" ", 56)
	want := "NAME" + pad + "  N\n日本" + pad + "  1\nAna " + pad + "  2\n" + strings.Repeat("x", 59) + "…  3\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
}

func TestAListingStopsAtItsLimitAndSaysSo(t *testing.T) {
	asked := []int{}
	fetch := func(page runapi.Paging) (runapi.List[int], error) {
		asked = append(asked, page.Limit)
		from := 0
		fmt.Sscan(page.Cursor, &from)
		l := runapi.List[int]{}
		for i := from; i < min(from+page.Limit, 1200); i++ {
			l.Items = append(l.Items, i)
		}
		if from+page.Limit < 1200 {
			l.NextCursor = fmt.Sprint(from + page.Limit)
		}
		return l, nil
	}
	columns := []column[int]{{"n", func(i int) string { return fmt.Sprint(i) }}}
	for _, test := range []struct {
		page  pageFlags
		lines int
		asked string
		hint  bool
	}{
		{pageFlags{Limit: 50}, 50, "[50]", true},
		{pageFlags{Limit: 700}, 700, "[500 200]", true},
		{pageFlags{Limit: 1200}, 1200, "[500 500 200]", false},
		{pageFlags{Limit: 50, All: true}, 1200, "[500 500 500]", false},
	} {
		p, out, errs := offline(t)
		asked = nil
		if err := list(p, outputFlag{"jsonl"}, test.page, columns, fetch); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(out.String(), "\n"); lines != test.lines || fmt.Sprint(asked) != test.asked {
			t.Errorf("%+v: %d lines from pages of %v, want %d from %s", test.page, lines, asked, test.lines, test.asked)
		}
		if hint := strings.Contains(errs.String(), "Try: --limit"); hint != test.hint {
			t.Errorf("%+v: the hint is %v", test.page, hint)
		}
	}
	p, _, _ := offline(t)
	if err := list(p, outputFlag{"table"}, pageFlags{}, columns, fetch); err == nil {
		t.Error("a limit of 0 was accepted")
	}
}

func TestRecordsAreCountedWhateverTheirCellsHold(t *testing.T) {
	var out strings.Builder
	file := &records{to: &out}
	text := "\"email\",\"metadata\"\n\"a@x.com\",\"two\nlines, \"\"quoted\"\"\n\"\nb@x.com,\n"
	for _, part := range strings.SplitAfter(text, "o") {
		if n, err := io.WriteString(file, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if file.n != 3 || out.String() != text {
		t.Errorf("%d records in %q", file.n, out.String())
	}
}

func TestAnAddressIsShownShortened(t *testing.T) {
	for email, want := range map[string]string{"maria.santos@gmail.com": "mar…@gmail.com", "bo@gmx.de": "bo@gmx.de",
		"юлия@пример.рф": "юли…@пример.рф", "none": "none"} {
		if got := shortAddress(email); got != want {
			t.Errorf("%s: %s, want %s", email, got, want)
		}
	}
}
