package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver takes webhooks out in, and answers with the status that the path begins
// with: $RECEIVER/503/hook is down.
type receiver struct {
	mu    sync.Mutex
	taken []taken
}

// receiverKey finds the receiver of a script.
type receiverKey struct{}

type taken struct {
	header http.Header
	body   []byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	status, bad := strconv.Atoi(strings.Split(req.URL.Path, "/")[1])
	if err != nil || bad != nil {
		status = http.StatusBadRequest
	}
	if status == http.StatusOK {
		r.mu.Lock()
		r.taken = append(r.taken, taken{req.Header, body})
		r.mu.Unlock()
	}
	w.WriteHeader(status)
}

// startReceiver starts a receiver that ends with the script.
func startReceiver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: receiver")
	}
	server := httptest.NewServer(ts.Value(receiverKey{}).(*receiver))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

// received waits for so many webhooks that match, each signed with the secret.
func received(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: received N SECRET REGEXP")
	}
	r, want := ts.Value(receiverKey{}).(*receiver), regexp.MustCompile(args[2])
	wh, err := standardwebhooks.NewWebhook(args[1])
	ts.Check(err)
	var all []string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		matching := 0
		all = nil
		r.mu.Lock()
		for _, one := range r.taken {
			all = append(all, string(one.body))
			if want.Match(one.body) {
				matching++
				ts.Check(wh.Verify(one.body, one.header))
			}
		}
		r.mu.Unlock()
		if fmt.Sprint(matching) == args[0] {
			return
		}
	}
	ts.Fatalf("%s webhooks that match %s never came; these did:\n%s", args[0], args[2], strings.Join(all, "\n"))
}
