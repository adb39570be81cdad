// Package journal keeps the spend journal: files beside the database in which stands
// what must outlive it, the paid calls and who left. A line is on the disk before the
// paid call that it tells of is made.
package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Place is where the files are: one beside a SQLite file, or one for each node in a
// folder that the nodes share.
type Place struct {
	Beside string // the path of the database; its file is PATH.spend
	Folder string // wins
}

// Set says whether there is a place.
func (p Place) Set() bool { return p.Beside != "" || p.Folder != "" }

const ending = ".spend"

// Files are the names of the files that are there.
func (p Place) Files() ([]string, error) {
	if !p.Set() {
		return nil, nil
	}
	if p.Folder == "" {
		name := filepath.Base(p.Beside) + ending
		if _, err := os.Stat(p.Path(name)); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return []string{name}, nil
	}
	found, err := os.ReadDir(p.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, file := range found {
		if strings.HasSuffix(file.Name(), ending) && file.Type().IsRegular() {
			names = append(names, file.Name())
		}
	}
	return names, err
}

// Path is that of a file.
func (p Place) Path(name string) string {
	if p.Folder == "" {
		return filepath.Join(filepath.Dir(p.Beside), name)
	}
	return filepath.Join(p.Folder, name)
}

// Journal is one file, open for more. It is safe for concurrent use.
type Journal struct {
	name string
	mu   sync.Mutex
	file *os.File
	size int64 // of the lines that are whole
	left []liwanag.JournalLine
}

// Open opens this node's file for an instance; a new one is made. One of another
// instance is put aside.
func Open(p Place, instance string, now time.Time) (*Journal, error) {
	if p.Folder == "" {
		return open(p, filepath.Base(p.Beside)+ending, instance, now)
	}
	if err := os.MkdirAll(p.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	host = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r < ' ' {
			return '-'
		}
		return r
	}, host)
	for n := 1; ; n++ {
		j, err := open(p, fmt.Sprintf("%s-%s-%d%s", instance[:8], host, n, ending), instance, now)
		if !errors.Is(err, errHeld) {
			return j, err
		}
	}
}

// errHeld: another process writes into the file.
var errHeld = errors.New("journal: another process has the file")

func open(p Place, name, instance string, now time.Time) (*Journal, error) {
	path := p.Path(name)
	// #nosec G304 -- in the folder that the operator names
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w\n  Try: LIWANAG_JOURNAL=FOLDER with one that this user may write to", err)
	}
	j := &Journal{name: name, file: file}
	held, err := sqlitedb.Hold(file)
	if held {
		err = errHeld
	}
	var whose string
	if err == nil {
		err = j.trim()
	}
	if err == nil {
		whose, err = header(path)
	}
	if err == nil && whose != "" && whose != instance {
		if err = errors.Join(file.Close(), os.Rename(path, path+".of-"+whose[:min(8, len(whose))])); err == nil {
			return open(p, name, instance, now)
		}
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err == nil && whose == "" {
		err = j.Append([]liwanag.JournalLine{{Op: liwanag.JournalBegins, At: now.UTC(), Instance: instance}})
		if err == nil {
			err = syncDir(filepath.Dir(path))
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// trim drops a line that was cut short: nothing followed from it.
func (j *Journal) trim() error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	for buf := make([]byte, 4096); end > 0; {
		from := max(end-int64(len(buf)), 0)
		part := buf[:end-from]
		if _, err := j.file.ReadAt(part, from); err != nil {
			return err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			end = from + int64(at) + 1
			break
		}
		end = from
	}
	if j.size = end; end < info.Size() {
		return j.file.Truncate(end)
	}
	return nil
}

// Name is that of the file.
func (j *Journal) Name() string { return j.name }

// Append returns when the lines are on the disk. Those that could not be written are
// written with the next.
func (j *Journal) Append(lines []liwanag.JournalLine) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := append(slices.Clone(j.left), lines...)
	var text bytes.Buffer
	for _, line := range all {
		raw, err := json.Marshal(line)
		if err != nil {
			return fault(err)
		}
		text.Write(raw)
		text.WriteByte('\n')
	}
	_, err := j.file.WriteAt(text.Bytes(), j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.left = all
		return fault(err)
	}
	j.size, j.left = j.size+int64(text.Len()), nil
	return nil
}

func fault(err error) error {
	return liwanag.Wrap(fmt.Errorf("%w: %w", datastore.ErrJournal, err), liwanag.Unavailable, "journal_unavailable",
		"the spend journal cannot be written: free space, or look at LIWANAG_JOURNAL")
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// header is the instance of a file; empty: it has no line.
func header(path string) (string, error) {
	for line, err := range Read(path) {
		return line.Instance, err
	}
	return "", nil
}

// Read reads the lines of a file.
func Read(path string) iter.Seq2[liwanag.JournalLine, error] {
	return func(yield func(liwanag.JournalLine, error) bool) {
		for raw, err := range rawLines(path) {
			var line liwanag.JournalLine
			if err == nil {
				if err = json.Unmarshal(raw, &line); err != nil {
					err = fmt.Errorf("journal: %s: a line cannot be read: %w", path, err)
				}
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// rawLines are the lines that are whole.
func rawLines(path string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		file, err := os.Open(path) // #nosec G304 -- in the folder that the operator names
		if err != nil {
			yield(nil, fmt.Errorf("journal: %w", err))
			return
		}
		defer file.Close()
		in := bufio.NewReaderSize(file, 256<<10)
		for {
			line, err := in.ReadBytes('\n')
			if err == io.EOF {
				return
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// State is what is there of an instance.
type State struct {
	Instance string
	Last     map[string]int64 // the last line of each file
}

// Look finds the files of an instance; of the one that wrote last when it has no id.
func Look(p Place, instance string) (State, error) {
	names, err := p.Files()
	if err != nil {
		return State{}, fmt.Errorf("journal: %w", err)
	}
	state, newest := State{Instance: instance, Last: map[string]int64{}}, time.Time{}
	owners := map[string]string{}
	for _, name := range names {
		whose, err := header(p.Path(name))
		if err != nil {
			return State{}, err
		}
		owners[name] = whose
		info, err := os.Stat(p.Path(name))
		if err != nil {
			return State{}, fmt.Errorf("journal: %w", err)
		}
		if instance == "" && info.ModTime().After(newest) {
			state.Instance, newest = cmp.Or(whose, state.Instance), info.ModTime()
		}
	}
	for _, name := range names {
		if owners[name] != state.Instance || state.Instance == "" {
			continue
		}
		if state.Last[name], err = last(p.Path(name)); err != nil {
			return State{}, err
		}
	}
	return state, nil
}

// last is the largest number of a file: lines begin with theirs.
func last(path string) (n int64, err error) {
	for raw, err := range rawLines(path) {
		if err != nil {
			return n, err
		}
		digits, ok := bytes.CutPrefix(raw, []byte(`{"n":`))
		at := bytes.IndexByte(digits, ',')
		if !ok || at < 0 {
			return n, fmt.Errorf("journal: %s: a line has no number", path)
		}
		one, err := strconv.ParseInt(string(digits[:at]), 10, 64)
		if err != nil {
			return n, fmt.Errorf("journal: %s: a line has no number: %w", path, err)
		}
		n = max(n, one)
	}
	return n, nil
}

// Copy puts a copy of a file elsewhere. Nothing is overwritten but an earlier copy of it.
func Copy(from, to string) (err error) {
	whole, err := os.ReadFile(from) // #nosec G304 -- in the folder that the operator names
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	there, err := os.ReadFile(to) // #nosec G304 -- in the folder that the operator names
	switch {
	case err == nil && !bytes.HasPrefix(whole, there):
		return fmt.Errorf("journal: %s is there, and is no copy of %s\n  Try: another folder, or move it away", to, from)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("journal: %w", err)
	}
	part := to + ".part"
	// #nosec G703 -- in the folder that the operator names
	if err := os.WriteFile(part, whole, 0o600); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	file, err := os.OpenFile(part, os.O_RDWR, 0) // #nosec G304 -- in the folder that the operator names
	if err == nil {
		err = errors.Join(file.Sync(), file.Close(), os.Rename(part, to))
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// syncDir makes a new name durable, where a directory can be synced.
func syncDir(path string) error {
	dir, err := os.Open(path) // #nosec G304 -- in the folder that the operator names
	if err != nil {
		return nil
	}
	_ = dir.Sync()
	return dir.Close()
}
