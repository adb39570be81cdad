package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
)

// Views show the rows that webhooks out tell of as the API does.
func Views(store *datastore.Store) notify.Views {
	return notify.Views{
		Subscriber: func(p liwanag.Subscriber) any { return viewSubscriber(p) },
		Upload: func(ctx context.Context, id liwanag.ID) (any, error) {
			up, err := intake.ReadUpload(ctx, store, id)
			return viewUpload(up), err
		},
		Submission: func(ctx context.Context, id liwanag.ID) (any, error) {
			row, err := store.Submissions.Get(ctx, id)
			return viewSubmission(row), err
		},
	}
}
