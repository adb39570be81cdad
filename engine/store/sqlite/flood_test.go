package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store/storetest"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

func TestAnInboxThatWasFloodedBeforeItHadALimitIsReadWithinIt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "runs.db"))
	storetest.Flooded(t, s, func(id []byte, events, bytes int) {
		if err := s.db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
			_, err := tx.Exec(`
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
				INSERT INTO wf_signal (run_id, id, seq, event, at, late, payload)
				SELECT ?, 'flood-' || i, i + 2, 'answer', ?, 0, CAST(printf('"%0*d"', ?, 0) AS BLOB) FROM n`, events, id, micros(time.Now()), bytes-2)
			if err == nil {
				_, err = tx.Exec("UPDATE wf_run SET seq = seq + ?, inbox_seq = inbox_seq + ? WHERE id = ?", events, events, id)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
