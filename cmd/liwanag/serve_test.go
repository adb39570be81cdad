package main

import (
	"context"
	"strings"
	"testing"
)

func TestAServerThatIsToldToStopWhileItStartsEndsWell(t *testing.T) {
	p, out, _ := offline(t)
	stopped, stop := context.WithCancel(p.ctx)
	p.ctx = stopped
	parser, err := newParser(&grammar{}, p)
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "off", "--database-url",
		"sqlite:" + t.TempDir() + "/liwanag.db"})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := command.Run(p); err != nil || out.Len() > 0 {
		t.Errorf("ended with %v, having printed %q", err, out)
	}
}

// upTo keeps what is written and stops what writes it after a text.
type upTo struct {
	strings.Builder
	text string
	stop func()
}

func (w *upTo) Write(p []byte) (int, error) {
	n, err := w.Builder.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.stop()
	}
	return n, err
}

func TestASignInLinkIsShownToPeopleAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal  bool
		key, last string
		link      bool
	}{
		"terminal":          {true, strings.Repeat("k", 32), "/sign-in?link=", true},
		"pipe":              {false, strings.Repeat("k", 32), "database", false},
		"nothing to open":   {true, "", "database", false},
		"pipe, without key": {false, "", "database", false},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, errs := offline(t)
			var stop func()
			p.ctx, stop = context.WithCancel(p.ctx)
			defer stop()
			out := &upTo{text: tc.last, stop: stop}
			p.out, p.shows = out, tc.terminal
			t.Setenv("LIWANAG_API_KEY", tc.key)
			parser, err := newParser(&grammar{}, p)
			if err != nil {
				t.Fatal(err)
			}
			command, err := parser.Parse([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "off", "--database-url",
				"sqlite:" + t.TempDir() + "/liwanag.db"})
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Run(p); err != nil {
				t.Errorf("%v: %s", err, errs)
			}
			if got := strings.Contains(out.String(), "/sign-in?link="); got != tc.link || strings.Contains(errs.String(), "link=") {
				t.Errorf("printed %s, and on the other side %s", out, errs)
			}
		})
	}
}
