package datastore

import (
	"errors"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Journal keeps lines outside of the database, which are there when a backup of it is
// restored.
type Journal interface {
	// Name is that of its file; the database knows the file's last line by it.
	Name() string
	// Append returns when the lines are durable, else with an [ErrJournal].
	Append(lines []liwanag.JournalLine) error
}

// ErrJournal: what was committed does not stand in the journal.
var ErrJournal = errors.New("the spend journal cannot be written")

// Journaled is the store that also writes into a journal.
func (s *Store) Journaled(to Journal) *Store {
	journaled := *s
	journaled.keep = to
	return &journaled
}

// Journal is what the store writes into; nil: nothing.
func (s *Store) Journal() Journal { return s.keep }

// pages are what a transaction has for the journal.
type pages struct {
	to    Journal
	lines []liwanag.JournalLine
}

// JournalTx gathers lines of the journal. Their numbers are a part of the transaction,
// the lines follow its commit, before Store.Write returns: what stands in the journal
// has a number that the database knows, unless an older copy took its place.
type JournalTx struct {
	writing
	pages *pages
}

// Kept says whether there is a journal.
func (t JournalTx) Kept() bool { return t.pages.to != nil }

// Add numbers a line and keeps further numbers behind it for what follows. It returns
// the line's own.
func (t JournalTx) Add(line liwanag.JournalLine, further int) (n int64, err error) {
	if !t.Kept() {
		return 0, nil
	}
	if line.N, err = (InstanceTx{t.writing}).Lines(t.pages.to.Name(), 1+further); err != nil {
		return 0, err
	}
	t.pages.lines = append(t.pages.lines, line)
	return line.N, nil
}
