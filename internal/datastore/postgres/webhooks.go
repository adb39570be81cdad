package postgres

import (
	"crypto/sha256"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

type webhookTx struct{ writing }

var _ liwanag.WebhookTx = webhookTx{}

func (t webhookTx) Remember(endpoint, id string, answer []byte, at time.Time) (stored bool, earlier []byte, err error) {
	key := sha256.Sum256([]byte(id))
	stored, err = t.changed(`INSERT INTO webhook_id (endpoint, id_digest, at, answer) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		endpoint, key[:], micros(at), answer)
	if err != nil || stored {
		return stored, nil, err
	}
	earlier, err = one(t, scanBytes, `SELECT answer FROM webhook_id WHERE endpoint = $1 AND id_digest = $2`, endpoint, key[:])
	return false, earlier, err
}

func (t webhookTx) Forget(before time.Time) error {
	_, err := t.exec(`DELETE FROM webhook_id WHERE ctid = ANY(ARRAY(SELECT ctid FROM webhook_id WHERE at < $1 ORDER BY at LIMIT $2))`,
		micros(before), pruneRows)
	return err
}
