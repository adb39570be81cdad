package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSources() {
	c.handle("GET /sources", func(v *visit) error { return c.sources(v, nil) })
	c.handle("POST /sources", c.addSource)
	c.handle("GET /sources/{id}", func(v *visit) error { return c.source(v, sourceView{}, nil) })
	c.handle("POST /sources/{id}/settings", c.changeSource)
	c.handle("POST /sources/{id}/try", c.trySource)
	c.handle("POST /sources/{id}/rotate", c.rotateSource)
	c.handle("POST /sources/{id}/delete", func(v *visit) error {
		if _, err := api.DeleteSource.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
			return c.source(v, sourceView{}, err)
		}
		return v.goTo("/sources", "The source is gone; its subscribers stay.")
	})
	c.handle("GET /deliveries", c.deliveries)
	c.handle("GET /deliveries/{id}", func(v *visit) error { return c.delivery(v, nil) })
	c.handle("POST /deliveries/{id}/replay", c.replay)
}

// sourcesView is what the list of sources shows.
type sourcesView struct {
	*visit
	List  runapi.List[api.Source]
	Kinds []api.SourceKind
}

func (c *Console) sources(v *visit, fault error) error {
	view := sourcesView{visit: v}
	var err error
	if view.List, err = api.ListSources.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
		return err
	}
	kinds, err := api.ListSourceKinds.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	view.Kinds = kinds.Items
	return v.showOr(fault, frame{Title: "Sources", Nav: "/sources", Here: "/sources"}, sourcesPage(view))
}

func (v sourcesView) kinds() (all []choice) {
	for _, k := range v.Kinds {
		all = append(all, choice{k.Kind, k.Title})
	}
	return all
}

func (c *Console) addSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	made, err := api.AddSource.Call(v.Context(), v.api,
		api.AddSourceRequest{Name: strings.TrimSpace(v.PostForm.Get("name")), Kind: v.PostForm.Get("kind"),
			Secret: strings.TrimSpace(v.PostForm.Get("secret"))})
	if err != nil {
		return c.sources(v, err)
	}
	return c.source(v, sourceView{Source: made, Made: true}, nil)
}

// sourceView is what the page of a source shows.
type sourceView struct {
	*visit
	Source     api.Source
	Made       bool // Source was just made, and shows its URL or secret, once
	Kind       api.SourceKind
	Deliveries runapi.List[api.Delivery]
	People     people
	Stopped    []api.StoppedSource // none, or the source itself, whose lookups wait
	Settings   string              // as typed, or the source's own
	Body       string              // that was tried
	Tried      *api.TriedSource
}

// source shows a source: the one that was just made, or the one of the address.
func (c *Console) source(v *visit, view sourceView, fault error) error {
	view.visit = v
	var err error
	if !view.Made {
		if view.Source, err = api.GetSource.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
			return err
		}
	}
	kinds, err := api.ListSourceKinds.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	for _, k := range kinds.Items {
		if k.Kind == view.Source.Kind {
			view.Kind = k
		}
	}
	if view.Settings == "" {
		view.Settings = indented(view.Source.Settings)
	}
	if v.may(api.ListDeliveries.Scope) {
		of := api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: view.Source.ID, State: v.param("state")}, Paging: v.page()}
		if view.Deliveries, err = api.ListDeliveries.Call(v.Context(), v.api, of); err != nil {
			return err
		}
	}
	if view.People, err = peopleOf(v, api.SubscriberFilter{Source: view.Source.Name}); err != nil {
		return err
	}
	stopped, err := api.ListStoppedSources.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	view.Stopped = slices.DeleteFunc(stopped.Items, func(s api.StoppedSource) bool { return s.Source != view.Source.Name })
	return v.showOr(fault, frame{Title: view.Source.Name, Nav: "/sources", Here: under("/sources", view.Source.ID),
		Crumbs: []crumb{{"Sources", "/sources"}}}, sourcePage(view))
}

// settings are those of a form; nil when they were left as they are.
func (v *visit) settings() (json.RawMessage, error) {
	text := strings.TrimSpace(v.PostForm.Get("settings"))
	if text == "" {
		return nil, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_json",
			Detail: "the settings are no JSON"}}
	}
	return json.RawMessage(text), nil
}

func (c *Console) changeSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	view := sourceView{Settings: v.PostForm.Get("settings")}
	settings, err := v.settings()
	if err != nil {
		return c.source(v, view, err)
	}
	change := api.ChangeSourceRequest{Settings: settings}
	if name := strings.TrimSpace(v.PostForm.Get("name")); name != "" {
		change.Name = &name
	}
	if state := v.PostForm.Get("state"); state != "" {
		off := state == "off"
		change.Disabled = &off
	}
	if _, err := api.ChangeSource.Call(v.Context(), v.api, runapi.To(id, change)); err != nil {
		return c.source(v, view, err)
	}
	return v.goTo(under("/sources", id), "The source is changed.")
}

func (c *Console) trySource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	view := sourceView{Settings: v.PostForm.Get("settings"), Body: v.PostForm.Get("body")}
	settings, err := v.settings()
	if err != nil {
		return c.source(v, view, err)
	}
	tried, err := api.TrySource.Call(v.Context(), v.api,
		runapi.To(v.PathValue("id"), api.TrySourceRequest{Body: view.Body, Settings: settings, ContentType: v.PostForm.Get("contentType")}))
	if err != nil {
		return c.source(v, view, err)
	}
	view.Tried = &tried
	return c.source(v, view, nil)
}

func (c *Console) rotateSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	secret := strings.TrimSpace(v.PostForm.Get("secret"))
	made, err := api.RotateSource.Call(v.Context(), v.api,
		runapi.To(v.PathValue("id"), api.RotateSourceRequest{Secret: secret, MakeSecret: v.PostForm.Has("makeSecret") && secret == "",
			DropOld: v.PostForm.Has("dropOld"), URL: v.PostForm.Has("url")}))
	if err != nil {
		return c.source(v, sourceView{}, err)
	}
	return c.source(v, sourceView{Source: made, Made: true}, nil)
}

var deliveryStates = []string{"accepted", "ignored", "rejected", "refused", "stored", "sent", "settled", "quarantined", "unmatched"}

// deliveriesView is what the list of deliveries shows.
type deliveriesView struct {
	*visit
	List runapi.List[api.Delivery]
}

func (c *Console) deliveries(v *visit) error {
	list, err := api.ListDeliveries.Call(v.Context(), v.api,
		api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: v.param("source"), State: v.param("state")}, Paging: v.page()})
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, frame{Title: "Deliveries", Nav: "/sources", Crumbs: []crumb{{"Sources", "/sources"}}},
		deliveriesPage(deliveriesView{v, list}))
}

// deliveryView is what the page of a delivery shows.
type deliveryView struct {
	*visit
	Delivery api.Delivery
}

func (c *Console) delivery(v *visit, fault error) error {
	id := v.PathValue("id")
	d, err := api.GetDelivery.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return err
	}
	crumbs := []crumb{{"Sources", "/sources"}, {"Deliveries", "/deliveries"}}
	if d.SourceID != "" {
		crumbs = []crumb{{"Sources", "/sources"}, {"Source", under("/sources", d.SourceID)}}
	}
	return v.showOr(fault, frame{Title: shortID(d.ID), Nav: "/sources", Here: under("/deliveries", id), Crumbs: crumbs},
		deliveryPage(deliveryView{v, d}))
}

func (c *Console) replay(v *visit) error {
	id := v.PathValue("id")
	d, err := api.ReplayDelivery.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return c.delivery(v, err)
	}
	return v.goTo(under("/deliveries", id), "Replayed: it is "+words(d.State)+" now.")
}

// asJSON is an answer's part as the API has it.
func asJSON(v any) json.RawMessage {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // it came as JSON
	return raw.Bytes()
}
