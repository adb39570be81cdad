package keep

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Target is a PostgreSQL database that a SQLite one is moved to.
type Target struct{ db *pgdb.DB }

// OpenTarget opens a database that no server uses.
func OpenTarget(ctx context.Context, url string) (Target, error) {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url, Application: alone})
	if err != nil {
		return Target{}, err
	}
	if err := refuseBusy(ctx, db); err != nil {
		db.Close()
		return Target{}, err
	}
	return Target{db}, nil
}

// Where names the database, for people.
func (t Target) Where() string { return t.db.Where() }

// Close closes it.
func (t Target) Close() { t.db.Close() }

// Holds says whether the rows of an instance are there already.
func (t Target) Holds(ctx context.Context, instance string) (there bool, err error) {
	for _, table := range []string{postgres.VersionTable, "instance"} {
		if there, err = t.db.In("").Has(ctx, table); err != nil || !there {
			return false, err
		}
	}
	err = t.db.QueryRow(ctx, "SELECT count(*) > 0 FROM instance WHERE id = $1", []any{instance}, &there)
	return there, err
}

// Copied is what became of a table.
type Copied struct {
	Table  string
	Rows   int64
	Digest [sha256.Size]byte // the SHA-256 of its rows, added up: whatever their order
}

// ErrDoubt: nobody knows whether the copy is there. The same copy again tells.
var ErrDoubt = errors.New("the answer to the commit of the copy was lost")

// Move copies every row of a SQLite database that nobody else uses into an empty
// database, in one transaction, and compares what is there with what was read. Then it
// calls mark, which marks the source as moved, and commits: at no moment do two
// databases think that they are the one. An error other than [ErrDoubt]: nothing was
// copied. marks are the last lines of the journal's files that go with it.
func (t Target) Move(ctx context.Context, from *sqlitedb.DB, marks map[string]int64, mark func() error) (all []Copied, marked bool,
	err error) {
	schemas, err := Database{PostgreSQL: t.db}.schemas(ctx)
	if err != nil {
		return nil, false, err
	}
	conn, err := t.db.Pool().Acquire(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("keep: %w", err)
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("keep: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err = pgdb.Alone(ctx, tx); err == nil {
		err = t.begin(ctx, tx, schemas)
	}
	if err == nil {
		all, err = t.fill(ctx, tx, from, schemas, marks)
	}
	if err == nil {
		err = mark()
	}
	if err != nil {
		return nil, false, err
	}
	err = tx.Commit(ctx)
	if err != nil && !errors.As(err, new(*pgconn.PgError)) {
		err = fmt.Errorf("%w: %w", ErrDoubt, err)
	}
	return all, true, err
}

// begin refuses a database with rows, and makes our tables anew in it.
func (t Target) begin(ctx context.Context, tx pgx.Tx, schemas []schema) error {
	for _, s := range schemas {
		if err := s.refuseRows(ctx, tx, t.db); err != nil {
			return err
		}
	}
	for _, s := range schemas {
		if err := s.clear(ctx, tx); err != nil {
			return err
		}
		if err := s.advance(ctx, tx, 0, migrate.Newest(s.steps)); err != nil {
			return err
		}
	}
	return nil
}

// fromBirth have rows as soon as they are made.
var fromBirth = []string{"spending", "suppression_key", "search_mark", "wf_upgrade"}

// refuseRows refuses tables that somebody uses.
func (s schema) refuseRows(ctx context.Context, tx pgx.Tx, db *pgdb.DB) error {
	tables, err := s.ours(ctx, tx, db)
	if err != nil {
		return err
	}
	for _, table := range tables {
		condition := ""
		switch {
		case table.Name == s.versions || slices.Contains(fromBirth, table.Name):
			continue
		case table.Name == "instance":
			condition = " WHERE id IS NOT NULL"
		}
		var some bool
		query := "SELECT EXISTS (SELECT FROM " + pgx.Identifier{s.name, table.Name}.Sanitize() + condition + ")"
		if err := tx.QueryRow(ctx, query).Scan(&some); err != nil {
			return fmt.Errorf("keep: look into %s: %w", table.Name, err)
		}
		if some {
			return fmt.Errorf("%s is not empty: there are rows in %s\n  Try: another database, made with CREATE DATABASE",
				db.Where(), table.Name)
		}
	}
	return nil
}

// fill copies and compares table by table.
func (t Target) fill(ctx context.Context, tx pgx.Tx, from *sqlitedb.DB, schemas []schema, marks map[string]int64) (all []Copied,
	err error) {
	source, err := from.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("keep: read %s: %w", from.Path(), err)
	}
	defer func() { _ = source.Rollback() }() // it wrote nothing
	left, err := tablesOf(ctx, source)
	if err != nil {
		return nil, err
	}
	for _, s := range schemas {
		tables, err := s.in.TablesIn(ctx, tx, s.names)
		if err != nil {
			return nil, err
		}
		for _, table := range tables {
			if table.Name == s.versions || table.Name == "wf_post" || table.Name == "wf_node" {
				continue // who runs here has a number here; SQLite has no posts
			}
			if !left[table.Name] {
				return nil, fmt.Errorf("keep: %s has no table %s", from.Path(), table.Name)
			}
			delete(left, table.Name)
			one, err := copyTable(ctx, tx, source, table, marks)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
	}
	for _, table := range []string{"app_migrations", "wf_migrations", "engine_migrations", "wf_node"} {
		delete(left, table)
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%s has tables that are not ours: %s\n  Try: to copy them yourself, and to drop them here",
			from.Path(), strings.Join(slices.Sorted(maps.Keys(left)), ", "))
	}
	return all, pastEpochs(ctx, tx, source, schemas[1].name)
}

// pastEpochs gives nodes numbers here beyond those of the source: a run that one of
// those had belongs to nobody who lives.
func pastEpochs(ctx context.Context, tx pgx.Tx, source *sql.Tx, in string) error {
	var last int64
	if err := source.QueryRowContext(ctx, "SELECT coalesce(max(epoch), 0) FROM wf_node").Scan(&last); err != nil {
		return fmt.Errorf("keep: read the nodes: %w", err)
	}
	_, err := tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, 'epoch')::regclass, $2, true)",
		pgx.Identifier{in, "wf_node"}.Sanitize(), last+1)
	if err != nil {
		return fmt.Errorf("keep: number the nodes: %w", err)
	}
	return nil
}

func tablesOf(ctx context.Context, source *sql.Tx) (names map[string]bool, err error) {
	rows, err := source.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")
	if err != nil {
		return nil, fmt.Errorf("keep: list the tables: %w", err)
	}
	defer rows.Close()
	names = map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names[name] = true
	}
	return names, rows.Err()
}

// copyTable copies the rows of a table and reads them back.
func copyTable(ctx context.Context, tx pgx.Tx, source *sql.Tx, t pgdb.Table, marks map[string]int64) (c Copied, err error) {
	columns, err := columnsOf(ctx, tx, t)
	if err != nil {
		return c, fmt.Errorf("keep: %s: %w", t.Name, err)
	}
	if err := refuseUnknown(ctx, source, t.Name, columns); err != nil {
		return c, err
	}
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = col.in()
		t.Columns = append(t.Columns, col.name)
	}
	query := "SELECT " + strings.Join(names, ", ") + ` FROM "` + t.Name + `"` // #nosec G202 -- names of our own schema
	rows, err := source.QueryContext(ctx, query)
	if err != nil {
		return c, fmt.Errorf("keep: read %s: %w", t.Name, err)
	}
	defer rows.Close()
	reading := &reader{rows: rows, columns: columns}
	if t.Name == "journal_file" { // those of the files that go with it
		reading.keep = func(row []any) bool { return marks[row[0].(string)] == row[1] }
	}
	if c.Rows, err = pgdb.FillTable(ctx, tx, t, reading); err != nil {
		return c, err
	}
	c.Table, c.Digest = t.Name, reading.sum.total()
	there, n, err := digestOf(ctx, tx, t)
	if err == nil && (n != c.Rows || there != c.Digest) {
		err = fmt.Errorf("keep: %s is not there as it was read: %d rows, %d were read", t.Name, n, c.Rows)
	}
	return c, err
}

// column is a column of the table to fill.
type column struct {
	name, kind string
	table      string
	notNull    bool
}

func columnsOf(ctx context.Context, tx pgx.Tx, t pgdb.Table) ([]column, error) {
	rows, err := tx.Query(ctx, `SELECT attname::text, format_type(atttypid, NULL), attnotnull FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
		pgx.Identifier{t.Schema, t.Name}.Sanitize())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c column, err error) {
		c.table = t.Name
		return c, r.Scan(&c.name, &c.kind, &c.notNull)
	})
}

// in is the column of SQLite's table that it is filled from. PostgreSQL's keys are
// bounded, so it has digests of ids of others.
func (c column) in() string {
	if c.digested() {
		return "id"
	}
	return `"` + c.name + `"`
}

func (c column) digested() bool { return c.table == "webhook_id" && c.name == "id_digest" }

// refuseUnknown refuses to leave a column behind.
func refuseUnknown(ctx context.Context, source *sql.Tx, table string, columns []column) error {
	rows, err := source.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return fmt.Errorf("keep: read the columns of %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !slices.ContainsFunc(columns, func(c column) bool { return strings.Trim(c.in(), `"`) == name }) {
			return fmt.Errorf("keep: %s has a column %s that has no place", table, name)
		}
	}
	return rows.Err()
}

// value is what PostgreSQL keeps for a value of SQLite's.
func (c column) value(v any) (any, error) {
	text, isText := v.(string)
	raw, isRaw := v.([]byte)
	n, isNumber := v.(int64)
	switch {
	case c.table == "instance" && c.name == "moved_to":
		return nil, nil // a copy that was cut short may have marked the source
	case v == nil && c.notNull && c.kind == "text":
		return "", nil // the engine's tables here have no NULL for nothing
	case v == nil:
		return nil, nil
	case c.table == "wf_history" && c.name == "kind" && v == "":
		return "completed", nil // which SQLite does not write out
	case c.digested() && isText:
		sum := sha256.Sum256([]byte(datastore.Clean(text)))
		return sum[:], nil
	case c.kind == "text" && (isText || isRaw):
		return datastore.Clean(text + string(raw)), nil
	case c.kind == "bytea" && (isText || isRaw):
		return append([]byte{}, text+string(raw)...), nil
	case c.kind == "uuid" && len(raw) == 16:
		return [16]byte(raw), nil
	case c.kind == "boolean" && isNumber:
		return n != 0, nil
	case c.kind == "smallint" && isNumber:
		return min(n, math.MaxInt16), nil // what counts deaths stops counting
	case (c.kind == "bigint" || c.kind == "integer") && isNumber:
		return n, nil
	case c.kind == "double precision" && isNumber:
		return float64(n), nil
	}
	if f, ok := v.(float64); ok && c.kind == "double precision" {
		return f, nil
	}
	return nil, fmt.Errorf("keep: %s.%s: a value of %T cannot be %s", c.table, c.name, v, c.kind)
}

// reader reads rows as PostgreSQL is to have them, and adds them up.
type reader struct {
	rows    *sql.Rows
	columns []column
	keep    func(row []any) bool // nil: all
	sum     sum
	row     []any
	err     error
}

// Next reads the next row.
func (r *reader) Next() bool {
	for r.err == nil && r.rows.Next() {
		r.row = make([]any, len(r.columns))
		into := make([]any, len(r.columns))
		for i := range into {
			into[i] = &r.row[i]
		}
		r.err = r.rows.Scan(into...)
		for i := 0; i < len(into) && r.err == nil; i++ {
			r.row[i], r.err = r.columns[i].value(r.row[i])
		}
		if r.err == nil && (r.keep == nil || r.keep(r.row)) {
			r.err = r.sum.add(r.row)
			return r.err == nil
		}
	}
	return false
}

// Values is the row.
func (r *reader) Values() ([]any, error) { return r.row, nil }

// Err is what ended the reading.
func (r *reader) Err() error { return errors.Join(r.err, r.rows.Err()) }

// digestOf adds up the rows of a table that was filled.
func digestOf(ctx context.Context, tx pgx.Tx, t pgdb.Table) (total [sha256.Size]byte, n int64, err error) {
	names := make([]string, len(t.Columns))
	for i, name := range t.Columns {
		names[i] = pgx.Identifier{name}.Sanitize()
	}
	rows, err := tx.Query(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+pgx.Identifier{t.Schema, t.Name}.Sanitize())
	if err != nil {
		return total, 0, fmt.Errorf("keep: read %s back: %w", t.Name, err)
	}
	defer rows.Close()
	var s sum
	for rows.Next() {
		values, err := rows.Values()
		if err == nil {
			err = s.add(values)
		}
		if err != nil {
			return total, 0, fmt.Errorf("keep: read %s back: %w", t.Name, err)
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return total, 0, fmt.Errorf("keep: read %s back: %w", t.Name, err)
	}
	return s.total(), n, nil
}

// sum adds up the SHA-256 of rows, as numbers of 256 bits.
type sum struct {
	words [4]uint64
	row   []byte
}

func (s *sum) add(values []any) error {
	s.row = s.row[:0]
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			s.row = append(s.row, '-')
		case bool:
			s.row = append(s.row, 'b')
			if v {
				s.row[len(s.row)-1] = 'B'
			}
		case int16:
			s.number(int64(v))
		case int32:
			s.number(int64(v))
		case int64:
			s.number(v)
		case float64:
			s.row = binary.BigEndian.AppendUint64(append(s.row, 'f'), math.Float64bits(v))
		case string:
			s.bytes('t', v)
		case []byte:
			s.bytes('r', string(v))
		case [16]byte:
			s.bytes('u', string(v[:]))
		default:
			return fmt.Errorf("keep: a value of %T cannot be compared", v)
		}
	}
	digest, carry := sha256.Sum256(s.row), uint64(0)
	for i := range s.words {
		s.words[i], carry = bits.Add64(s.words[i], binary.LittleEndian.Uint64(digest[8*i:]), carry)
	}
	return nil
}

func (s *sum) number(n int64) {
	s.row = binary.BigEndian.AppendUint64(append(s.row, 'n'), uint64(n)) // #nosec G115 -- the bits are summed
}

func (s *sum) bytes(kind byte, text string) {
	s.row = append(binary.BigEndian.AppendUint64(append(s.row, kind), uint64(len(text))), text...)
}

func (s *sum) total() (all [sha256.Size]byte) {
	for i, word := range s.words {
		binary.LittleEndian.PutUint64(all[8*i:], word)
	}
	return all
}
