package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	hookKey    = "bench-key"
	hookSecret = "0123456789abcdef0123456789abcdef"
)

// webhooks measures how soon the program, as a process of its own with
// synchronous=FULL, acknowledges webhooks over HTTP: sign-ups and results of
// FullEnrich, at 500 and at 2,000 a second and then as fast as clients can. A
// delivery of a steady rate takes as long as it is since it was due, not since it
// was sent.
func webhooks(ctx context.Context, s settings) (err error) {
	n, conc := cmp.Or(s.n, 5000), cmp.Or(s.conc, 32)
	tokens := make(chan string, 1)
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var order struct {
			Webhook string `json:"webhook_url"`
		}
		if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&order) == nil {
			select {
			case tokens <- order.Webhook:
			default:
			}
		}
		fmt.Fprint(w, `{"enrichment_id":"0190d3c8-7d4e-7000-8000-000000000001","balance":100000,"workspace_id":"0190d3c8-7d4e-7000-8000-000000000002"}`)
	}))
	defer partner.Close()
	p, err := s.place(ctx, "webhooks")
	if err != nil {
		return err
	}
	served, err := s.serve(ctx, p, partner.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.stop()) }()
	base := served.base
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}, Timeout: 30 * time.Second}
	signUp := func(name string) func(int) error {
		return func(i int) error { return postSignUp(ctx, client, base, fmt.Sprintf("%s-%d", name, i)) }
	}
	if err := signUp("first")(0); err != nil {
		return err
	}
	var token string
	select {
	case token = <-tokens:
	case <-time.After(time.Minute):
		return errors.New("the program submitted nothing within a minute")
	}
	result := func(name string) func(int) error {
		return func(i int) error { return postResult(ctx, client, token, fmt.Sprintf("%s-%d", name, i)) }
	}
	for _, load := range []struct {
		name string
		send func(string) func(int) error
	}{{"sign-ups", signUp}, {"results", result}} {
		for _, rate := range []int{500, 2000} {
			how := fmt.Sprintf("%d/s", rate)
			if err := report(load.name, how, n, atRate(n, rate, load.send(strconv.Itoa(rate)))); err != nil {
				return err
			}
		}
		if err := report(load.name, fmt.Sprintf("%d clients", conc), n, closedLoop(n, conc, load.send("closed"))); err != nil {
			return err
		}
	}
	return nil
}

// loaded is what a load came to.
type loaded struct {
	acks  []time.Duration
	took  time.Duration
	fault error
}

func report(what, how string, n int, l loaded) error {
	if l.fault != nil {
		return fmt.Errorf("%s at %s: %w", what, how, l.fault)
	}
	fmt.Printf("%-8s  %-10s  %d acknowledged, %.0f/s, p50 %s  p99 %s  max %s\n", what, how, n, float64(n)/l.took.Seconds(),
		quantile(l.acks, 0.5).Round(10*time.Microsecond), quantile(l.acks, 0.99).Round(10*time.Microsecond),
		quantile(l.acks, 1).Round(10*time.Microsecond))
	return nil
}

// atRate sends n deliveries at a steady rate, whatever the answers do.
func atRate(n, rate int, send func(int) error) loaded {
	out := loaded{acks: make([]time.Duration, n)}
	faults := make([]error, n)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range n {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		all.Go(func() {
			faults[i] = send(i)
			out.acks[i] = time.Since(due)
		})
	}
	all.Wait()
	out.took, out.fault = time.Since(begun), firstOf(faults)
	return out
}

// closedLoop sends n deliveries from conc clients, each its next when the one
// before is acknowledged.
func closedLoop(n, conc int, send func(int) error) loaded {
	out := loaded{acks: make([]time.Duration, n)}
	faults, work := make([]error, n), make(chan int)
	begun := time.Now()
	var all sync.WaitGroup
	for range conc {
		all.Go(func() {
			for i := range work {
				sent := time.Now()
				faults[i] = send(i)
				out.acks[i] = time.Since(sent)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	out.took, out.fault = time.Since(begun), firstOf(faults)
	return out
}

func firstOf(faults []error) error {
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

func postSignUp(ctx context.Context, client *http.Client, base, id string) error {
	body := fmt.Sprintf(`{"email":"%s@gmail.com","source":"bench","firstName":"Mara","tags":["weekly"]}`, id)
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	io.WriteString(mac, id+"."+at+"."+body)
	return deliver(ctx, client, base+"/webhooks/subscribers", body, http.StatusAccepted, map[string]string{
		"webhook-id": id, "webhook-timestamp": at, "webhook-signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}

// postResult delivers a signed body of 4 KiB, about what a contact has.
func postResult(ctx context.Context, client *http.Client, url, id string) error {
	body := fmt.Sprintf(`{"id":"0190d3c8-7d4e-7000-8000-000000000003","name":%q,"data":[],"pad":%q}`, id, strings.Repeat("x", 4<<10))
	mac := hmac.New(sha1.New, []byte(hookKey))
	io.WriteString(mac, body)
	return deliver(ctx, client, url, body, http.StatusOK, map[string]string{"X-Signature-SHA1": hex.EncodeToString(mac.Sum(nil))})
}

func deliver(ctx context.Context, client *http.Client, url, body string, want int, header map[string]string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != want {
		err = fmt.Errorf("%d instead of %d: %s", res.StatusCode, want, answer)
	}
	return err
}
