package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// The rows that webhooks out tell of are shown as the API shows them.

// ViewSubscriber is a subscriber as GET /api/v1/subscribers lists it.
func ViewSubscriber(p liwanag.Subscriber) api.Subscriber { return viewSubscriber(p) }

// ViewUpload is an upload as GET /api/v1/uploads/{id} answers it. ErrNotFound.
func (s *Server) ViewUpload(ctx context.Context, id liwanag.ID) (any, error) {
	view, err := s.cfg.Uploads.Get(ctx, id)
	return viewUpload(view), err
}

// ViewSubmission is a submission as GET /api/v1/submissions/{id} answers it.
// ErrNotFound.
func (s *Server) ViewSubmission(ctx context.Context, id liwanag.ID) (any, error) {
	row, err := s.cfg.Store.Submissions.Get(ctx, id)
	return viewSubmission(row), err
}
