package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestThePageOfTheLibraryBeginsWithThisProgramWhichRuns(t *testing.T) {
	page, err := os.ReadFile("../../docs/library.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(source), "\n")
	if _, first, _ := strings.Cut(string(page), "```go\n"); !strings.HasPrefix(first, program+"```\n") {
		t.Error("the first program of docs/library.md is not examples/hello/main.go")
	}
	if n := strings.Count(program, "\n"); n > 25 {
		t.Errorf("the program has %d lines", n)
	}
	t.Chdir(t.TempDir())
	for range 2 { // the second time it finds the run
		if said := printed(t, main); said != "completed \"hello world\" <nil>\n" {
			t.Errorf("the program says %q", said)
		}
	}
}

// printed is what a function prints.
func printed(t *testing.T, do func()) string {
	t.Helper()
	out := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	do()
	os.Stdout = out
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}
