package pgdb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNoDump: what was read is no dump, or not all of one.
var ErrNoDump = errors.New("pgdb: this is no backup of a PostgreSQL database, or not all of one")

// Contents say what a dump holds. They are its first line.
type Contents struct {
	Format   int              `json:"format"`
	Made     time.Time        `json:"made"`
	Versions map[string]int64 `json:"versions"` // of the schemas, by version table
	Tables   []Table          `json:"tables"`   // those that others refer to come first
}

// Table is a table of a database.
type Table struct {
	Schema  string   `json:"-"`
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

func (t Table) qualified() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }

func (t Table) columns() string {
	all := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		all[i] = pgx.Identifier{c}.Sanitize()
	}
	return strings.Join(all, ", ")
}

const (
	dumpMagic  = "liwanag backup\n"
	dumpFormat = 1
	dumpFrame  = 64 << 10
)

// A dump is the magic, the contents as a line of JSON, for each table its rows as COPY
// writes them, in frames of a length and as many bytes, an empty frame at its end, and
// at last the SHA-256 of all that.

// Dump writes the rows of tables as of one moment. Nobody waits for it.
func (db *DB) Dump(ctx context.Context, to io.Writer, c Contents) (err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return db.unreachable(err)
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("pgdb: dump %s: %w", db.where, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it wrote nothing
	c.Format = dumpFormat
	for i, t := range c.Tables {
		if c.Tables[i].Columns, err = columnsOf(ctx, tx, t); err != nil {
			return fmt.Errorf("pgdb: dump %s: %s: %w", db.where, t.Name, err)
		}
	}
	sum := sha256.New()
	out := io.MultiWriter(to, sum)
	head, err := json.Marshal(c)
	if err == nil {
		_, err = io.WriteString(out, dumpMagic+string(head)+"\n")
	}
	for _, t := range c.Tables {
		if err != nil {
			break
		}
		frames := &frameWriter{to: out}
		_, err = tx.Conn().PgConn().CopyTo(ctx, frames, "COPY "+t.qualified()+" ("+t.columns()+") TO STDOUT")
		err = errors.Join(err, frames.end())
	}
	if err == nil {
		_, err = to.Write(sum.Sum(nil))
	}
	if err != nil {
		return fmt.Errorf("pgdb: dump %s: %w", db.where, err)
	}
	return nil
}

func columnsOf(ctx context.Context, tx pgx.Tx, t Table) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT attname::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
		AND attgenerated = '' ORDER BY attnum`, t.qualified())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// frameWriter writes frames of at most dumpFrame bytes.
type frameWriter struct {
	to  io.Writer
	buf bytes.Buffer
}

func (f *frameWriter) Write(p []byte) (int, error) {
	f.buf.Write(p)
	for f.buf.Len() >= dumpFrame {
		if err := f.flush(f.buf.Next(dumpFrame)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (f *frameWriter) flush(p []byte) error {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(p))) // #nosec G115 -- a piece of a file
	if _, err := f.to.Write(size[:]); err != nil {
		return err
	}
	_, err := f.to.Write(p)
	return err
}

func (f *frameWriter) end() error {
	if f.buf.Len() > 0 {
		if err := f.flush(f.buf.Next(f.buf.Len())); err != nil {
			return err
		}
	}
	return f.flush(nil)
}

// DumpReader reads a dump.
type DumpReader struct {
	Contents
	in  *bufio.Reader
	sum hash.Hash
}

// ReadDump begins to read a dump. [ErrNoDump].
func ReadDump(from io.Reader) (*DumpReader, error) {
	d := &DumpReader{sum: sha256.New()}
	d.in = bufio.NewReaderSize(from, dumpFrame)
	for _, want := range []string{dumpMagic, ""} {
		line, err := d.in.ReadString('\n')
		if err != nil || want != "" && line != want {
			return nil, ErrNoDump
		}
		d.sum.Write([]byte(line))
		if want == "" && (json.Unmarshal([]byte(line), &d.Contents) != nil || len(d.Tables) == 0) {
			return nil, ErrNoDump
		}
	}
	if d.Format != dumpFormat {
		return nil, fmt.Errorf("%w: its format is %d, this program reads %d. Try: a newer release", ErrNoDump, d.Format, dumpFormat)
	}
	return d, nil
}

// Table reads the rows of the next table.
func (d *DumpReader) Table() io.Reader { return &frameReader{d: d} }

// End says whether the dump ends here, and is what was written.
func (d *DumpReader) End() error {
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(d.in, want); err != nil || !bytes.Equal(want, d.sum.Sum(nil)) {
		return ErrNoDump
	}
	if _, err := d.in.ReadByte(); err != io.EOF {
		return ErrNoDump
	}
	return nil
}

type frameReader struct {
	d    *DumpReader
	left int
	done bool
}

func (f *frameReader) Read(p []byte) (int, error) {
	if f.done {
		return 0, io.EOF
	}
	if f.left == 0 {
		var size [4]byte
		if _, err := io.ReadFull(f.d.in, size[:]); err != nil {
			return 0, ErrNoDump
		}
		f.d.sum.Write(size[:])
		if f.left = int(binary.BigEndian.Uint32(size[:])); f.left > dumpFrame {
			return 0, ErrNoDump
		}
		if f.done = f.left == 0; f.done {
			return 0, io.EOF
		}
	}
	n, err := f.d.in.Read(p[:min(len(p), f.left)])
	if err != nil {
		return 0, ErrNoDump
	}
	f.left -= n
	f.d.sum.Write(p[:n])
	return n, nil
}

// CheckDump reads a dump through. [ErrNoDump].
func CheckDump(from io.Reader) (Contents, error) {
	d, err := ReadDump(from)
	if err != nil {
		return Contents{}, err
	}
	for range d.Tables {
		if _, err := io.Copy(io.Discard, d.Table()); err != nil {
			return Contents{}, err
		}
	}
	return d.Contents, d.End()
}

// Fill puts the rows of a dump into its tables, in a transaction of the caller's:
// what is in them goes. Nothing else happens to rows that are filled in, whatever
// triggers say. where is the schema of a table.
func Fill(ctx context.Context, tx pgx.Tx, d *DumpReader, where func(table string) (schema string)) error {
	for _, t := range d.Tables {
		t.Schema = where(t.Name)
		err := fillWith(ctx, tx, t, func() error {
			_, err := tx.Conn().PgConn().CopyFrom(ctx, d.Table(), "COPY "+t.qualified()+" ("+t.columns()+") FROM STDIN")
			return err
		})
		if err != nil {
			return fmt.Errorf("pgdb: fill %s: %w", t.Name, err)
		}
	}
	return d.End()
}

// FillTable puts rows into a table, as [Fill] does.
func FillTable(ctx context.Context, tx pgx.Tx, t Table, rows pgx.CopyFromSource) (n int64, err error) {
	err = fillWith(ctx, tx, t, func() error {
		n, err = tx.CopyFrom(ctx, pgx.Identifier{t.Schema, t.Name}, t.Columns, rows)
		return err
	})
	if err != nil {
		return n, fmt.Errorf("pgdb: fill %s: %w", t.Name, err)
	}
	return n, nil
}

func fillWith(ctx context.Context, tx pgx.Tx, t Table, fill func() error) error {
	// The tables that refer to this one are filled later.
	for _, statement := range []string{"ALTER TABLE " + t.qualified() + " DISABLE TRIGGER USER", "DELETE FROM " + t.qualified()} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := fill(); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE "+t.qualified()+" ENABLE TRIGGER USER"); err != nil {
		return err
	}
	return advance(ctx, tx, t)
}

// advance lets identities of a table go on behind the largest that is there.
func advance(ctx context.Context, tx pgx.Tx, t Table) error {
	for _, column := range t.Columns {
		var sequence *string
		if err := tx.QueryRow(ctx, "SELECT pg_get_serial_sequence($1, $2)", t.qualified(), column).Scan(&sequence); err != nil {
			return err
		}
		if sequence == nil {
			continue
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("SELECT setval($1::regclass, greatest((SELECT coalesce(max(%s), 0) FROM %s), 1), "+
			"(SELECT count(*) > 0 FROM %[2]s))", pgx.Identifier{column}.Sanitize(), t.qualified()), *sequence)
		if err != nil {
			return err
		}
	}
	return nil
}

// Tables are those of a schema whose names are wanted and that are there, those that
// others refer to first. Those of the first schema on search_path when it has no name.
func (s Schema) Tables(ctx context.Context, wanted []string) ([]Table, error) {
	return s.TablesIn(ctx, s.db.pool, wanted)
}

// TablesIn is [Schema.Tables] as a transaction sees them.
func (s Schema) TablesIn(ctx context.Context, tx interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, wanted []string) ([]Table, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.oid::bigint, n.nspname::text, c.relname::text, ARRAY(
			SELECT confrelid::bigint FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relname = ANY($2) AND n.nspname = coalesce(nullif($1, ''), current_schema()) ORDER BY c.relname`, s.name, wanted)
	if err != nil {
		return nil, fmt.Errorf("pgdb: %s: find the tables: %w", s.db.where, err)
	}
	type found struct {
		Table
		oid  int64
		refs []int64
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f found, err error) {
		err = r.Scan(&f.oid, &f.Schema, &f.Name, &f.refs)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("pgdb: %s: find the tables: %w", s.db.where, err)
	}
	ours, placed := map[int64]bool{}, map[int64]bool{}
	for _, f := range all {
		ours[f.oid] = true
	}
	var ordered []Table
	for len(ordered) < len(all) {
		before := len(ordered)
		for _, f := range all {
			ready := !placed[f.oid]
			for _, ref := range f.refs {
				ready = ready && (placed[ref] || !ours[ref] || ref == f.oid)
			}
			if ready {
				placed[f.oid], ordered = true, append(ordered, f.Table)
			}
		}
		if len(ordered) == before {
			return nil, fmt.Errorf("pgdb: %s: tables refer to each other in a circle", s.db.where)
		}
	}
	return ordered, nil
}

// Others counts the connections of other processes to the database that call
// themselves one of ours.
func (db *DB) Others(ctx context.Context, applicationName string) (n int, err error) {
	err = db.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1
		AND pid <> pg_backend_pid()`, applicationName).Scan(&n)
	return n, err
}
