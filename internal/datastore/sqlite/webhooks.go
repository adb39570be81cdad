package sqlite

import (
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

type webhookTx struct{ writing }

var _ liwanag.WebhookTx = webhookTx{}

func (t webhookTx) Remember(endpoint, id string, answer []byte, at time.Time) (stored bool, earlier []byte, err error) {
	stored, err = t.changed(`INSERT INTO webhook_id (endpoint, id, at, answer) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		endpoint, id, micros(at), answer)
	if err != nil || stored {
		return stored, nil, err
	}
	earlier, err = one(t, scanBytes, `SELECT answer FROM webhook_id WHERE endpoint = ? AND id = ?`, endpoint, id)
	return false, earlier, err
}

func (t webhookTx) Forget(before time.Time) error {
	_, err := t.exec(`DELETE FROM webhook_id WHERE rowid IN (SELECT rowid FROM webhook_id WHERE at < ? ORDER BY at LIMIT ?)`,
		micros(before), pruneRows)
	return err
}
