package liwanag

import "time"

// Activity is what happened in a span of time.
type Activity struct {
	From                                       time.Time // the span's beginning; it ends where the next one begins
	SignUps, Enriched, NotFound, Failed, Spent int64     // Spent: credits, of whole UTC days only
}
