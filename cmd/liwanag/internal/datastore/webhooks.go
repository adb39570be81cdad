package datastore

import (
	"time"
)

// WebhookTx remembers the ids of webhooks that were taken in.
type WebhookTx struct{ writing }

// Remember stores an id of an endpoint with the answer given to it. False: it
// was there, and the answer is the one given then.
//
// Remember finds an id by its digest on PostgreSQL: it is the sender's, of any
// length, and an index entry is at most 2.7 KB.
func (t WebhookTx) Remember(endpoint, id string, answer []byte, at time.Time) (stored bool, earlier []byte, err error) {
	stored, err = t.changed(`
		INSERT INTO webhook_id (endpoint, id_digest, at, answer) VALUES ($1, sha256(convert_to($2, 'UTF8')), $3, $4) ON CONFLICT DO NOTHING
		/*lite! INSERT INTO webhook_id (endpoint, id, at, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING*/`,
		endpoint, id, micros(at), answer)
	if err != nil || stored {
		return stored, nil, err
	}
	earlier, err = one(t, scanBytes, `
		SELECT answer FROM webhook_id WHERE endpoint = $1 AND id_digest = sha256(convert_to($2, 'UTF8'))
		/*lite! SELECT answer FROM webhook_id WHERE endpoint = $1 AND id = $2*/`, endpoint, id)
	return false, earlier, err
}

// Forget drops ids remembered before the given time, a bounded number a call, and
// says how many.
func (t WebhookTx) Forget(before time.Time) (int64, error) {
	return t.exec(`DELETE FROM webhook_id WHERE ctid = ANY(ARRAY(SELECT ctid FROM webhook_id WHERE at < $1 ORDER BY at LIMIT $2))`,
		micros(before), pruneRows)
}
