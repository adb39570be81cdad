package door

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// HookWithin bounds the work for a webhook or a sign-up: when the database hangs,
// 503 is better than no answer. Its sender repeats it, and makes room for others.
// FullEnrich waits ten seconds for the answer.
const HookWithin = 8 * time.Second

// Way is how a webhook's body comes in.
type Way struct {
	Limit int64
	Share *Share
	Leave func() // gives back what was taken for it; nil: nothing
}

// Hook adds a webhook's route: it is open, since the webhook brings its own
// proof, and it answers a GET, which senders make when an address is entered. A
// full disk is 503: senders repeat that. admit looks at what the path shows; when
// it refuses, the body is left unread. Anybody may send a body slowly, so it is
// read before the webhook takes one of the places for those that are worked on.
func Hook[In, Out any](d *Door, route runapi.Route[In, Out], admit func(http.ResponseWriter, *http.Request, *In) (Way, error),
	serve func(http.ResponseWriter, *http.Request, *In, []byte) error) *huma.Operation {
	op := describe(d, route)
	d.add(op, route.Operation, func(w http.ResponseWriter, r *http.Request) error {
		in := new(In)
		runapi.Decode(r, in, runapi.RFC3339) // texts: each can be read
		looking, cancel := context.WithTimeout(r.Context(), HookWithin)
		by, err := admit(w, r.WithContext(looking), in)
		cancel()
		if err != nil {
			return d.hookFault(r, err)
		}
		if by.Leave != nil {
			defer by.Leave()
		}
		scopeOf(r.Context()).share = by.Share
		read := func() {}
		if by.Share != d.Bodies.Known {
			read = readsBody(r.Context())
		}
		raw, err := d.ReadBody(w, r, by.Limit)
		read()
		if err == nil {
			err = d.hookPool.enter(r.Context())
		}
		if err == nil {
			defer d.hookPool.leave()
			ctx, cancel := context.WithTimeout(r.Context(), HookWithin)
			defer cancel()
			err = serve(w, r.WithContext(ctx), in, raw)
		}
		if err == nil {
			return nil
		}
		return d.hookFault(r, err)
	})
	d.open["GET "+op.Path] = true
	d.Route("GET "+op.Path, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	return op
}

func (d *Door) hookFault(r *http.Request, err error) error {
	p := *d.ProblemOf(err)
	switch {
	case p.Status == http.StatusUnauthorized:
		return d.failed(r, failedProof, &p)
	case p.Status == http.StatusInsufficientStorage:
		p.Status, p.Title = http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable)
	}
	return &p
}
