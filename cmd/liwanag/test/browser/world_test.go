package browser

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const apiKey = "a-key-of-the-browser-tests-0123456789"

// world is a server with a key, and the simulator that it orders lookups from.
type world struct {
	t       *testing.T
	url     string
	client  *apiclient.Client
	control simulator.Control
	env     []string
	server  *process.Process
}

// newWorld starts a server, with settings besides its own.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	base, control := process.StartSimulator(t, "--speed", "60")
	addr := process.FreeAddr(t)
	w := &world{t: t, url: "http://" + addr, control: control}
	w.env = append([]string{"LIWANAG_ADDR=" + addr, "LIWANAG_ADMIN_ADDR=off", "DATABASE_URL=sqlite:" + t.TempDir() + "/liwanag.db",
		"LIWANAG_API_KEY=" + apiKey, "FULLENRICH_BASE_URL=" + base, "FULLENRICH_API_KEY=" + simulator.DefaultKey, "LIWANAG_BATCH_WINDOW=300ms",
		"LIWANAG_CALLS_PER_MINUTE=2000", "LIWANAG_SINK_ALLOW=127.0.0.0/8"}, env...)
	var err error
	if w.client, err = apiclient.New(apiclient.Config{Server: w.url, APIKey: apiKey}); err != nil {
		t.Fatal(err)
	}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.server = process.Start(w.t, w.env, "serve")
	w.eventually("the server is ready", func(ctx context.Context) bool {
		select {
		case <-w.server.Ended:
			w.t.Fatalf("the server ended: %v\n%s", w.server.Err, w.server.Tail())
		default:
		}
		return w.client.Ready(ctx) == nil
	})
}

// restart starts the server again, with settings besides those it had.
func (w *world) restart(env ...string) {
	w.t.Helper()
	w.server.Stop(w.t, patience)
	w.env = append(w.env, env...)
	w.start()
}

// eventually polls the server until something is so.
func (w *world) eventually(what string, so func(ctx context.Context) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			w.t.Fatalf("it never came that %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// add adds a person and returns their id and run.
func (w *world) add(email string) (id, run string) {
	w.t.Helper()
	added, err := api.AddSubscriber.Call(w.t.Context(), w.client, api.SignUp{Email: email, Source: "blog"})
	w.must(err)
	return added.SubscriberID, added.RunID
}

// wantRun waits until a run has a status.
func (w *world) wantRun(run, status string) {
	w.t.Helper()
	w.eventually("run "+run+" is "+status, func(ctx context.Context) bool {
		r, err := runapi.GetRun.Call(ctx, w.client, runapi.ID(run))
		return err == nil && r.Status == status
	})
}

// paused adds a person while spending is paused: their run waits.
func (w *world) paused() (subscriber, run string) {
	w.t.Helper()
	_, err := api.PauseSubmissions.Call(w.t.Context(), w.client,
		api.PauseRequest{Body: &api.Reason{Reason: "the test wants a run that waits"}})
	w.must(err)
	subscriber, run = w.add("waits+found@gmail.com")
	w.eventually("the run waits for spending", func(ctx context.Context) bool {
		r, err := runapi.GetRun.Call(ctx, w.client, runapi.ID(run))
		return err == nil && r.WaitingFor != nil && r.WaitingFor.Reason == "paused"
	})
	return subscriber, run
}

// signedIn opens a tab of somebody who has signed in.
func (w *world) signedIn() *page {
	w.t.Helper()
	p := w.open()
	p.goTo("/sign-in")
	p.run(chromedp.SendKeys(chromedp.CSS(`input[name="key"]`), apiKey), chromedp.Submit(chromedp.CSS(`input[name="key"]`)))
	p.at("/")
	p.see("Overview")
	return p
}

// shown is a page: the name of its picture in docs/images, "" without one, its address, and a text on it.
type shown struct{ picture, path, text string }

// furnish puts something on every page, and returns the addresses of all pages.
func (w *world) furnish() []shown {
	w.t.Helper()
	ctx := w.t.Context()
	file := "email,full name,source\nana+found@gmail.com,Ana " +
		"Cruz,newsletter\nben+notfound@gmail.com,,newsletter\ncora+found@gmail.com,,podcast\n" +
		"dan@acme-corp.example,,podcast\nnot an address,,podcast\n"
	up, err := w.client.Upload(ctx, apiclient.UploadFile{Name: "people.csv", Source: "csv", Confirm: true}, strings.NewReader(file))
	w.must(err)
	w.eventually("the upload is done", func(ctx context.Context) bool {
		now, err := api.GetUpload.Call(ctx, w.client, runapi.ID(up.ID))
		return err == nil && now.Status == "done"
	})
	previewed, err := w.client.Upload(ctx, apiclient.UploadFile{Name: "more.csv"},
		strings.NewReader(strings.ReplaceAll(file, "+found", "2+found")))
	w.must(err)
	people, err := api.ListSubscribers.Call(ctx, w.client,
		api.SubscriberQuery{SubscriberFilter: api.SubscriberFilter{Status: "enriched"}, Paging: runapi.Paging{}})
	w.must(err)
	runs, err := runapi.ListRuns.Call(ctx, w.client, runapi.RunQuery{})
	w.must(err)
	submissions, err := api.ListSubmissions.Call(ctx, w.client, api.SubmissionQuery{})
	w.must(err)
	source, err := api.AddSource.Call(ctx, w.client,
		api.AddSourceRequest{Name: "Shop", Kind: "generic", Settings: []byte(`{"proof":"path","fields":{"email":"/email"}}`)})
	w.must(err)
	for _, body := range []string{`{"email":"eve+found@gmail.com"}`, `{"nothing":1}`} {
		w.post(source.URL, body)
	}
	deliveries, err := api.ListDeliveries.Call(ctx, w.client, api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: source.ID}})
	w.must(err)
	if len(deliveries.Items) != 2 {
		w.t.Fatalf("the source shows %d deliveries", len(deliveries.Items))
	}
	sink, err := api.AddSink.Call(ctx, w.client, api.AddSinkRequest{Name: "CRM", URL: "http://127.0.0.1:9/hook"})
	w.must(err)
	message, err := api.TestSink.Call(ctx, w.client, runapi.ID(sink.ID))
	w.must(err)
	_, err = api.AddSuppression.Call(ctx, w.client, api.NewSuppression{Domain: "spam.example", Reason: "a trap"})
	w.must(err)
	_, paused := w.paused()
	return []shown{
		{"overview", "/", "Enriched"}, {"", "/?range=30d", "Credits spent"}, {"", "/runs", "subscriber-enrichment"}, {"run", "/runs/" + runs.Items[len(runs.Items)-1].ID, "Timeline"},
		{"", "/runs/" + paused, "waits"}, {"", "/runs/cancel", "Cancel"}, {"", "/workflows", "subscriber-enrichment"}, {"workflow", "/workflows/subscriber-enrichment", "submit-to-fullenrich"},
		{"", "/subscribers", "ana+found"}, {"", "/subscribers?status=enriched&since=24h", "Clear all"}, {"", "/companies", "Companies"}, {"subscriber", "/subscribers/" + people.Items[0].ID, "Positions"}, {"", "/uploads", "people.csv"},
		{"", "/uploads/" + up.ID, "Every lookup has its answer"}, {"upload", "/uploads/" + previewed.ID, "The first rows"}, {"", "/sources", "Shop"},
		{"source", "/sources/" + source.ID, "Deliveries"}, {"", "/deliveries", "rejected"}, {"", "/deliveries/" + deliveries.Items[0].ID, "Body"},
		{"", "/sinks", "CRM"}, {"", "/sinks/" + sink.ID, "Messages"}, {"", "/messages", "test"}, {"", "/messages/" + message.ID, "Attempts"},
		{"", "/submissions", "settled"}, {"", "/submissions/" + submissions.Items[0].ID, "Name at FullEnrich"}, {"", "/credits", "Balance"}, {"", "/suppressions", "spam.example"}, {"", "/audit", "source.add"}, {"", "/settings", "LIWANAG_BATCH_SIZE"},
		{"", "/nowhere", "Not found"},
	}
}

// post sends a webhook and returns the status it was answered with.
func (w *world) post(address, body string) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, address, strings.NewReader(body))
	w.must(err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	w.must(res.Body.Close())
	return res.StatusCode
}
