//go:build tools

// Package tools pins the programs that make lint and make generate build.
package tools

import (
	_ "github.com/a-h/templ/cmd/templ"
	_ "github.com/securego/gosec/v2/cmd/gosec"
	_ "golang.org/x/vuln/cmd/govulncheck"
	_ "honnef.co/go/tools/cmd/staticcheck"
)
