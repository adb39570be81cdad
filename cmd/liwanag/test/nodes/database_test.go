package nodes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// lostWithin is how soon a server says that it has lost its database, and
// backWithin how soon it serves again once the database is back, on a busy machine:
// alone it takes seconds.
const (
	lostWithin = time.Minute
	backWithin = time.Minute
)

// The database cannot be reached for a while, and later its server crashes in
// the middle of an import: senders are told to repeat, nothing that was
// acknowledged is lost, and the servers go on by themselves.
func TestServersOutliveTheirDatabase(t *testing.T) {
	cluster := pgtest.NewServer(t)
	cluster.Exec(t, "postgres", "CREATE DATABASE liwanag")
	proxy := pgtest.NewProxy(t, cluster, "liwanag")
	w := newWorld(t, 2, cluster.URL("liwanag"), proxy.URL, "LIWANAG_LEASE="+lease.String())
	w.begin(8 * time.Millisecond)
	w.await("something was taken", func() error { return w.zero("SELECT 100 - least(100, count(*)) FROM subscriber") })

	proxy.Refuse(true)
	for _, n := range w.nodes {
		n.awaitLost()
		signUp, _ := json.Marshal(api.SignUp{Email: "nobody@gmail.com"})
		n.wantUnavailable("/api/v1/subscribers", signUp)
		n.wantUnavailable("/webhooks/fullenrich/token", []byte(`{"id":"0b9e3d1c-4a5e-4d6e-9f5c-111111111111"}`))
	}
	proxy.Refuse(false)
	for _, n := range w.nodes {
		w.within(backWithin, "the database is back", func() error { return n.client.Ready(w.ctx) })
	}

	const rows = 1000
	w.load.Go(func() {
		file := strings.ReplaceAll(process.File(0, rows), "person", "crowd")
		if err := process.Import(w.ctx, w.client, file); err != nil {
			t.Error(err)
			return
		}
		w.addresses.Add(rows)
	})
	w.await("a file is half imported", func() error {
		return w.zero("SELECT 1 - count(*) FROM upload WHERE status = 'importing' AND position BETWEEN 1 AND $1", rows-1)
	})
	cluster.Stop()
	for _, n := range w.nodes {
		n.awaitLost()
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	for _, n := range w.nodes {
		w.within(backWithin, "the database is back", func() error { return n.client.Ready(w.ctx) })
	}
	w.finish()
	for _, n := range w.nodes {
		n.Stop(t, time.Minute)
	}
}

// awaitLost waits until the server says that it cannot serve.
func (n *node) awaitLost() {
	n.w.t.Helper()
	n.w.within(lostWithin, "a server has lost its database", func() error {
		problem := new(apiclient.Problem)
		if err := n.client.Ready(n.w.ctx); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz says %v", err)
		}
		return nil
	})
}

// wantUnavailable sends what FullEnrich or a client sends, and wants to be told
// to repeat it before either gives the request up.
func (n *node) wantUnavailable(path string, body []byte) {
	n.w.t.Helper()
	request, err := http.NewRequestWithContext(n.w.ctx, http.MethodPost, "http://"+n.addr+path, bytes.NewReader(body))
	if err != nil {
		n.w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(fullenrich.SignatureHeader, fullenrich.Sign(simulator.DefaultKey, body))
	began := time.Now()
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		n.w.t.Errorf("POST %s without a database: %v", path, err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Content-Type") != "application/problem+json" ||
		answer.Header.Get("Retry-After") == "" {
		n.w.t.Errorf("POST %s without a database: %s, %v", path, answer.Status, answer.Header)
	}
	n.w.t.Logf("POST %s without a database: %s after %s", path, answer.Status, time.Since(began).Round(time.Millisecond))
}
