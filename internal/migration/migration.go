// Package migration reads the files by which a schema grows.
package migration

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

// Step is one of them.
type Step struct {
	Version int64
	Name    string // of the file
	SQL     string
}

// Read reads the *.sql files at the root, in the order of the versions that their
// names begin with.
func Read(files fs.FS) ([]Step, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("the migration %s: %w", name, err)
		}
		steps[i] = Step{version, name, string(text)}
	}
	return steps, nil
}

// Script is what the files do to a schema that has a version, for people to read.
func Script(files fs.FS, version int64) (string, error) {
	steps, err := Read(files)
	if err != nil {
		return "", err
	}
	var script strings.Builder
	for _, s := range steps {
		if s.Version > version {
			_, body, _ := strings.Cut(s.SQL, "\n") // goose's mark
			fmt.Fprintf(&script, "-- %s\n%s\n", s.Name, body)
		}
	}
	return script.String(), nil
}
