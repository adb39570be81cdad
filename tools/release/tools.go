//go:build tools

// Package release pins what make release-check makes and checks a release with.
package release

import (
	_ "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"
	_ "github.com/rhysd/actionlint/cmd/actionlint"
)
