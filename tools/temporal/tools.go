//go:build tools

// Package temporal pins the Temporal command line, whose development server the
// tests run: "make temporal" builds it.
package temporal

import _ "github.com/temporalio/cli/cmd/temporal"
