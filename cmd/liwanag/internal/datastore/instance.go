package datastore

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	selectInstance = `SELECT id, moved_to, restored FROM instance WHERE one = 1`
	selectMarks    = `SELECT name, line FROM journal_file ORDER BY name`
	selectBackups  = `SELECT path, made_at, size, scheduled FROM backup ORDER BY made_at DESC, path`
	selectOrdered  = `SELECT digest, job_id, submission_id FROM ordered `
)

func scanInstance(r Row) (i liwanag.Instance, err error) {
	err = r.Scan(textTo(&i.ID), textTo(&i.MovedTo), &i.Restored)
	return i, err
}

type mark struct {
	name string
	line int64
}

func scanMark(r Row) (m mark, err error) {
	err = r.Scan(&m.name, &m.line)
	return m, err
}

func marksOf(q querier) (map[string]int64, error) {
	all, err := list(q, scanMark, selectMarks)
	lines := map[string]int64{}
	for _, m := range all {
		lines[m.name] = m.line
	}
	return lines, err
}

func scanOrdered(r Row) (o liwanag.Ordered, err error) {
	err = r.Scan(&o.Digest, idTo(liwanag.JobKind, &o.JobID), idTo(liwanag.SubmissionKind, &o.SubmissionID))
	return o, err
}

func scanBackup(r Row) (b liwanag.Backup, err error) {
	err = r.Scan(&b.Path, timeColumn{&b.MadeAt}, &b.Size, &b.Scheduled)
	return b, err
}

// Instance reads what the database is as a whole.
type Instance struct{ reader }

func (s Instance) Get(ctx context.Context) (liwanag.Instance, error) {
	return one(s.in(ctx), scanInstance, selectInstance)
}

// Marks are the last lines of the journal's files that the database knows of.
func (s Instance) Marks(ctx context.Context) (map[string]int64, error) { return marksOf(s.in(ctx)) }

// Backups lists the copies that the database knows of, newest first.
func (s Instance) Backups(ctx context.Context) ([]liwanag.Backup, error) {
	return list(s.in(ctx), scanBackup, selectBackups)
}

// Back lists the lookups that were ordered of people who are here again.
func (s Instance) Back(ctx context.Context, limit int) ([]liwanag.Ordered, error) {
	return list(s.in(ctx), scanOrdered, selectOrdered+`WHERE back = true ORDER BY submission_id LIMIT $1`, limit)
}

// InstanceTx writes what the database is as a whole.
type InstanceTx struct{ writing }

func (t InstanceTx) Get() (liwanag.Instance, error) { return one(t, scanInstance, selectInstance) }

// Set writes all of it.
func (t InstanceTx) Set(i liwanag.Instance) error {
	return t.must(`UPDATE instance SET id = $1, moved_to = $2, restored = $3 WHERE one = 1`, text(i.ID), text(i.MovedTo), i.Restored)
}

// Marks are the last lines of the journal's files that the database knows of.
func (t InstanceTx) Marks() (map[string]int64, error) { return marksOf(t) }

// Lines takes the next n numbers of a file and returns the first.
func (t InstanceTx) Lines(name string, n int) (int64, error) {
	last, err := one(t, scanInt, `INSERT INTO journal_file (name, line) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET line = journal_file.line + excluded.line RETURNING line`, name, int64(n))
	return last - int64(n) + 1, err
}

// SetMarks replaces the marks of all files.
func (t InstanceTx) SetMarks(lines map[string]int64) error {
	if _, err := t.exec(`DELETE FROM journal_file`); err != nil {
		return err
	}
	for name, line := range lines {
		if _, err := t.exec(`INSERT INTO journal_file (name, line) VALUES ($1, $2)`, name, line); err != nil {
			return err
		}
	}
	return nil
}

// Order notes lookups that were ordered of people who are not here.
func (t InstanceTx) Order(all []liwanag.Ordered) error {
	for _, o := range all {
		if _, err := t.exec(`INSERT INTO ordered (digest, job_id, submission_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			o.Digest, o.JobID.Bytes(), o.SubmissionID.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// AnyOrdered says whether there is a lookup that was ordered of somebody who is not here.
func (t InstanceTx) AnyOrdered() (bool, error) {
	some, err := list(t, scanOrdered, selectOrdered+`WHERE back = false LIMIT 1`)
	return len(some) > 0, err
}

// Ordered are the lookups that were ordered of people who were not here, by digest.
func (t InstanceTx) Ordered(digests []string) ([]liwanag.Ordered, error) {
	return list(t, scanOrdered, selectOrdered+`WHERE back = false AND digest = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(t, digests))
}

// Returned notes that the person of a lookup is here again.
func (t InstanceTx) Returned(o liwanag.Ordered) error {
	return t.must(`UPDATE ordered SET back = true WHERE digest = $1 AND job_id = $2`, o.Digest, o.JobID.Bytes())
}

// Forget drops a lookup that is the database's own by now.
func (t InstanceTx) Forget(o liwanag.Ordered) error {
	_, err := t.exec(`DELETE FROM ordered WHERE digest = $1 AND job_id = $2`, o.Digest, o.JobID.Bytes())
	return err
}

// AddBackup notes a copy.
func (t InstanceTx) AddBackup(b liwanag.Backup) error {
	return t.must(`INSERT INTO backup (path, made_at, size, scheduled) VALUES ($1, $2, $3, $4)
		ON CONFLICT (path) DO UPDATE SET made_at = excluded.made_at, size = excluded.size, scheduled = excluded.scheduled`,
		b.Path, micros(b.MadeAt), b.Size, b.Scheduled)
}

// DropBackup forgets a copy that is gone.
func (t InstanceTx) DropBackup(path string) error {
	_, err := t.exec(`DELETE FROM backup WHERE path = $1`, path)
	return err
}
