//go:build !linux

package sqlitedb

import "os"

// lockContent is for systems that lock by descriptor; elsewhere the lock file and the
// refusal of a second name have to do.
func lockContent(*os.File) (held bool) { return false }
