package httpapi

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerViews() {
	door.Serve(s.Door, api.ListViews, s.listViews)
	door.Serve(s.Door, api.SaveView, s.saveView)
	door.Serve(s.Door, api.RemoveView, s.removeView)
}

func viewView(v liwanag.View) api.View {
	by := orderOf(v.Filter)
	return api.View{ID: v.ID.String(), Name: v.Name, Filter: viewFilter(v.Filter), Sort: by.Sort, Order: by.Order, Columns: v.Columns,
		CreatedAt: v.CreatedAt.UTC(), UpdatedAt: v.UpdatedAt.UTC()}
}

// orderOf is a filter's order; the zero value for the usual one.
func orderOf(f liwanag.SubscriberFilter) api.SubscriberOrder {
	by := api.SubscriberOrder{Sort: string(f.Sort)}
	if f.Ascending != (f.Sort == liwanag.SortCompany) {
		by.Order = map[bool]string{true: "asc", false: "desc"}[f.Ascending]
	}
	return by
}

// viewFilter is a filter as the API says it.
func viewFilter(f liwanag.SubscriberFilter) api.SubscriberFilter {
	view := api.SubscriberFilter{Status: string(f.Status), EmailType: string(f.EmailType), Source: f.Source, Seniority: f.Seniority,
		Q: f.Query, Subscribed: string(f.Standing), Since: utc(f.CreatedAfter), Until: utc(f.CreatedBefore), Tag: f.Tag,
		NameMatches: string(f.NameMatches), SignedUpSince: utc(f.SignedUpAfter), JobTitle: f.JobTitle, Industry: f.Industry,
		Country: f.Country, CompanyDomain: f.CompanyDomain, FoundSince: utc(f.FoundAfter), HeadcountMin: f.HeadcountMin,
		HeadcountMax: f.HeadcountMax, Metadata: f.Metadata, RunID: f.RunID.String(), UploadID: f.UploadID.String()}
	if f.HasLinkedin != nil {
		view.HasLinkedin = strconv.FormatBool(*f.HasLinkedin)
	}
	return view
}

func (s *Server) listViews(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.View], error) {
	rows, err := s.cfg.Store.Views.List(ctx)
	return listOf(rows, "", viewView), err
}

func (s *Server) saveView(ctx context.Context, in *api.SaveViewRequest) (api.View, error) {
	name, err := liwanag.ViewName(in.Name)
	if err != nil {
		return api.View{}, door.InvalidField("name", err.Error())
	}
	filter, err := s.subscriberFilter(ctx, in.Filter)
	if err == nil {
		err = filter.Check()
	}
	if err != nil {
		return api.View{}, err
	}
	order, columns, err := s.shown(ctx, in.Filter.View, api.SubscriberOrder{Sort: in.Sort, Order: in.Order}, in.Columns)
	if err != nil {
		return api.View{}, err
	}
	if _, err := intake.ColumnsOf(strings.Join(columns, ",")); err != nil {
		return api.View{}, door.InvalidField("columns", err.Error())
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	view := liwanag.View{ID: liwanag.NewID(liwanag.ViewKind), Name: name, Filter: ordered(filter, order), Columns: columns,
		CreatedAt: now, UpdatedAt: now}
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) (err error) {
		view, err = tx.Views.Save(view, in.Replace)
		return err
	})
	return viewView(view), err
}

func (s *Server) removeView(ctx context.Context, in *runapi.IDPath) (none runapi.None, err error) {
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		view, err := tx.Views.Get(in.ID)
		if err != nil {
			return err
		}
		return tx.Views.Delete(view.ID)
	})
	return none, named(err, "view")
}

// viewID is the id of a view that is named by name or id; none for an empty name.
func (s *Server) viewID(ctx context.Context, name string) (liwanag.ID, error) {
	if name == "" {
		return liwanag.ID{}, nil
	}
	view, err := s.cfg.Store.Views.Get(ctx, name)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = door.InvalidField("view", "there is no view of this name: GET /api/v1/views lists them")
	}
	return view.ID, err
}

// shown is the order and the columns of what is asked for: those said, else those of the view.
func (s *Server) shown(ctx context.Context, named string, order api.SubscriberOrder, columns []string) (api.SubscriberOrder, []string,
	error) {
	if named == "" || order.Sort != "" && len(columns) > 0 {
		return order, columns, nil
	}
	view, err := s.cfg.Store.Views.Get(ctx, named)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = noSuchView()
	}
	if err != nil {
		return order, columns, err
	}
	if kept := orderOf(view.Filter); order.Sort == "" {
		order = api.SubscriberOrder{Sort: kept.Sort, Order: cmp.Or(order.Order, kept.Order)}
	}
	if len(columns) == 0 {
		columns = view.Columns
	}
	return order, columns, nil
}

func noSuchView() error {
	return door.InvalidFilter("view", "there is no view of this name: GET /api/v1/views lists them")
}

// withView is a filter with that of the view which it names: what it says itself
// comes before what the view says.
func (s *Server) withView(ctx context.Context, q api.SubscriberFilter) (api.SubscriberFilter, error) {
	if q.View == "" {
		return q, nil
	}
	if door.Unclear(q.View) != "" {
		return q, door.InvalidFilter("view", "it has control characters")
	}
	view, err := s.cfg.Store.Views.Get(ctx, q.View)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = noSuchView()
	}
	if err != nil {
		return q, err
	}
	all := viewFilter(view.Filter)
	said, into := reflect.ValueOf(q), reflect.ValueOf(&all).Elem()
	metadata := maps.Clone(all.Metadata)
	for i := range said.NumField() {
		if !said.Field(i).IsZero() {
			into.Field(i).Set(said.Field(i))
		}
	}
	if len(metadata) > 0 {
		maps.Copy(metadata, q.Metadata)
		all.Metadata = metadata
	}
	all.View = ""
	return all, nil
}
