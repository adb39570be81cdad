package datastore

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// List gives a page in the filter's order, and the next page's cursor, empty on the
// last. ErrInvalidCursor.
func (s Subscribers) List(ctx context.Context, f liwanag.SubscriberFilter, p liwanag.Page) ([]liwanag.Subscriber, string, error) {
	found, err := s.seek(ctx, f)
	if err != nil {
		return nil, "", err
	}
	return s.page(ctx, found, p)
}

func (s Subscribers) page(ctx context.Context, found sought, p liwanag.Page) ([]liwanag.Subscriber, string, error) {
	f := found.SubscriberFilter
	at, err := readPlace(f, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	limit := listing.Limit(p)
	all, err := s.walk(ctx, found, at, limit, 1)
	all, next := listing.Paged(all, limit, func(s liwanag.Subscriber) string { return placeOf(f, s).cursor(f) })
	return all, next, err
}

// ListBefore gives the page that ends before a cursor, in the filter's order, and the cursor of the page
// before it, empty on the first. ErrInvalidCursor.
func (s Subscribers) ListBefore(ctx context.Context, f liwanag.SubscriberFilter, p liwanag.Page) ([]liwanag.Subscriber, string, error) {
	at, err := readPlace(f, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	back, err := s.seek(ctx, f)
	if err != nil {
		return nil, "", err
	}
	limit := listing.Limit(p)
	back.Ascending = !f.Ascending
	all, err := s.walk(ctx, back, at, limit, -1)
	all, before := listing.Paged(all, limit, func(s liwanag.Subscriber) string { return placeOf(f, s).cursor(f) })
	slices.Reverse(all)
	return all, before, err
}

// CursorOf is the cursor of the page before which somebody stands first, for ListBefore.
func (s Subscribers) CursorOf(f liwanag.SubscriberFilter, first liwanag.Subscriber) string {
	return placeOf(f, first).cursor(f)
}

// walk goes from a place through the phases of a listing, by step, until it has one more than limit.
func (s Subscribers) walk(ctx context.Context, f sought, at place, limit, step int) (all []liwanag.Subscriber, err error) {
	phases := phasesOf(f.SubscriberFilter)
	for ; at.phase >= 0 && at.phase < phases && len(all) <= limit; at = (place{phase: at.phase + step}) {
		query, args := subscriberQuery(s.r, f, at, limit+1-len(all))
		more, err := list(s.in(ctx), scanSubscriber, query, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// Each yields all that match, newest first, without holding them in memory
// and without keeping a read transaction open for longer than a page. An
// error ends it and is the last thing yielded.
func (s Subscribers) Each(ctx context.Context, f liwanag.SubscriberFilter) iter.Seq2[liwanag.Subscriber, error] {
	return func(yield func(liwanag.Subscriber, error) bool) {
		page := liwanag.Page{Limit: listing.MaxLimit}
		found, err := s.seek(ctx, f)
		if err != nil {
			yield(liwanag.Subscriber{}, err)
			return
		}
		for {
			all, next, err := s.page(ctx, found, page)
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
	f.Standing, f.Sort = liwanag.StandingLeft, ""
	found, err := s.seek(ctx, f)
	if err != nil {
		return 0, err
	}
	from, _, w := subscriberWhere(s.r, found)
	return one(s.in(ctx), scanInt, `SELECT count(*) FROM `+from+w.String(), w.args...)
}

// Total counts those who match, up to most.
func (s Subscribers) Total(ctx context.Context, f liwanag.SubscriberFilter, most int) (int64, error) {
	f.Sort = ""
	found, err := s.seek(ctx, f)
	if err != nil {
		return 0, err
	}
	from, _, w := subscriberWhere(s.r, found)
	return one(s.in(ctx), scanInt, `SELECT count(*) FROM (SELECT 1 FROM `+from+w.String()+` LIMIT `+w.bind(most)+`) AS matching`, w.args...)
}

// subscriberQuery is the walk of a phase from a place on. It goes over an index that is
// in the listing's order: that of the latest jobs in one status, the subscribers' own,
// or that of what they are sorted by.
func subscriberQuery(d Dialect, f sought, at place, limit int) (string, []any) {
	from, id, w := subscriberWhere(d, f)
	before, direction := `<`, ` DESC`
	if f.Ascending {
		before, direction = `>`, ` ASC`
	}
	by, order := subscriberOrders[f.Sort], id+direction
	switch {
	case by.column == "":
	case at.phase == 0:
		w.and(by.column + ` IS NOT NULL`)
	default:
		w.check(by.column + ` IS NULL`)
	}
	switch sorted := by.column != "" && at.phase == 0; {
	case sorted && at.id != nil:
		value := w.bind(at.value)
		w.and(by.key + ` ` + before + `= ` + value + ` AND (` + by.key + ` ` + before + ` ` + value + ` OR ` + id + ` ` + before + ` ` + w.bind(at.id) + `)`)
		fallthrough
	case sorted:
		order = by.key + direction + `, ` + order
	case at.id != nil:
		w.and(id+` `+before+` $?`, at.id)
	}
	return `SELECT ` + subscriberColumns + ` FROM ` + from + w.String() + ` ORDER BY ` + order + ` LIMIT ` + w.bind(limit), w.args
}

// subscriberWhere is where those are found that match, and the key that orders them. A walk goes over
// one index; all else is looked at in the rows.
func subscriberWhere(d Dialect, f sought) (from, key string, w where) {
	from, key = `subscriber s`, `s.id`
	driver := f.driver()
	switch sorted := subscriberOrders[f.Sort].column != ""; {
	case f.Status == liwanag.NoJob:
		w.and(`NOT EXISTS (SELECT 1 FROM job j WHERE j.subscriber_id = s.id)`)
	case f.Status != "" && sorted:
		w.and(`EXISTS (SELECT 1 FROM job j WHERE j.subscriber_id = s.id AND j.latest = true AND j.status = $?)`, string(f.Status))
	case f.Status != "":
		from, key = `job j /*lite CROSS*/ JOIN subscriber s ON s.id = j.subscriber_id`, `j.subscriber_id`
		w.and(`j.latest = true AND j.status = $?`, string(f.Status))
	}
	switch {
	case f.few != nil:
		w.and(key + ` = ANY(ARRAY(` + f.all(&w) + `))`)
	case driver != nil && driver.column != "":
		w.and(`s.`+driver.column+` IS NOT NULL AND lower(s.`+driver.column+`) = $?`, driver.texts[0])
	case driver != nil:
		from, key = `subscriber_source x /*lite CROSS*/ JOIN subscriber s ON s.id = x.subscriber_id`, `x.subscriber_id`
		w.and(`x.source = $?`, driver.texts[0])
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
	switch f.Standing {
	case liwanag.StandingIn:
		w.check(`s.suppressed_at IS NULL`)
	case liwanag.StandingLeft:
		w.and(`s.suppressed_at IS NOT NULL`)
	}
	w.signedUp(f)
	w.found(d, f)
	return from, key, w
}

// signedUp looks at who people are and where they came from.
func (w *where) signedUp(f sought) {
	if f.MailDomain != "" {
		w.check(`s.email_key ILIKE ` + w.bind("%@"+f.MailDomain) + ` OR s.email_key ILIKE ` + w.bind("%."+f.MailDomain))
	}
	if f.EmailType != "" {
		w.check(`s.email_type = $?`, string(f.EmailType))
	}
	if f.Source != "" {
		w.check(`s.source = $? OR strpos(s.sources, `+w.bind(jsonOf(f.Source))+`) > 0`, f.Source)
	}
	if !f.CreatedAfter.IsZero() {
		w.check(`s.created_at > $?`, micros(f.CreatedAfter))
	}
	if !f.CreatedBefore.IsZero() {
		w.check(`s.created_at < $?`, micros(f.CreatedBefore))
	}
	if f.Tag != "" { // in a list, it is followed by another or by the end
		tag := jsonOf(f.Tag)
		w.check(`strpos(s.tags, ` + w.bind(tag+",") + `) > 0 OR strpos(s.tags, ` + w.bind(tag+"]") + `) > 0`)
	}
	if !f.SignedUpAfter.IsZero() {
		w.check(`coalesce(s.signed_up_at, s.created_at) >= $?`, micros(f.SignedUpAfter))
	}
	if f.Query != "" && len(f.words) == 0 {
		w.and(`s.id IS NULL`) // a search for what is no word finds nobody
	}
	for _, word := range f.words {
		w.check(`s.words LIKE $?`, "% "+word+"%")
	}
}

// found looks at what is known of a person and their company.
func (w *where) found(d Dialect, f sought) {
	for _, by := range columnsOf(f.SubscriberFilter) {
		w.check(`lower(s.`+by.column+`) = ANY($?::text[])`, d.Words(by.texts))
	}
	if f.Industry != "" {
		w.check(`lower(s.industry) = ANY($?::text[])`, d.Words(lowerForms([]string{f.Industry})))
	}
	w.alike(alternatives(f.JobTitle), "s.job_title")
	if f.HeadcountMin > 0 {
		w.check(`s.headcount >= $?`, f.HeadcountMin)
	}
	if f.HeadcountMax > 0 {
		w.check(`s.headcount <= $?`, f.HeadcountMax)
	}
	if f.HasLinkedin != nil {
		w.check(`s.linkedin_url IS ` + map[bool]string{true: "NOT ", false: ""}[*f.HasLinkedin] + `NULL`)
	}
	if f.NameMatches != "" {
		w.check(`s.name_matches = $?`, string(f.NameMatches))
	}
	switch {
	case f.FoundAfter.IsZero():
	case f.Sort == liwanag.SortFound && f.few == nil:
		w.and(`s.enriched_at >= $?`, micros(f.FoundAfter))
	default:
		w.check(`s.enriched_at >= $?`, micros(f.FoundAfter))
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		w.metadata(key, f.Metadata[key])
	}
}

// metadata looks for a member. Only what has the value somewhere, or something written in another way,
// is read as JSON: that costs more than all else.
func (w *where) metadata(key, value string) {
	text := value
	if strings.TrimLeft(value, "-0123456789{[") == value && !slices.Contains([]string{"", "true", "false"}, value) {
		text = `"` + value + `"` // nothing but a string is it
	}
	w.check(`strpos(s.metadata, ` + w.bind(text) + `) > 0 OR strpos(s.metadata, '\') > 0`)
	w.and(`metadata_has(s.metadata, `+w.bind(key)+`, $?)`, value)
}

// lowerForms are texts as the indexes of what was found have them.
func lowerForms(texts []string) (all []string) {
	for _, text := range texts {
		for _, form := range forms(text) {
			all = append(all, lowerASCII(form))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const maxAlternatives = 20

// alternatives are the texts of a filter that commas separate, and the whole of it.
func alternatives(text string) (all []string) {
	for _, part := range append(strings.SplitN(text, ",", maxAlternatives), text) {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// lowerASCII is lower() as both databases have it for the columns that are sorted by.
func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
}

// alike selects those who have one of the texts somewhere in one of the columns, in
// whatever case.
func (w *where) alike(texts []string, columns ...string) {
	var terms []string
	for _, text := range texts {
		for _, form := range forms(text) {
			bound := w.bind("%" + likeEscape.Replace(form) + "%")
			for _, column := range columns {
				terms = append(terms, column+` ILIKE `+bound)
			}
		}
	}
	if len(terms) > 0 {
		w.check(strings.Join(terms, ` OR `))
	}
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
