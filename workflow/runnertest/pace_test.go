package runnertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestAScenarioThatTheMachineWasTooSlowForIsTriedAgainSlower(t *testing.T) {
	for _, c := range []struct {
		name  string
		late  time.Duration // of an act that takes no time as planned
		fails int           // tries
		tries int
		fault string
	}{
		{"in time and right", 0, 0, 1, "[]"},
		{"in time and wrong", 80 * time.Millisecond, 9, 1, "[wrong in try 1]"},
		{"late and right", time.Hour, 0, 1, "[]"},
		{"late and wrong once", time.Second, 1, 2, "[]"},
		{"late and wrong until it is in time", 300 * time.Millisecond, 9, 2, "[wrong in try 2]"},
		{"always late and wrong", time.Hour, 9, 3, "[wrong in try 3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				faults := Config{Second: time.Second}.paced(t, scenario{test: func(w *world) {
					tries++
					began := time.Now()
					time.Sleep(c.late)
					w.keep(began, 0)
					if tries <= c.fails {
						w.Fatalf("wrong in try %d", tries)
						t.Error("Fatalf returns")
					}
				}})
				if got := fmt.Sprint(faults); tries != c.tries || got != c.fault {
					t.Errorf("%d tries, %s; want %d, %s", tries, got, c.tries, c.fault)
				}
			})
		})
	}
}
