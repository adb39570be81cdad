package main

import (
	"fmt"
	"runtime"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintf(p.out, "liwanag %s (%s %s/%s)\n", app.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
