package simulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journal is an append-only file, an event a line. What a kill left of the
// last line is cut off at the next start: it was never acknowledged.
type journal struct {
	file *os.File
	lock *os.File
	err  error // the first failure; nothing is accepted after it
}

func openJournal(dir string, apply func(event)) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("simulator: state directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "simulator.lock"))
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "simulator.journal"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulator: journal: %w", err), lock.Close())
	}
	j := &journal{file: file, lock: lock}
	if err := j.replay(apply); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

func (j *journal) replay(apply func(event)) error {
	reader := bufio.NewReaderSize(j.file, 1<<20)
	var whole int64
	for line := 1; ; line++ {
		text, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("simulator: read journal: %w", err)
		}
		var ev event
		if err := json.Unmarshal(bytes.TrimSpace(text), &ev); err != nil {
			return fmt.Errorf("simulator: journal %s, line %d is damaged: %w", j.file.Name(), line, err)
		}
		apply(ev)
		whole += int64(len(text))
	}
	if err := j.file.Truncate(whole); err != nil {
		return fmt.Errorf("simulator: cut journal: %w", err)
	}
	_, err := j.file.Seek(whole, io.SeekStart)
	return err
}

// append writes an event; an acceptance is on disk before it returns.
func (j *journal) append(ev event) error {
	if j.err != nil {
		return j.err
	}
	text, err := json.Marshal(ev)
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	if err == nil && ev.Type == evAccept {
		err = j.file.Sync()
	}
	if err != nil {
		j.err = fmt.Errorf("simulator: journal: %w", err)
	}
	return j.err
}

func (j *journal) close() error {
	return errors.Join(j.file.Sync(), j.file.Close(), j.lock.Close())
}
