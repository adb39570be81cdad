package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
)

// The exit codes.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitRefused  = 4
)

// program is what a command has of the world around it.
type program struct {
	ctx      context.Context // ends with the first SIGINT or SIGTERM
	in       io.Reader
	out, err io.Writer
	// asks says that there is somebody to ask; live that progress may be redrawn;
	// shows that out is a terminal, color that it may be styled; width is its, in
	// cells, 0 when that is not known.
	asks, live, shows, color bool
	width                    int
}

func newProgram(ctx context.Context) *program {
	p := &program{ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr}
	in, out, errs := isTerminal(os.Stdin), isTerminal(os.Stdout), isTerminal(os.Stderr)
	_, rows, err := term.GetSize(int(os.Stderr.Fd()))
	dumb := os.Getenv("TERM") == "dumb" || errs && (err != nil || rows == 0)
	p.asks, p.live, p.shows, p.color = in && errs, errs && !dumb, out, out && !dumb && os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); out && err == nil {
		p.width = width
	}
	return p
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// usageError is a fault of what was typed.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// usage makes a usage error; try says what to type instead.
func usage(try, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...) + "\n  Try: " + try}
}

// fail prints an error with what to do about it, and returns its exit code.
func (p *program) fail(err error) int {
	code, try := classify(err)
	text := strings.TrimSpace(err.Error())
	if err == context.Canceled {
		text = "stopped before it was done"
	}
	if try != "" && !strings.Contains(text, "Try: ") {
		text += "\n  Try: " + try
	}
	fmt.Fprintln(p.err, "liwanag: "+printable(text, "\n"))
	return code
}

func classify(err error) (code int, try string) {
	var parse *kong.ParseError
	var problem *apiclient.Problem
	switch {
	case errors.As(err, &parse):
		return exitUsage, parse.Context.Model.Name + helpOf(parse.Context)
	case errors.As(err, new(*usageError)), errors.As(err, new(*app.UsageError)):
		return exitUsage, "liwanag --help"
	case errors.As(err, new(*notFound)):
		return exitNotFound, ""
	case errors.As(err, &problem):
		return classifyProblem(problem)
	case errors.As(err, new(*apiclient.Unreachable)):
		return exitFailed, "liwanag serve starts a server; --server or LIWANAG_SERVER name another one"
	case errors.Is(err, context.Canceled):
		return exitFailed, ""
	}
	return exitFailed, ""
}

func helpOf(c *kong.Context) string {
	path := ""
	for _, p := range c.Path {
		if p.Command != nil {
			path += " " + p.Command.Name
		}
	}
	return path + " --help"
}

func classifyProblem(p *apiclient.Problem) (code int, try string) {
	switch p.Status {
	case http.StatusNotFound:
		return exitNotFound, "list what there is"
	case http.StatusUnauthorized:
		return exitRefused, "set LIWANAG_API_KEY to the server's key"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return exitRefused, "again in a moment"
	}
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusInsufficientStorage {
		return exitFailed, "the server's log says more, search for its request id"
	}
	return exitRefused, ""
}

// agrees asks, if there is somebody to ask; without, it is agreed.
func (p *program) agrees(question string) (bool, error) {
	if !p.asks {
		return true, nil
	}
	fmt.Fprint(p.err, question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.in).ReadString('\n') // no answer is no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		return a == "y" || a == "yes", nil
	case <-p.ctx.Done():
		fmt.Fprintln(p.err)
		return false, p.ctx.Err()
	}
}

// style renders text on a terminal that wants colors.
func (p *program) style(s lipgloss.Style, text string) string {
	if !p.color {
		return text
	}
	return s.Render(text)
}

var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
)

// printable replaces what could steer a terminal: data comes from strangers.
// Characters of allowed stay.
func printable(text, allowed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(allowed, r):
			return r
		case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, // controls
			r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // invisible, bidirectional
			return '\uFFFD'
		}
		return r
	}, text)
}

func isUnreachable(err error) bool { return errors.As(err, new(*apiclient.Unreachable)) }
