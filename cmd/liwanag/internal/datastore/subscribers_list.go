package datastore

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const subscriberListing = 's'

// List gives a page, newest first, and the next page's cursor, empty on the
// last. ErrInvalidCursor.
func (s Subscribers) List(ctx context.Context, f liwanag.SubscriberFilter, p liwanag.Page) ([]liwanag.Subscriber, string, error) {
	after, err := listing.Key(subscriberListing, 16, p.Cursor)
	if err == nil {
		err = f.Check()
	}
	if err != nil {
		return nil, "", err
	}
	limit := listing.Limit(p)
	query, args := subscriberQuery(s.r, f, after, limit+1)
	all, err := list(s.in(ctx), scanSubscriber, query, args...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(s liwanag.Subscriber) string { return listing.Cursor(subscriberListing, s.ID.Bytes()) })
	return all, next, nil
}

// Each yields all that match, newest first, without holding them in memory
// and without keeping a read transaction open for longer than a page. An
// error ends it and is the last thing yielded.
func (s Subscribers) Each(ctx context.Context, f liwanag.SubscriberFilter) iter.Seq2[liwanag.Subscriber, error] {
	return func(yield func(liwanag.Subscriber, error) bool) {
		page := liwanag.Page{Limit: listing.MaxLimit}
		for {
			all, next, err := s.List(ctx, f, page)
			if err != nil {
				yield(liwanag.Subscriber{}, err)
				return
			}
			for _, one := range all {
				if !yield(one, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			page.Cursor = next
		}
	}
}

// CountLeft counts those who unsubscribed, of all that match without regard to that.
func (s Subscribers) CountLeft(ctx context.Context, f liwanag.SubscriberFilter) (int64, error) {
	if err := f.Check(); err != nil {
		return 0, err
	}
	f.Standing = liwanag.StandingLeft
	from, _, w := subscriberWhere(s.r, f)
	return one(s.in(ctx), scanInt, `SELECT count(*) FROM `+from+w.String(), w.args...)
}

// subscriberQuery walks an index that is in order of creation: that of the
// latest jobs in one status, or the subscribers' own.
func subscriberQuery(d Dialect, f liwanag.SubscriberFilter, after []byte, limit int) (string, []any) {
	from, key, w := subscriberWhere(d, f)
	if after != nil {
		w.and(key+` < $?`, after)
	}
	return `SELECT ` + subscriberColumns + ` FROM ` + from + w.String() + ` ORDER BY ` + key + ` DESC LIMIT ` + w.bind(limit), w.args
}

// subscriberWhere is where those are found that match, and the key that orders them.
func subscriberWhere(d Dialect, f liwanag.SubscriberFilter) (from, key string, w where) {
	from, key = `subscriber s`, `s.id`
	switch {
	case f.Status == liwanag.NoJob:
		w.and(`NOT EXISTS (SELECT 1 FROM job j WHERE j.subscriber_id = s.id)`)
	case f.Status != "":
		from, key = `job j /*lite CROSS*/ JOIN subscriber s ON s.id = j.subscriber_id`, `j.subscriber_id`
		w.and(`j.latest = true AND j.status = $?`, string(f.Status))
	}
	if len(f.IDs) > 0 {
		w.and(key+` = ANY($?)`, d.IDs(f.IDs))
	}
	if !f.RunID.IsZero() {
		w.and(`s.id = ANY(ARRAY(SELECT r.subscriber_id FROM job r WHERE r.run_id = $?))`, f.RunID.Bytes())
	}
	if !f.UploadID.IsZero() {
		w.and(`s.id = ANY(ARRAY(SELECT u.subscriber_id FROM job u WHERE u.upload_id = $?))`, f.UploadID.Bytes())
	}
	if f.MailDomain != "" {
		w.and(`(s.email_key ILIKE ` + w.bind("%@"+f.MailDomain) + ` OR s.email_key ILIKE ` + w.bind("%."+f.MailDomain) + `)`)
	}
	switch f.Standing {
	case liwanag.StandingIn:
		w.and(`s.suppressed_at IS NULL`)
	case liwanag.StandingLeft:
		w.and(`s.suppressed_at IS NOT NULL`)
	}
	if f.EmailType != "" {
		w.and(`s.email_type = $?`, string(f.EmailType))
	}
	if f.Source != "" {
		w.and(`(s.source = $? OR strpos(s.sources, `+w.bind(jsonOf(f.Source))+`) > 0)`, f.Source)
	}
	if !f.CreatedAfter.IsZero() {
		w.and(`/*lite +*/s.created_at > $?`, micros(f.CreatedAfter))
	}
	if !f.CreatedBefore.IsZero() {
		w.and(`/*lite +*/s.created_at < $?`, micros(f.CreatedBefore))
	}
	if f.Seniority != "" {
		w.alike("", f.Seniority, "s.seniority")
	}
	if f.Tag != "" { // in a list, it is followed by another or by the end
		tag := jsonOf(f.Tag)
		w.and(`(strpos(s.tags, ` + w.bind(tag+",") + `) > 0 OR strpos(s.tags, ` + w.bind(tag+"]") + `) > 0)`)
	}
	if f.NameMatches != "" {
		w.and(`s.name_matches = $?`, string(f.NameMatches))
	}
	if !f.SignedUpAfter.IsZero() {
		w.and(`/*lite +*/coalesce(s.signed_up_at, s.created_at) >= $?`, micros(f.SignedUpAfter))
	}
	if f.Query != "" {
		w.alike("%", f.Query, "s.email_key", "s.full_name", "s.first_name", "s.last_name", "s.company_name", "s.company_domain")
	}
	return from, key, w
}

// alike looks for a text in columns, in whatever case; around is "%" for a part of
// what they hold, and empty for all of it.
func (w *where) alike(around, text string, columns ...string) {
	var terms []string
	for _, form := range forms(text) {
		bound := w.bind(around + likeEscape.Replace(form) + around)
		for _, column := range columns {
			terms = append(terms, column+` ILIKE `+bound)
		}
	}
	w.and(`(` + strings.Join(terms, ` OR `) + `)`)
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// forms are those that a text is looked for in. The columns' collation ignores the
// case of ASCII letters only, so a text with others is looked for in each usual form.
func forms(text string) []string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return []string{text}
	}
	lower := strings.ToLower(text)
	first, size := utf8.DecodeRuneInString(lower)
	return []string{text, lower, strings.ToUpper(text), strings.ToUpper(string(first)) + lower[size:]}
}
