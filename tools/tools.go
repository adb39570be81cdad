//go:build tools

// Package tools pins the linters that make lint builds.
package tools

import (
	_ "github.com/securego/gosec/v2/cmd/gosec"
	_ "honnef.co/go/tools/cmd/staticcheck"
)
