package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// envelope is the body of every webhook out.
type envelope struct {
	Type      liwanag.Topic  `json:"type"`
	Timestamp time.Time      `json:"timestamp"` // when it happened
	Data      map[string]any `json:"data"`
}

// Payload is what would be sent for a message now. ErrNotFound: what it is about
// is gone.
func (s *Sender) Payload(ctx context.Context, m liwanag.Message) ([]byte, error) {
	data := map[string]any{}
	if m.Facts != "" {
		if err := json.Unmarshal([]byte(m.Facts), &data); err != nil {
			return nil, fmt.Errorf("notify: facts of %s: %w", m.ID, err)
		}
	}
	about, err := s.about(ctx, m)
	if err != nil {
		return nil, err
	}
	for name, thing := range about {
		data[name] = thing
	}
	return json.Marshal(envelope{Type: m.Topic, Timestamp: m.CreatedAt.UTC(), Data: data})
}

// about reads what a message is about, by the name it has in the payload.
func (s *Sender) about(ctx context.Context, m liwanag.Message) (map[string]any, error) {
	switch m.Subject.Kind() {
	case liwanag.SubscriberKind:
		person, err := s.cfg.Store.Subscribers.Get(ctx, m.Subject)
		if err != nil {
			return nil, err
		}
		about := map[string]any{"subscriber": s.cfg.Views.Subscriber(person)}
		if !m.JobID.IsZero() {
			about["jobId"] = m.JobID
		}
		if m.Topic == liwanag.TopicEnriched { // of the others the facts tell
			about["status"] = liwanag.JobEnriched
		}
		return about, nil
	case liwanag.UploadKind:
		upload, err := s.cfg.Views.Upload(ctx, m.Subject)
		return map[string]any{"upload": upload}, err
	case liwanag.SubmissionKind:
		submission, err := s.cfg.Views.Submission(ctx, m.Subject)
		return map[string]any{"submission": submission}, err
	}
	return nil, nil
}

// gone says that what a message is about is not there any more.
func gone(err error) bool { return errors.Is(err, liwanag.ErrNotFound) }
