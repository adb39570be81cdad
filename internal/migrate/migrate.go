// Package migrate reads the files by which a schema grows, and tells which of them
// it lacks. The version table of a schema is that of earlier releases, which refuse
// what a newer one has changed.
package migrate

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Step is one of the files.
type Step struct {
	Version int64
	Name    string
	SQL     string
}

// Read reads the *.sql files at the root, in the order of the versions that their
// names begin with. An error when a name has none, or two have the same.
func Read(files fs.FS) ([]Step, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil || version < 1:
			return nil, fmt.Errorf("the migration %s: its name does not begin with a version", name)
		case i > 0 && version <= steps[i-1].Version:
			return nil, fmt.Errorf("the migration %s: it does not follow %s", name, steps[i-1].Name)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps[i] = Step{version, name, string(text)}
	}
	return steps, nil
}

// After are the steps that a schema with a version lacks.
func After(steps []Step, version int64) []Step {
	for i, s := range steps {
		if s.Version > version {
			return steps[i:]
		}
	}
	return nil
}

// Newest is the version that the steps lead to.
func Newest(steps []Step) int64 {
	if len(steps) == 0 {
		return 0
	}
	return steps[len(steps)-1].Version
}

// Script is what the files do to a schema that has a version, for people to read.
func Script(files fs.FS, version int64) (string, error) {
	steps, err := Read(files)
	if err != nil {
		return "", err
	}
	var script strings.Builder
	for _, s := range After(steps, version) {
		fmt.Fprintf(&script, "-- %s\n%s\n", s.Name, strings.TrimPrefix(s.SQL, mark))
	}
	return script.String(), nil
}

// mark is how the files begin: a word to the tool that ran them in earlier releases.
const mark = "-- +goose Up\n"
