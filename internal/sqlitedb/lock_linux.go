package sqlitedb

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockContent locks a byte of the database that SQLite never uses, and reports whether
// another process has it: a file that was moved while it is open has another
// lock file. The lock belongs to the descriptor and ends with it. A file system without
// such locks has the lock file alone.
func lockContent(f *os.File) (held bool) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: 1 << 62, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES)
}
