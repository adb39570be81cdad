package sqlitedb

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
)

// fileLock is an operating system lock: it ends with the process, however that
// ends. The file stays, since removing it would let two processes lock two
// files of one name.
type fileLock struct{ file *os.File }

func lockFile(path string) (*fileLock, error) {
	// #nosec G304 -- beside the database that the operator names
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: lock: %w", err)
	}
	if held, err := tryLock(f); held || err != nil {
		defer f.Close()
		if err != nil {
			return nil, fmt.Errorf("sqlitedb: lock %s: %w", path, err)
		}
		return nil, &LockedError{Path: path, PID: readPID(f)}
	}
	if err := writePID(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("sqlitedb: lock %s: %w", path, err)
	}
	return &fileLock{f}, nil
}

func (l *fileLock) unlock() error { return l.file.Close() }

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID returns 0 while the holder has not written its id yet.
func readPID(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return 0
	}
	return pid
}
