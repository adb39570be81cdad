package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/engine/store"
)

// looks is how often each page is asked for.
const looks = 15

// console fills a database with runs and subscribers, starts the program on it and
// measures pages of the console and listings of the API, while sign-ups come in.
func console(ctx context.Context, s settings) (err error) {
	n := cmp.Or(s.n, 100_000)
	p, err := s.place(ctx, "console")
	if err != nil {
		return err
	}
	begun := time.Now()
	seen, err := fillConsole(ctx, p, n)
	if err != nil {
		return err
	}
	size, err := p.size(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d runs, submissions and subscribers, %d MiB, written in %s\n", n, size>>20, time.Since(begun).Round(time.Second))
	served, err := s.serve(ctx, p, "http://127.0.0.1:1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.stop()) }()
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ctx, stop := context.WithCancel(ctx)
	came := make(chan int, 1)
	go func() { came <- signUps(ctx, client, served.base) }()
	defer func() {
		stop()
		fmt.Printf("meanwhile %d sign-ups came in\n", <-came)
	}()
	return seen.measure(ctx, client, served.base)
}

// signUps sends sign-ups, twenty a second, and says how many were taken in.
func signUps(ctx context.Context, client *http.Client, base string) (taken int) {
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return taken
		case <-time.After(50 * time.Millisecond):
		}
		if postSignUp(ctx, client, base, fmt.Sprintf("while-%d", i)) == nil {
			taken++
		}
	}
}

// written is something of a filled database to be looked up.
type written struct{ run, subscriber, submission, email string }

// fillConsole writes runs that ended, one subscriber, job and submission each.
func fillConsole(ctx context.Context, p place, n int) (w written, err error) {
	t, err := p.openTables(ctx)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	const group = 500
	first := now().Add(-time.Duration(n) * time.Minute)
	node, err := t.runs.Heartbeat(ctx, "bench", time.Hour)
	if err != nil {
		return w, err
	}
	for at := 0; at < n; at += group {
		runs := make([]liwanag.ID, min(group, n-at))
		for i := range runs {
			runs[i] = liwanag.NewID(liwanag.RunKind)
		}
		created := func(i int) time.Time { return first.Add(time.Duration(at+i) * time.Minute) }
		if err := t.app.Write(ctx, func(tx *datastore.Tx) error {
			for i, run := range runs {
				if w, err = person(tx, run, at+i, created(i)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return w, err
		}
		var next atomic.Int64
		if _, err := loop(len(runs), len(runs), func() error {
			i := int(next.Add(1)) - 1
			return ended(ctx, t.runs, node, runs[i].String(), at+i, created(i))
		}); err != nil {
			return w, err
		}
	}
	return w, nil
}

// person writes one sign-up and what became of it: most were found, the others
// stand for every end.
func person(tx *datastore.Tx, run liwanag.ID, i int, at time.Time) (w written, err error) {
	email := fmt.Sprintf("person.%d@gmail.com", i)
	id, job, sub := liwanag.NewID(liwanag.SubscriberKind), liwanag.NewID(liwanag.JobKind), liwanag.NewID(liwanag.SubmissionKind)
	status := []liwanag.JobStatus{liwanag.JobEnriched, liwanag.JobEnriched, liwanag.JobNotFound, liwanag.JobFailed}[i%4]
	signUp := liwanag.SignUp{ID: id, EmailKey: email, Email: email, EmailType: liwanag.Personal, Source: "bench", At: at,
		Stated: liwanag.Statement{FirstName: "Mara", LastName: fmt.Sprint("Ilagan ", i),
			FullName: fmt.Sprint("Mara Ilagan ", i), CompanyName: fmt.Sprint("Company ", i%5000)}}
	if _, err = tx.Subscribers.Upsert([]liwanag.SignUp{signUp}); err != nil {
		return w, err
	}
	if err = tx.Batches.Insert([]liwanag.Batch{{RunID: run, ClosesAt: at, Size: 1, State: liwanag.BatchClosed,
		Started: true, CreatedAt: at}}); err != nil {
		return w, err
	}
	if _, err = tx.Jobs.Insert([]liwanag.Job{{ID: job, SubscriberID: id, RunID: run, Status: status, Credits: 1,
		CreatedAt: at, EndedAt: at.Add(time.Minute)}}); err != nil {
		return w, err
	}
	err = tx.Submissions.Insert(liwanag.Submission{ID: sub, RunID: run, N: 1, State: liwanag.SubmissionSettled,
		Name: "liwanag-" + sub.String(), Jobs: 1,
		PreparedAt: at, SendingAt: at, OutcomeAt: at, Credits: 1, CreditDay: liwanag.DayOf(at)}, []liwanag.ID{job})
	return written{run.String(), id.String(), sub.String(), email}, err
}

// ended writes a run that ended: one in a hundred failed.
func ended(ctx context.Context, to store.Store, node store.Node, id string, i int, at time.Time) error {
	const workflow = "subscriber-enrichment"
	if err := to.Create(ctx, store.Run{ID: id, Workflow: workflow, Version: 1, Input: json.RawMessage("{}"), CreatedAt: at,
		StartedAt: at, Status: store.Open, Seq: 1, Owner: node.Epoch}); err != nil {
		return err
	}
	end := &store.Ending{Status: store.Completed}
	if i%100 == 0 {
		end.Status = store.Failed
	}
	_, err := to.Commit(ctx, store.Lease{RunID: id, Epoch: node.Epoch, Token: 1},
		store.Progress{Now: at.Add(time.Minute), End: end, Append: []store.Entry{
			{Kind: store.EntryCompleted, Step: shape.First, Attempt: 1, At: at, StartedAt: at, Output: batchJSON}}})
	return err
}

// measure asks for every page, and follows listings to pages far behind.
func (w written) measure(ctx context.Context, client *http.Client, base string) error {
	pages := []string{"/", "/?range=30d", "/runs", "/runs?status=failed", "/runs?status=waiting", "/runs?status=running",
		"/runs?q=" + w.email, "/runs/" + w.run,
		"/workflows", "/workflows/subscriber-enrichment", "/subscribers", "/subscribers?status=failed", "/subscribers?q=" + w.email, "/subscribers?q=nobody+at+all",
		"/subscribers/" + w.subscriber, "/uploads", "/sources", "/deliveries", "/sinks", "/messages", "/submissions", "/submissions?state=held",
		"/submissions/" + w.submission, "/credits", "/audit",
		"/api/v1/overview", "/api/v1/overview?range=30d", "/api/v1/workflows/subscriber-enrichment/counts", "/api/v1/runs?limit=500", "/api/v1/runs?status=failed",
		"/api/v1/runs?status=timed_out", "/api/v1/runs?status=waiting", "/api/v1/runs?workflow=webhook-out", "/api/v1/subscribers?limit=500", "/api/v1/subscribers?source=nowhere",
		"/api/v1/subscribers?emailType=corporate", "/api/v1/subscribers?q=company+4999",
		"/api/v1/subscribers?q=mara+gm", "/api/v1/subscribers?q=ilagan+77", "/api/v1/subscribers?seniority=VP", "/api/v1/subscribers?country=germany",
		"/api/v1/subscribers?companyDomain=acme.example", "/api/v1/subscribers?jobTitle=founder", "/api/v1/subscribers?headcountMin=50",
		"/api/v1/subscribers?sort=headcount&total=true", "/api/v1/companies", "/api/v1/submissions?limit=500",
		"/api/v1/submissions?state=refused", "/api/v1/credits"}
	slow := 0
	for _, page := range pages {
		late, err := look(ctx, client, base, page, page)
		if err != nil {
			return err
		}
		slow += late
	}
	for _, listing := range []string{"/api/v1/runs?limit=500", "/api/v1/subscribers?limit=500", "/api/v1/submissions?limit=500"} {
		far, err := follow(ctx, client, base, listing, 40)
		if err != nil {
			return err
		}
		late, err := look(ctx, client, base, far, listing+", page 41")
		if err != nil {
			return err
		}
		slow += late
	}
	fmt.Printf("%d pages took longer than 200 ms at the 95th of a hundred\n", slow)
	return nil
}

// look asks for a page a few times. late is 1 when it is slow.
func look(ctx context.Context, client *http.Client, base, page, name string) (late int, err error) {
	took := make([]time.Duration, looks)
	size := 0
	for i := range took {
		begun := time.Now()
		body, err := read(ctx, client, base+page)
		if err != nil {
			return 0, err
		}
		took[i], size = time.Since(begun), len(body)
	}
	p95 := quantile(took, 0.95)
	fmt.Printf("%-55s %4d KiB  p50 %s  p95 %s  max %s\n", name, size>>10, quantile(took, 0.5), p95, quantile(took, 1))
	if p95 > 200*time.Millisecond {
		return 1, nil
	}
	return 0, nil
}

// follow reads pages of a listing and returns the path of the one behind them.
func follow(ctx context.Context, client *http.Client, base, listing string, pages int) (string, error) {
	path := listing
	for range pages {
		body, err := read(ctx, client, base+path)
		if err != nil {
			return "", err
		}
		var page struct{ NextCursor string }
		if err := json.Unmarshal(body, &page); err != nil {
			return "", err
		}
		if page.NextCursor == "" {
			break
		}
		path = listing + "&cursor=" + page.NextCursor
	}
	return path, nil
}

func read(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(url, "@", "%40"), nil)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(url, "/api/") {
		request.Header.Set("Accept", "text/html")
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return body, err
}
