package httpapi

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// counted are the rows of what is counted, each as actor, act, client and times.
func (w *world) counted() (all []string) {
	w.t.Helper()
	acts, err := api.ListActs.Call(w.t.Context(), w.client(), api.ActQuery{})
	w.must(err)
	for _, a := range acts.Items {
		all = append(all, fmt.Sprint(a.Actor, " ", a.Act, " ", a.Client, " ", a.Times))
	}
	slices.Sort(all)
	return all
}

func TestFailuresAreCountedWithTheirClient(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		ask := func(method, path, from, auth string) int {
			r := request(method, path, "")
			r.RemoteAddr = from
			r.Header.Del("Authorization")
			if auth != "" {
				r.Header.Set("Authorization", auth)
			}
			return w.do(r).Code
		}
		for range 15 {
			go ask("GET", "/api/v1/runs", "192.0.2.1:5", "Bearer wrong")
		}
		synctest.Wait()
		ask("GET", "/api/v1/runs", "[2001:db8::7]:5", "")
		ask("POST", "/webhooks/subscribers", "192.0.2.2:5", "")
		w.mount()
		w.browse("POST", "/sign-in", "link=wrong", "")
		time.Sleep(2 * time.Minute)
		want := []string{"unknown access.refuse 2001:db8::/64 1", "unknown key.refuse 192.0.2.1 15", "unknown link.refuse 192.0.2.1 1",
			"unknown signature.refuse 192.0.2.2 1"}
		if got := w.counted(); !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
		log := w.log.String()
		if n := strings.Count(log, "could not prove who it is"); n > 12 || !strings.Contains(log, "client=192.0.2.1") {
			t.Errorf("%d lines: %s", n, log)
		}
		for _, line := range strings.Split(log, "\n") {
			if strings.Contains(line, "status=401") && !strings.Contains(line, "level=DEBUG") {
				t.Errorf("a line for one guess: %s", line)
			}
		}
	})
}

func TestReadsOfPersonalDataAreCountedWithTheirClient(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		r := request("GET", "/api/v1/subscribers", "")
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("X-Forwarded-For", fmt.Sprint("203.0.113.", i/3))
		w.do(r)
	}
	w.call("GET", "/api/v1/subscribers/export", "")
	w.call("GET", "/api/v1/runs", "")
	want := []string{"key subscribers.export 192.0.2.1 1", "key subscribers.list 203.0.113.0 3", "key subscribers.list 203.0.113.1 2"}
	if got := w.counted(); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	w.clock.advance(11 * time.Minute)
	w.call("GET", "/api/v1/subscribers", "")
	if got := w.counted(); len(got) != 4 {
		t.Errorf("in another window: %q", got)
	}
}

func TestWhatIsCountedOfClientsIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 1200 {
		r := request("GET", "/api/v1/runs", "")
		r.RemoteAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1).String()
		r.Header.Set("Authorization", "Bearer wrong")
		w.do(r)
	}
	w.must(w.server.Tallied(t.Context()))
	rows, others, cursor := 0, int64(0), ""
	for {
		page, next, err := w.store.Acts.List(t.Context(), liwanag.ActFilter{}, liwanag.Page{Limit: 500, Cursor: cursor})
		w.must(err)
		rows += len(page)
		for _, a := range page {
			if a.Client == "others" {
				others = a.Times
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if rows != 1001 || others != 200 {
		t.Errorf("%d rows, %d of others", rows, others)
	}
}

func TestNoBrowserGoesBackToPlainHTTP(t *testing.T) {
	for public, want := range map[string]bool{"https://l.example.com": true, publicURL: false} {
		w := newWorld(t, func(c *Config) { c.PublicURL = public })
		if got := w.call("GET", "/healthz", "").Header().Get("Strict-Transport-Security"); (got != "") != want {
			t.Errorf("%s: %q", public, got)
		}
	}
}
