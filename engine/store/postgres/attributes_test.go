package postgres

import (
	"testing"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// fillAttributes gives every second run one attribute, and one in three thousand another.
func fillAttributes(t *testing.T, s *Store) {
	t.Helper()
	exec(t, s, "UPDATE wf_run SET input = '' WHERE park_kind <> ''")
	exec(t, s, "INSERT INTO wf_attribute (key, value, at, run_id) SELECT 'half', 'x', created_at, id FROM wf_run WHERE created_at % 2 = 0")
	exec(t, s, "INSERT INTO wf_attribute (key, value, at, run_id) SELECT 'few', 'x', created_at, id FROM wf_run WHERE created_at % 3000 = 0")
	exec(t, s, "VACUUM ANALYZE")
}

// Of an attribute that half of the runs have and of one that nearly none has, a page is
// read by the attribute, and run by run.
func plannedOfAttributes(t *testing.T) (all []planned) {
	type attributes = workflow.Attributes
	for name, q := range map[string]store.Query{
		"a page of half of the runs":     {Attributes: attributes{"half": "x"}},
		"the next page of them":          {Attributes: attributes{"half": "x"}, Cursor: store.Cursor(store.Run{ID: "x"})},
		"a page of a few runs":           {Attributes: attributes{"few": "x"}},
		"a page of runs with two":        {Attributes: attributes{"few": "x", "half": "x"}},
		"a page of half, of a workflow":  {Attributes: attributes{"half": "x"}, Workflow: "w", Status: store.Completed},
		"a page of runs that none has":   {Attributes: attributes{"none": "x"}},
		"a page of named runs":           {Attributes: attributes{"half": "x"}, IDs: []string{"a", "b"}},
		"a page of sub-runs with a mark": {Attributes: attributes{"half": "x"}, Parent: "r"},
	} {
		query, args := pageOf(t, q)
		all = append(all, planned{name, query, args, false, "wf_attribute_pkey", q.IDs != nil || q.Status != ""})
		if q.IDs != nil || q.Parent != "" {
			all[len(all)-1].by = "wf_attribute"
		}
	}
	ids := [][]byte{store.PackID("x"), store.PackID("y")}
	b := queuedAll(func(b batch) {
		writeAttributes(b, []attributeOf{{ids[0], "half", "x"}, {ids[1], "half", "x"}})
	})
	return append(all,
		planned{"the attributes of runs", attributesQuery, []any{ids}, false, "wf_attribute_run", false},
		planned{"how rare attributes are", rarityQuery, []any{[]string{"half", "few"}, []string{"x", "x"}, common}, false,
			"wf_attribute_pkey", true},
		planned{"what is unset", b[0].SQL, b[0].Arguments, true, "wf_attribute_", false},
		planned{"what is set", b[1].SQL, b[1].Arguments, true, "wf_run_pkey", false},
		planned{"pruned attributes", pruneBelow[2], []any{ids[:1], ids[1:]}, true, "wf_attribute_run", false})
}

func TestARunWithoutAttributesAsksForNone(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	exec(t, s, "DROP TABLE wf_attribute")
	run := store.Run{ID: "r", Workflow: "w", Version: 1, Input: []byte("{}"), Status: store.Open, Seq: 1}
	if err := s.Create(t.Context(), run); err != nil {
		t.Error(err)
	}
	if _, _, err := s.List(t.Context(), store.Query{}); err != nil {
		t.Error(err)
	}
}
