package apiclient

import (
	"context"
	"iter"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Page asks for a page of a listing; the zero value for the first, of 50.
type Page = runapi.Paging

// List is a page of a listing.
type List[T any] = runapi.List[T]

// filter are query parameters; empty ones are left out.
type filter map[string]string

func (f filter) values(p Page) url.Values {
	v := url.Values{}
	if p.Limit != 0 {
		v.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		v.Set("cursor", p.Cursor)
	}
	for name, value := range f {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// All yields the items of all pages. An error ends it and is the last thing
// yielded.
func All[T any](ctx context.Context, page func(context.Context, Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := Page{Limit: 500}
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
