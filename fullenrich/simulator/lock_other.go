//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package simulator

import (
	"fmt"
	"os"
)

// lockFile cannot lock here: the standard library offers none on this system.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("simulator: lock: %w", err)
	}
	return file, nil
}
