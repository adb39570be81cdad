package postgres

import (
	"testing"

	"github.com/liwanag/liwanag/engine/store/storetest"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestAnInboxThatWasFloodedBeforeItHadALimitIsReadWithinIt(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	storetest.Flooded(t, s, func(id []byte, events, bytes int) {
		exec(t, s, `
			INSERT INTO wf_signal (run_id, id, seq, event, at, late, payload)
			SELECT $1, 'flood-' || n, n + 2, 'answer', 1, false, convert_to('"' || repeat('0', $3) || '"', 'UTF8')
			FROM generate_series(1, $2) AS n`, id, events, bytes-2)
		exec(t, s, "UPDATE wf_run SET seq = seq + $2, inbox_seq = inbox_seq + $2 WHERE id = $1", id, events)
	})
}
