package datastore

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const selectViews = `SELECT v.id, v.name, v.filter, v.columns, v.created_at, v.updated_at FROM saved_view v`

const (
	viewByName = selectViews + ` WHERE v.name = $1`
	viewByID   = selectViews + ` WHERE v.id = $1`
	viewOfSink = selectViews + ` JOIN sink k ON k.view_id = v.id WHERE k.id = $1`
)

func scanView(r Row) (v liwanag.View, err error) {
	err = r.Scan(idTo(liwanag.ViewKind, &v.ID), &v.Name, objectTo(&v.Filter), wordsTo(&v.Columns),
		timeColumn{&v.CreatedAt}, timeColumn{&v.UpdatedAt})
	return v, err
}

// Views reads saved views.
type Views struct{ reader }

// Get reads a view by its name or the text of its id. ErrNotFound.
func (s Views) Get(ctx context.Context, named string) (liwanag.View, error) {
	return viewNamed(s.in(ctx), named)
}

// OfSink reads the view that a sink goes by; nil without one.
func (s Views) OfSink(ctx context.Context, sink liwanag.ID) (*liwanag.View, error) {
	return conditionOf(s.in(ctx), sink)
}

// List lists all, by name: there are few.
func (s Views) List(ctx context.Context) ([]liwanag.View, error) {
	return list(s.in(ctx), scanView, selectViews+` ORDER BY v.name`)
}

func viewNamed(q querier, named string) (liwanag.View, error) {
	if id, err := liwanag.ParseID(liwanag.ViewKind, named); err == nil {
		return one(q, scanView, viewByID, id.Bytes())
	}
	return one(q, scanView, viewByName, named)
}

func conditionOf(q querier, sink liwanag.ID) (*liwanag.View, error) {
	view, err := one(q, scanView, viewOfSink, sink.Bytes())
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil, nil
	}
	return &view, err
}

// ViewTx writes saved views.
type ViewTx struct{ writing }

// Get reads a view by its name or the text of its id. ErrNotFound.
func (t ViewTx) Get(named string) (liwanag.View, error) { return viewNamed(t, named) }

// Save stores a view under its name. One that has the name is replaced and keeps its
// id, if replace says so; else ErrViewTaken. ErrTooManyViews.
func (t ViewTx) Save(v liwanag.View, replace bool) (liwanag.View, error) {
	known, err := viewNamed(t, v.Name)
	switch {
	case err == nil && !replace:
		return v, liwanag.ErrViewTaken
	case err == nil:
		v.ID, v.CreatedAt = known.ID, known.CreatedAt
		return v, t.must(`UPDATE saved_view SET filter = $1, columns = $2, updated_at = $3 WHERE id = $4`,
			filterJSON(v.Filter), wordsText(v.Columns), micros(v.UpdatedAt), v.ID.Bytes())
	case !errors.Is(err, liwanag.ErrNotFound):
		return v, err
	}
	n, err := one(t, scanInt, `SELECT count(*) FROM saved_view`)
	if err == nil && n >= liwanag.MaxViews {
		err = liwanag.ErrTooManyViews
	}
	if err != nil {
		return v, err
	}
	return v, t.must(`INSERT INTO saved_view (id, name, filter, columns, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)`, v.ID.Bytes(), v.Name,
		filterJSON(v.Filter), wordsText(v.Columns), micros(v.CreatedAt), micros(v.UpdatedAt))
}

// filterJSON is a filter as it is stored: an object, though an empty one.
func filterJSON(f liwanag.SubscriberFilter) string {
	if text := jsonOf(f); text != "" {
		return text
	}
	return "{}"
}

// Delete removes a view. ErrViewUsed while a sink goes by it; ErrNotFound.
func (t ViewTx) Delete(id liwanag.ID) error {
	used, err := one(t, scanInt, `SELECT count(*) FROM sink WHERE view_id = $1 AND deleted = false`, id.Bytes())
	if err == nil && used > 0 {
		err = liwanag.ErrViewUsed
	}
	if err != nil {
		return err
	}
	return t.must(`DELETE FROM saved_view WHERE id = $1`, id.Bytes())
}

// Matching are those of some people whom a filter selects, in no order.
func (t SubscriberTx) Matching(f liwanag.SubscriberFilter, ids []liwanag.ID) ([]liwanag.ID, error) {
	return matching(t, f, ids)
}

// Matching are those of some people whom a filter selects, in no order.
func (s Subscribers) Matching(ctx context.Context, f liwanag.SubscriberFilter, ids []liwanag.ID) ([]liwanag.ID, error) {
	return matching(s.in(ctx), f, ids)
}

func matching(q querier, f liwanag.SubscriberFilter, ids []liwanag.ID) ([]liwanag.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	f.IDs = ids
	from, key, w := subscriberWhere(q.dialect(), soughtBy(q.dialect(), f))
	return list(q, scanID(liwanag.SubscriberKind), `SELECT `+key+` FROM `+from+w.String(), w.args...)
}
