package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/fullenrich"
)

type partner struct {
	fault   error
	balance float64
}

func (p partner) VerifyKey(context.Context) (string, error) { return "ws-1", p.fault }
func (p partner) Credits(context.Context) (float64, error)  { return p.balance, p.fault }

func TestFindingsSayWhatToDo(t *testing.T) {
	ctx := t.Context()
	refused := &fullenrich.Error{Status: 401}
	down := &fullenrich.Error{Status: 503}
	for name, c := range map[string]struct {
		got   api.Finding
		state string
		what  string
	}{
		"key":              {Key(ctx, partner{}), OK, "workspace ws-1"},
		"no key":           {Key(ctx, nil), Wrong, "no FullEnrich key"},
		"refused key":      {Key(ctx, partner{fault: refused}), Wrong, "refuses the key"},
		"FullEnrich down":  {Key(ctx, partner{fault: down}), Warning, "HTTP 503"},
		"not reached":      {Key(ctx, partner{fault: errors.New("dial")}), Wrong, "cannot be reached"},
		"credits":          {Credits(ctx, partner{balance: 500}, 100), OK, "500 credits"},
		"few credits":      {Credits(ctx, partner{balance: 50}, 100), Warning, "below the mark of 100"},
		"no credits":       {Credits(ctx, partner{}, 0), Wrong, "no credits left"},
		"unknown balance":  {Credits(ctx, partner{fault: down}, 0), Skipped, "does not say"},
		"balance, no key":  {Credits(ctx, nil, 0), Skipped, "Without a key"},
		"disk":             {Disk(5<<30, 1<<20), OK, "5.0 GiB are free"},
		"disk below twice": {Disk(5<<30, 6<<30), Warning, "which has 6.0 GiB"},
		"disk nearly full": {Disk(1<<20, 1<<20), Wrong, "Only 1.0 MiB"},
		"clocks agree":     {Clock("the database's", time.Second), OK, "agree"},
		"clock ahead":      {Clock("the database's", time.Minute), Wrong, "1m0s ahead of the database's"},
		"clock behind":     {Clock("the database's", -time.Minute), Wrong, "1m0s behind the database's"},
	} {
		f := c.got
		if f.State != c.state || !strings.Contains(f.What, c.what) || !strings.HasSuffix(f.What, ".") {
			t.Errorf("%s: %+v", name, f)
		}
		if told := f.Do != "" && f.Command != ""; told != (f.State == Wrong || f.State == Warning) {
			t.Errorf("%s: what to do: %+v", name, f)
		}
	}
}

func TestFullEnrichTellsTheTimeByItsDate(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]string{0: OK, time.Hour: Wrong, -time.Hour: Wrong} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Add(-ahead).Format(http.TimeFormat))
		}))
		f := FullEnrichClock(t.Context(), srv.Client(), srv.URL, func() time.Time { return now })
		if f.State != want {
			t.Errorf("%s ahead: %+v", ahead, f)
		}
		srv.Close()
		if f := FullEnrichClock(t.Context(), srv.Client(), srv.URL, time.Now); f.State != Skipped {
			t.Errorf("nobody answers: %+v", f)
		}
	}
}

func TestAWarningLeavesAllWellAndAFaultDoesNot(t *testing.T) {
	check := func(f api.Finding) Check { return One("it", func(context.Context) api.Finding { return f }) }
	d := Examine(t.Context(), "v1", check(Well("Fine.")), check(Odd("Do.", "do", "Odd.")), check(Unseen("Not seen.")))
	if !d.OK || len(d.Findings) != 3 || d.Findings[1].Check != "it" || d.Version != "v1" {
		t.Errorf("%+v", d)
	}
	if d := Examine(t.Context(), "v1", check(Bad("Do.", "do", "Bad.")), check(Well("Fine."))); d.OK ||
		len(d.Findings) != 2 {
		t.Errorf("%+v", d)
	}
}
