//go:build unix

package app

import "golang.org/x/sys/unix"

// freeAt is how many bytes are free for us where a folder is.
func freeAt(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil // #nosec G115 -- sizes of disks
}
