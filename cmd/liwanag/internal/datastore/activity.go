package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func scanTally(r Row) (t listing.Tally, err error) {
	err = r.Scan(&t.Span, &t.What, &t.N)
	return t, err
}

// Activity counts what happened since a time, in spans of the given length
// (whole hours or days, aligned to UTC), oldest first, empty spans included.
func (s *Store) Activity(ctx context.Context, since, until time.Time, span time.Duration) ([]liwanag.Activity, error) {
	spans := listing.Spans(since, until, span)
	if len(spans) == 0 {
		return nil, nil
	}
	from, to, width := micros(spans[0].From), micros(until), span.Microseconds()
	tallies, err := list(reader{s.db}.in(ctx), scanTally, `
		SELECT coalesce(signed_up_at, created_at) / $3, 'signed_up', count(*) FROM subscriber
			WHERE coalesce(signed_up_at, created_at) >= $1 AND coalesce(signed_up_at, created_at) < $2 GROUP BY 1
		UNION ALL SELECT ended_at / $3, status, count(*) FROM job WHERE ended_at >= $1 AND ended_at < $2 GROUP BY 1, 2
		UNION ALL SELECT day, 'spent', spent FROM credit_day WHERE day >= $4 AND day <= $5`,
		from, to, width, int64(liwanag.DayOf(spans[0].From)), int64(liwanag.DayOf(until)))
	if err != nil {
		return nil, err
	}
	return listing.Fill(spans, span, tallies), nil
}
