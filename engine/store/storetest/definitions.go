package storetest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var definitions = map[string]func(t *testing.T, h Harness){
	"what is noted of definitions is kept, and replaced": noted,
}

func noted(t *testing.T, h Harness) {
	b := open(t, h)
	shape := func(name string, since time.Time) store.Shape {
		return store.Shape{Since: since, Shape: workflow.Shape{Input: "{a: string}",
			Nodes: []workflow.NodeShape{{Name: name, Kind: workflow.KindStep, On: "x", Label: "y", Output: "any"},
				{Name: "w", Kind: workflow.KindWait, Events: []string{"e"}, All: true}},
			Events: map[string]string{"e": "integer"}}}
	}
	second := store.Definition{Workflow: enrich.Workflow, Version: 1 << 40}
	is := func(what string, want map[store.Definition][]store.Shape) {
		t.Helper()
		got, err := b.s.Shapes(t.Context())
		b.ok(err)
		same(t, what, got, want)
	}
	is("nothing", map[store.Definition][]store.Shape{})
	b.ok(b.s.Note(t.Context(), enrich, []store.Shape{shape("a", time.Time{})}))
	b.ok(b.s.Note(t.Context(), second, []store.Shape{shape("b", time.Time{})}))
	b.ok(b.s.Note(t.Context(), enrich, []store.Shape{shape("a", time.Time{}), shape("c", began)}))
	want := map[store.Definition][]store.Shape{enrich: {shape("a", time.Time{}), shape("c", began)}, second: {shape("b", time.Time{})}}
	is("two definitions", want)
	if h.Restart != nil {
		b.s = h.Restart(t, b.s)
		is("after a restart", want)
	}
	if h.Close != nil {
		h.Close(t, b.s)
		_, err := b.s.Shapes(t.Context())
		b.is("Shapes of a closed store", err, store.ErrClosed)
		b.is("Note of a closed store", b.s.Note(t.Context(), enrich, nil), store.ErrClosed)
	}
}
