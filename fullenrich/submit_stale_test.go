package fullenrich

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func TestSubmitGivesUpWhenStale(t *testing.T) {
	var requests atomic.Int32
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			requests.Add(1)
		}
	})
	order := newOrder()
	order.CommittedAt = time.Now().Add(-10*time.Second - time.Millisecond)
	_, err := newTestClient(t, Config{BaseURL: server.URL}).Submit(t.Context(), order)
	if e := failure(t, err); e.Outcome != OutcomeAmbiguous || !errors.Is(err, ErrStale) || requests.Load() != 0 {
		t.Errorf("Submit: %v after %d whole requests", err, requests.Load())
	}
	order.MaxAge = time.Minute
	if _, err = newTestClient(t, Config{BaseURL: server.URL}).Submit(t.Context(), order); errors.Is(err, ErrStale) {
		t.Errorf("with a MaxAge of a minute: %v", err)
	}
}

// The age counts when the body is read, however late the transport does so.
func TestSubmitGivesUpWhenStaleAtTheLastMoment(t *testing.T) {
	t.Run("slow to read the body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var sent string
			slow := roundTripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(11 * time.Second)
				body, err := io.ReadAll(r.Body)
				sent = string(body)
				return nil, err
			})
			client, err := New(Config{Key: testKey, Transport: slow})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Submit(t.Context(), newOrder())
			if e := failure(t, err); e.Outcome != OutcomeAmbiguous || !errors.Is(err, ErrStale) || sent != "" {
				t.Errorf("Submit: %v, sent %q", err, sent)
			}
		})
	})
	t.Run("slow to connect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			arrived := make(chan string)
			go func() {
				request, err := http.ReadRequest(bufio.NewReader(theirs))
				if err != nil {
					arrived <- ""
					return
				}
				body, _ := io.ReadAll(request.Body)
				arrived <- string(body)
			}()
			transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				time.Sleep(11 * time.Second)
				return ours, nil
			}}
			client, err := New(Config{Key: testKey, Transport: transport, BaseURL: "http://127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Submit(t.Context(), newOrder())
			if e := failure(t, err); e.Outcome != OutcomeAmbiguous || !errors.Is(err, ErrStale) {
				t.Errorf("Submit: %v", err)
			}
			_ = ours.Close()
			if body := <-arrived; body != "" {
				t.Errorf("sent %q", body)
			}
		})
	})
}

func TestSubmitLooksAtBothClocks(t *testing.T) {
	committed := time.Now()
	order := SubmitRequest{CommittedAt: committed}
	for _, test := range []struct {
		name            string
		monotonic, wall time.Duration
		fresh           bool
	}{
		{"in time", 10 * time.Second, 10 * time.Second, true},
		{"too late", 11 * time.Second, 11 * time.Second, false},
		{"the machine slept", time.Second, 11 * time.Second, false},
		{"the clock was set back", 11 * time.Second, time.Second, false},
	} {
		now := shiftMonotonic(committed.Add(test.wall), test.monotonic-test.wall)
		if now.Sub(committed) != test.monotonic || now.Round(0).Sub(committed.Round(0)) != test.wall {
			t.Fatal("the layout of time.Time has changed")
		}
		if order.fresh(now) != test.fresh {
			t.Errorf("%s: fresh = %v", test.name, !test.fresh)
		}
	}
}

// shiftMonotonic moves one of the two clocks in t; the time package has no way.
func shiftMonotonic(t time.Time, by time.Duration) time.Time {
	layout := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	layout.ext += int64(by)
	return t
}

func TestSubmitHonorsCancelUntilTheOrderLeaves(t *testing.T) {
	t.Run("before the call", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newTestClient(t, Config{}).Submit(ctx, newOrder())
		if e := failure(t, err); e.Outcome != OutcomeNotSent || !errors.Is(err, context.Canceled) {
			t.Errorf("Submit: %v", err)
		}
	})
	t.Run("while connecting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			start := time.Now()
			_, err := newRealClient(t, transport).Submit(ctx, newOrder())
			if e := failure(t, err); e.Outcome != OutcomeNotSent || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Submit: %v", err)
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("in flight", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			_, _ = fmt.Fprintf(w, `{"enrichment_id":%q}`, testID)
		})
		id, err := newTestClient(t, Config{BaseURL: server.URL}).Submit(ctx, newOrder())
		if err != nil || id != testID {
			t.Errorf("Submit = %q, %v, want the answer that was under way", id, err)
		}
	})
}

func TestSubmitEndsAfter20Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(r *http.Request) (*http.Response, error) {
			_, _ = io.ReadAll(r.Body)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		_, err := newRealClient(t, hang).Submit(t.Context(), newOrder())
		if e := failure(t, err); e.Outcome != OutcomeAmbiguous || !strings.Contains(err.Error(), "timed out") {
			t.Errorf("Submit: %v", err)
		}
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// newRealClient has the limits that users get, for virtual time.
func newRealClient(t *testing.T, transport http.RoundTripper) *Client {
	t.Helper()
	client, err := New(Config{Key: testKey, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
