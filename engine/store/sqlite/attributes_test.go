package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// plansOfAttributes read a page by the attribute, and run by run.
func plansOfAttributes(t *testing.T) (all []plan) {
	type attributes = workflow.Attributes
	cursor := store.Cursor(store.Run{ID: "x"})
	for _, c := range []struct {
		query store.Query
		want  string
	}{
		{store.Query{Attributes: attributes{"k": "v"}}, "SEARCH wf_attribute USING PRIMARY KEY (key=? AND value=?)"},
		{store.Query{Attributes: attributes{"k": "v"}, Cursor: cursor}, "SEARCH wf_attribute USING PRIMARY KEY (key=? AND value=? AND (at,run_id)<(?,?))"},
		{store.Query{Attributes: attributes{"k": "v", "l": "v"}, Workflow: "w", Status: store.Failed},
			"SEARCH wf_attribute USING PRIMARY KEY (key=? AND value=?); SEARCH wf_run USING PRIMARY KEY (id=?); SEARCH has EXISTS USING COVERING INDEX wf_attribute_run"},
		{store.Query{Attributes: attributes{"k": "v"}, Parent: "r", Status: store.Failed}, "SEARCH has EXISTS USING COVERING INDEX wf_attribute_run (run_id=? AND key=? AND value=?)"},
		{store.Query{Attributes: attributes{"k": "v"}, Parent: "r"}, "SEARCH has EXISTS USING COVERING INDEX wf_attribute_run (run_id=? AND key=? AND value=?)"},
	} {
		query, args := queryOf(t, c.query)
		all = append(all, plan{query, args, c.want})
	}
	return append(all,
		plan{attributesQuery, []any{1}, "SEARCH wf_attribute USING COVERING INDEX wf_attribute_run (run_id=?)"},
		plan{rarityQuery, []any{"k", "v", common}, "SEARCH wf_attribute USING PRIMARY KEY (key=? AND value=?)"},
		plan{unsetQuery, []any{1, "k", "v"}, "wf_attribute_run (run_id=? AND key=?)"},
		plan{setQuery, []any{"k", "v", 1}, "SEARCH wf_run USING PRIMARY KEY (id=?)"},
		plan{pruneBelow[2], []any{1, 2}, "wf_attribute_run (run_id>? AND run_id<?)"})
}

func TestARunWithoutAttributesAsksForNone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	err := s.db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("DROP TABLE wf_attribute")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	run := store.Run{ID: "r", Workflow: "w", Version: 1, Input: []byte("{}"), Status: store.Open, Seq: 1}
	if err := s.Create(t.Context(), run); err != nil {
		t.Error(err)
	}
	if _, _, err := s.List(t.Context(), store.Query{}); err != nil {
		t.Error(err)
	}
}
