package main

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithoutATerminalProgressIsALineASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &program{ctx: context.Background(), err: &out}
		g := p.progress()
		m := g.meter("imported", "")
		for i := range int64(25) {
			m.set(i, 25)
			time.Sleep(100 * time.Millisecond)
		}
		m.set(25, 25)
		m.set(25, 25)
		m.done()
		g.close()
		if want := "imported 0 of 25\nimported 10 of 25\nimported 20 of 25\nimported 25 of 25\n"; out.String() != want {
			t.Errorf("got:\n%swant:\n%s", out.String(), want)
		}
	})
}

func TestBarsEndWhateverWasReached(t *testing.T) {
	for name, use := range map[string]func(m *meter){
		"nothing":  func(*meter) {},
		"half":     func(m *meter) { m.set(5, 10) },
		"all":      func(m *meter) { m.set(10, 10) },
		"more":     func(m *meter) { m.set(10, 10); m.set(10, 20); m.set(20, 20) },
		"no total": func(m *meter) { m.set(0, 0) },
	} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p := &program{ctx: context.Background(), err: io.Discard, live: true}
			g := p.progress()
			m := g.meter(name, "")
			use(m)
			m.done()
			g.close()
		}()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the bar never ends", name)
		}
	}
}

func TestReadingIsCounted(t *testing.T) {
	var seen []int64
	r := &countingReader{Reader: strings.NewReader("12345"), read: func(n int64) { seen = append(seen, n) }}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 || seen[2] != 5 {
		t.Errorf("counted %v", seen)
	}
}

func TestOnlyAYesIsTakenForYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "\n": false, "n\n": false, "yesterday\n": false, "": false} {
		p := &program{ctx: t.Context(), in: strings.NewReader(answer), err: io.Discard, asks: true}
		got, err := p.agrees("Go on? ")
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
	nobody := &program{ctx: t.Context(), in: strings.NewReader("n\n"), err: io.Discard}
	if agreed, err := nobody.agrees("Go on? "); err != nil || !agreed {
		t.Errorf("without a terminal nobody is asked: %v, %v", agreed, err)
	}
}

func TestCompletionKnowsTheCommandsInBash(t *testing.T) {
	p, out, _ := offline(t)
	if err := (&completionCommand{Shell: "bash"}).Run(p); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ typed, want string }{
		{"liwanag su", "subscribers suppressions submissions"},
		{"liwanag runs ca", "cancel"},
		{"liwanag runs cancel --fo", "--force"},
		{"liwanag demo file.csv --sp", "--speed"},
	} {
		words := strings.Fields(test.typed)
		script := out.String() + "\nCOMP_WORDS=(" + strings.Join(words, " ") + "); COMP_CWORD=" + string(rune('0'+len(words)-1)) +
			"; _liwanag; echo \"${COMPREPLY[*]}\""
		got, err := exec.Command("bash", "--norc", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if strings.TrimSpace(string(got)) != test.want {
			t.Errorf("%s: %q, want %q", test.typed, strings.TrimSpace(string(got)), test.want)
		}
	}
}
