//go:build unix

package sqlitedb

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks f without waiting and reports whether another holds it.
func tryLock(f *os.File) (held bool, err error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return false, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return true, nil
		case !errors.Is(err, syscall.EINTR):
			return false, err
		}
	}
}
