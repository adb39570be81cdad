package enrichment

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
)

// noteSending gives the journal what is needed to know a paid call again, before it is
// made. It returns the number of the line that says how it ended.
func noteSending(tx *datastore.Tx, sub liwanag.Submission, jobs []liwanag.Job, token liwanag.Digest, now time.Time) (int64, error) {
	if !tx.Journal.Kept() {
		return 0, nil
	}
	key, err := tx.Suppressions.Key()
	if err != nil {
		return 0, err
	}
	line := liwanag.JournalLine{Op: liwanag.JournalSend, At: now, Submission: sub.ID.String(), Run: sub.RunID.String(), Ordinal: sub.N,
		Supersedes: sub.Supersedes.String(), Token: hex.EncodeToString(token[:])}
	for _, j := range jobs {
		line.Jobs = append(line.Jobs, liwanag.JournalJob{ID: j.ID.String(), Digest: key.Of(j.EmailKey)})
	}
	n, err := tx.Journal.Add(line, 1)
	return n + 1, err
}

// noteOutcome gives the journal FullEnrich's answer, before the database has it. What
// nobody knows has no line.
func (e *Enricher) noteOutcome(ctx context.Context, n int64, sub liwanag.Submission, said paid.Answer) {
	to := e.store.Journal()
	if to == nil {
		return
	}
	line := liwanag.JournalLine{N: n, Op: liwanag.JournalRefused, At: e.now(), Submission: sub.ID.String()}
	switch paid.Read(said).State() {
	case liwanag.SubmissionAccepted:
		line.Op, line.Enrichment = liwanag.JournalAccepted, said.EnrichmentID
	case liwanag.SubmissionRefused:
	default:
		return
	}
	if err := to.Append([]liwanag.JournalLine{line}); err != nil {
		e.cfg.Log.ErrorContext(ctx, "the answer to a paid call does not stand in the spend journal yet: it is written with the next line",
			"submission", sub.ID, "error", err)
	}
}

// noteAdopted gives the journal an id that was learnt later.
func noteAdopted(tx *datastore.Tx, id liwanag.ID, enrichmentID string, now time.Time) error {
	_, err := tx.Journal.Add(liwanag.JournalLine{Op: liwanag.JournalAccepted, At: now, Submission: id.String(), Enrichment: enrichmentID}, 0)
	return err
}

// noteLeft gives the journal who left, by HMACs of their addresses.
func noteLeft(tx *datastore.Tx, people []liwanag.ID, now time.Time) error {
	if !tx.Journal.Kept() || len(people) == 0 {
		return nil
	}
	rows, err := tx.Subscribers.Get(people)
	if err != nil {
		return err
	}
	key, err := tx.Suppressions.Key()
	if err != nil {
		return err
	}
	line := liwanag.JournalLine{Op: liwanag.JournalUnsubscribe, At: now}
	for _, p := range rows {
		line.Digests = append(line.Digests, key.Of(p.EmailKey))
	}
	_, err = tx.Journal.Add(line, 0)
	return err
}

// noteErasing gives the journal an erasure before anything is erased.
func (s *Service) noteErasing(ctx context.Context, people []liwanag.Subscriber, suppress *liwanag.Suppression) error {
	if s.store.Journal() == nil || len(people) == 0 {
		return nil
	}
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		key, err := tx.Suppressions.Key()
		if err != nil {
			return err
		}
		line := liwanag.JournalLine{Op: liwanag.JournalErase, At: s.now()}
		for _, p := range people {
			line.Digests = append(line.Digests, key.Of(p.EmailKey))
		}
		if _, err = tx.Journal.Add(line, 0); err == nil && suppress != nil {
			line.Op, line.Reason = liwanag.JournalSuppress, suppress.Reason
			_, err = tx.Journal.Add(line, 0)
		}
		return err
	})
}

// noteSuppressed gives the journal what must not come in again.
func noteSuppressed(tx *datastore.Tx, one liwanag.Suppression) error {
	line := liwanag.JournalLine{Op: liwanag.JournalSuppress, At: one.CreatedAt, Domain: one.Domain, Reason: one.Reason}
	if one.Digest != "" {
		line.Digests = []string{one.Digest}
	}
	_, err := tx.Journal.Add(line, 0)
	return err
}
