package sqlitedb

import (
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestATransactionReadsItsOwnWritesInEveryType(t *testing.T) {
	type name string
	db := open(t, Config{})
	exec1(t, db, "CREATE TABLE v (i INTEGER, f REAL, s TEXT, b BLOB, n TEXT)")
	err := db.Write(t.Context(), func(tx *Tx) error {
		if _, err := tx.Exec("INSERT INTO v VALUES (?, ?, ?, ?, ?)", uint8(7), 1.5, name("x"), []byte{1}, nil); err != nil {
			return err
		}
		var i, asInt int
		var small uint16
		var f float64
		var s name
		var b []byte
		var null *string
		var text sql.NullString
		row := tx.QueryRow("SELECT i, i, i, f, s, b, n, s FROM v")
		if err := row.Scan(&i, &asInt, &small, &f, &s, &b, &null, &text); err != nil {
			return err
		}
		if i != 7 || asInt != 7 || small != 7 || f != 1.5 || s != "x" || !slices.Equal(b, []byte{1}) || null != nil || text.String != "x" {
			t.Error(i, asInt, small, f, s, b, null, text)
		}
		if err := tx.QueryRow("SELECT n FROM v").Scan(&i); err == nil {
			t.Error("NULL was scanned into an int")
		}
		if err := tx.QueryRow("SELECT i FROM v WHERE i = 0").Scan(&i); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("no row: %v", err)
		}
		if _, err := tx.Exec("UPDATE v SET i = ?", time.Now()); err == nil {
			t.Error("a time was stored")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRowsMayBeOpenWhileTheirStatementRunsAgain(t *testing.T) {
	db := openTable(t, Config{})
	for id := range 3 {
		exec1(t, db, "INSERT INTO t (id) VALUES (?)", id)
	}
	pairs := 0
	const query = "SELECT id FROM t ORDER BY id"
	err := db.Write(t.Context(), func(tx *Tx) error {
		outer, err := tx.Query(query)
		if err != nil {
			return err
		}
		for outer.Next() {
			inner, err := tx.Query(query)
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
		}
		_, err = tx.Query(query) // left open: closed with the change
		return err
	})
	if err != nil || pairs != 9 {
		t.Errorf("%d pairs, %v", pairs, err)
	}
	exec1(t, db, "DELETE FROM t")
	if db.writer.conn.stmts[query].busy {
		t.Error("the statement is not used again")
	}
}

func TestATransactionEndsWithItsFunction(t *testing.T) {
	db := openTable(t, Config{})
	var kept *Tx
	if err := db.Write(t.Context(), func(tx *Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Exec("INSERT INTO t (id) VALUES (1)"); err == nil {
		t.Error("a transaction wrote after its end")
	}
	if _, err := kept.Query("SELECT id FROM t"); err == nil {
		t.Error("a transaction read after its end")
	}
}
