package apiclient

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"reflect"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// All yields the items of all pages. An error ends it and is the last thing
// yielded.
func All[T any](ctx context.Context, page func(context.Context, runapi.Paging) (runapi.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := runapi.Paging{Limit: 500}
		for {
			list, err := page(ctx, next)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if next.Cursor = list.NextCursor; next.Cursor == "" {
				return
			}
		}
	}
}

// Watch reads a thing every so often and yields it first and whenever it has
// changed, until ctx ends or the caller stops. A server that cannot be reached
// or is unavailable for the moment is asked again; the caller is told of it by
// an error, and may go on. Any other error ends it.
func Watch[T any](ctx context.Context, every time.Duration, read func(context.Context) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last T
		for first := true; ; {
			v, err := read(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if !yield(v, err) || !temporary(err) {
					return
				}
			case first || !reflect.DeepEqual(v, last):
				if !yield(v, nil) {
					return
				}
				first, last = false, v
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
		}
	}
}

// until ends a watch with the first value that is the last.
func until[T any](seq iter.Seq2[T, error], over func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range seq {
			if !yield(v, err) || err == nil && over(v) {
				return
			}
		}
	}
}

// temporary says whether the same request may work later by itself.
func temporary(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status == http.StatusServiceUnavailable || p.Status == http.StatusInsufficientStorage || p.Status == http.StatusBadGateway
	}
	return errors.As(err, new(*Unreachable))
}

// WatchRun yields a run now and whenever it changes, until it has ended; see
// Watch.
func (c *Client) WatchRun(ctx context.Context, id string, every time.Duration) iter.Seq2[runapi.RunDetail, error] {
	read := func(ctx context.Context) (runapi.RunDetail, error) { return runapi.GetRun.Call(ctx, c, runapi.ID(id)) }
	return until(Watch(ctx, every, read), func(r runapi.RunDetail) bool { return r.Ended() })
}

// WatchUpload yields an upload now and whenever it changes, until it has ended;
// see Watch.
func (c *Client) WatchUpload(ctx context.Context, id string, every time.Duration) iter.Seq2[api.Upload, error] {
	read := func(ctx context.Context) (api.Upload, error) { return api.GetUpload.Call(ctx, c, runapi.ID(id)) }
	return until(Watch(ctx, every, read), api.Upload.Ended)
}
