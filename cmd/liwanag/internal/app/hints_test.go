package app

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestANodesListenersHearOfWhatOthersDo(t *testing.T) {
	base, _ := startSimulator(t, 200)
	s := settings(t, base)
	s.DatabaseURL = pgtest.Database(t)
	one := start(t, Config{Settings: s})
	two := start(t, Config{Settings: s})
	type end struct {
		node int
		run  string
	}
	ends := make(chan end, 10_000)
	for i, node := range []*running{one, two} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", node.URL()+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		go func() {
			for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
				if strings.Contains(lines.Text(), `"status":"completed"`) {
					ends <- end{i, lines.Text()}
				}
			}
		}()
	}
	// A run is executed by one of them. Runs are started until both heard of the end of
	// the same one: a node is deaf until its connection listens.
	heard := map[string]map[int]bool{}
	await(t, "the end of one run on both nodes", func() bool {
		call(t, "POST", one.URL()+"/api/v1/enrichments", "", nil)
		for len(ends) > 0 {
			e := <-ends
			if heard[e.run] == nil {
				heard[e.run] = map[int]bool{}
			}
			if heard[e.run][e.node] = true; len(heard[e.run]) == 2 {
				return true
			}
		}
		return false
	})
	one.halt(t)
	two.halt(t)
}
