package sqlitedb

import (
	"context"
	"database/sql"
	"net/url"
)

// Integrity reads the whole file at a path, whoever has it open, and says what is
// damaged; nothing: it is whole. An error: it cannot be read.
func Integrity(ctx context.Context, path string) (faults []string, err error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(10)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var said string
		if err := rows.Scan(&said); err != nil {
			return nil, err
		}
		if said != "ok" {
			faults = append(faults, said)
		}
	}
	return faults, rows.Err()
}
