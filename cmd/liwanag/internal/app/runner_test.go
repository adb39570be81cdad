package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

func TestRunsWithoutADefinitionAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		var notices []string
		for _, step := range []string{"a", "renamed"} {
			wf := workflow.New[int]("story")
			workflow.Step(wf, step, func(context.Context, int) (int, error) { return 0, nil })
			workflow.Sleep(wf, "sleep", time.Minute)
			e, err := engine.New(engine.Config{Store: s, Definitions: []workflow.Definition{wf}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			time.Sleep(time.Second)
			if step == "a" {
				for _, id := range []string{"one", "two"} {
					if err := wf.Start(ctx, e, id, 1); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Second)
			if step != "a" {
				time.Sleep(time.Minute)
			}
			notices = leftAlone(e)
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
		if len(notices) != 1 || notices[0] != "2 runs of story version 1 have no definition: they were begun "+
			"by another one of this version, and stay as they are" {
			t.Errorf("the notices are %q", notices)
		}
	})
}
