package enrichment

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// facts are what an announcement tells beyond the rows it is about.
func facts(v map[string]any) string {
	raw, _ := json.Marshal(v) // numbers and words: it can be encoded
	return string(raw)
}

// announcementOf tells how a lookup ended; false for an end that is nobody's news:
// a person who left, or a cancel.
func announcementOf(job liwanag.Job, status liwanag.JobStatus, failure liwanag.JobFailure, at time.Time) (liwanag.Announcement, bool) {
	a := liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: job.SubscriberID, JobID: job.ID, At: at}
	if _, gone := left(job); gone {
		return a, false
	}
	switch status {
	case liwanag.JobEnriched:
	case liwanag.JobNotFound, liwanag.JobFailed:
		told := map[string]any{"status": status}
		if failure.Code != "" {
			told["code"] = failure.Code
		}
		a.Topic, a.Facts = liwanag.TopicEnrichmentFailed, facts(told)
	default:
		return a, false
	}
	return a, true
}

// announceFailed tells of jobs that failed for good.
func announceFailed(tx *datastore.Tx, jobs []liwanag.Job, failed []liwanag.ID, failure liwanag.JobFailure, at time.Time) error {
	var all []liwanag.Announcement
	for _, job := range jobs {
		if a, news := announcementOf(job, liwanag.JobFailed, failure, at); news && slices.Contains(failed, job.ID) {
			all = append(all, a)
		}
	}
	_, err := datastore.Announce(tx, all)
	return err
}

// announceBalance tells once a UTC day that the balance is below the mark.
func (e *Enricher) announceBalance(tx *datastore.Tx, balance float64, now time.Time) error {
	if e.cfg.CreditsLow <= 0 || balance >= float64(e.cfg.CreditsLow) {
		return nil
	}
	return announceDaily(tx, liwanag.Announcement{Topic: liwanag.TopicCreditsLow, At: now,
		Facts: facts(map[string]any{"balance": balance, "mark": e.cfg.CreditsLow})})
}

// announceDaily announces something the first time on a UTC day, over all nodes.
func announceDaily(tx *datastore.Tx, a liwanag.Announcement) error {
	first, err := tx.Ledger.TakeFiring("announce "+string(a.Topic), a.At.Truncate(24*time.Hour))
	if err != nil || !first {
		return err
	}
	_, err = datastore.Announce(tx, []liwanag.Announcement{a})
	return err
}

// When FullEnrich's webhooks count as silent: this many results had to be fetched
// within the time, and no webhook came.
const (
	silentFor     = 24 * time.Hour
	silentResults = 3
)

// Silence is how many results were fetched in the last day while no webhook of
// FullEnrich came; 0 when webhooks come, are not expected, or there was too
// little to tell.
func (s *Service) Silence(ctx context.Context) (fetched int, err error) {
	if s.cfg.PublicURL == "" || loopback(s.cfg.PublicURL) && !loopback(s.cfg.BaseURL) {
		return 0, nil
	}
	since := s.now().Add(-silentFor)
	for page := (liwanag.Page{Limit: 200}); ; {
		rows, next, err := s.store.Deliveries.List(ctx, liwanag.DeliveryFilter{}, page)
		if err != nil {
			return 0, err
		}
		for _, d := range rows {
			switch {
			case d.ReceivedAt.Before(since):
				next = ""
			case d.Source == liwanag.FromWebhook:
				return 0, nil
			case d.Source == liwanag.FromFetch:
				fetched++
			}
		}
		if next == "" {
			break
		}
		page.Cursor = next
	}
	if fetched < silentResults {
		return 0, nil
	}
	return fetched, nil
}

// checkSilence tells once a day that results come by fetch alone.
func (s *Service) checkSilence(ctx context.Context) error {
	fetched, err := s.Silence(ctx)
	if err != nil || fetched == 0 {
		return err
	}
	now := s.now()
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		return announceDaily(tx, liwanag.Announcement{Topic: liwanag.TopicWebhooksSilent, At: now,
			Facts: facts(map[string]any{"fetched": fetched, "hours": int(silentFor / time.Hour)})})
	})
}
