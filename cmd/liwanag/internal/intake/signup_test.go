package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func newSignUps(t testing.TB, store *datastore.Store, e *enroller, cfg Config) *SignUps {
	t.Helper()
	cfg.Logger = quiet()
	s, err := NewSignUps(store, e, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t testing.TB, s *SignUps, people ...SignUp) []Result {
	t.Helper()
	results, err := s.Add(t.Context(), items(people...))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestANewPersonalAddressTriggersAnEnrichment(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	r := add(t, newSignUps(t, store, e, Config{}), SignUp{Email: "Ann@Gmail.com"})[0]
	if r.Status != Created || r.RunID.IsZero() || r.Error != nil {
		t.Fatalf("%+v", r)
	}
	if !e.has(r.RunID) {
		t.Error("the run did not exist when the answer was given")
	}
	jobs := jobsOf(t, store, r.SubscriberID)
	if len(jobs) != 1 || jobs[0].Status != liwanag.JobPending || jobs[0].RunID != r.RunID || jobs[0].Email != "Ann@gmail.com" {
		t.Errorf("%+v", jobs)
	}
	if batch, err := store.Batches.Get(t.Context(), r.RunID); err != nil || batch.Size != 1 {
		t.Errorf("%+v, %v", batch, err)
	}
}

func TestACorporateAddressIsStoredAndNotEnriched(t *testing.T) {
	for policy, jobs := range map[Policy]int{"": 0, EnrichPersonal: 0, EnrichAll: 1} {
		store, _ := openStore(t)
		e := &enroller{}
		r := add(t, newSignUps(t, store, e, Config{Enrich: policy}), SignUp{Email: "ann@acme.example"})[0]
		if r.Status != Created || r.RunID.IsZero() != (jobs == 0) || len(jobsOf(t, store, r.SubscriberID)) != jobs || len(e.started) != jobs {
			t.Errorf("policy %q: %+v, started %v", policy, r, e.started)
		}
		if p, err := store.Subscribers.Get(t.Context(), r.SubscriberID); err != nil || p.EmailType != liwanag.Corporate {
			t.Errorf("policy %q: %+v, %v", policy, p, err)
		}
	}
}

func TestAnUpdateNeverTriggers(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{}
	s := newSignUps(t, store, e, Config{})
	first := add(t, s, SignUp{Email: "ann@gmail.com", FirstName: "Ann"})[0]
	second := add(t, s, SignUp{Email: " ANN@GMAIL.COM", LastName: "Lee"})[0]
	if want := (Result{SubscriberID: first.SubscriberID, Status: Updated, RunID: first.RunID}); second != want {
		t.Errorf("with an open job: %+v, want %+v", second, want)
	}
	job := jobsOf(t, store, first.SubscriberID)[0]
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		_, err := tx.Jobs.Move(liwanag.JobMove{IDs: []liwanag.ID{job.ID}, From: []liwanag.JobStatus{liwanag.JobPending},
			To: liwanag.JobNotFound, At: time.Now()})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	third := add(t, s, SignUp{Email: "ann@gmail.com"})[0]
	if want := (Result{SubscriberID: first.SubscriberID, Status: Updated}); third != want {
		t.Errorf("with its job over: %+v, want %+v", third, want)
	}
	if jobs := jobsOf(t, store, first.SubscriberID); len(jobs) != 1 {
		t.Errorf("%d jobs", len(jobs))
	}
	person, err := store.Subscribers.Get(t.Context(), first.SubscriberID)
	if err != nil || person.Summary.FirstName != "Ann" || person.Summary.LastName != "Lee" || person.Email != "ann@gmail.com" {
		t.Errorf("%+v, %v", person, err)
	}
}

func TestTwoCallsAtOnceMakeOneSubscriberAndOneJob(t *testing.T) {
	store, _ := openStore(t)
	s := newSignUps(t, store, &enroller{}, Config{})
	results := make([]Result, 32)
	var calls sync.WaitGroup
	for i := range results {
		calls.Go(func() {
			r, err := s.Add(t.Context(), items(SignUp{Email: "ann@gmail.com"}))
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = r[0]
		})
	}
	calls.Wait()
	created := 0
	for _, r := range results {
		if r.Status == Created {
			created++
		}
		if r.SubscriberID != results[0].SubscriberID || r.RunID.IsZero() || r.RunID != results[0].RunID {
			t.Errorf("%+v beside %+v", r, results[0])
		}
	}
	if created != 1 || len(jobsOf(t, store, results[0].SubscriberID)) != 1 {
		t.Errorf("%d created", created)
	}
}

func TestManySignUpsAreAnsweredInOrder(t *testing.T) {
	store, db := openStore(t)
	e := &enroller{}
	s := newSignUps(t, store, e, Config{})
	var all []SignUp
	for i := range MaxSignUps {
		p := SignUp{Email: fmt.Sprintf("p%d@gmail.com", i)}
		switch {
		case i%10 == 3:
			p.Email = "secret nobody"
		case i%10 == 7:
			p.Email = "p0@gmail.com" // the same person again and again
		}
		all = append(all, p)
	}
	before := db.Stats().Groups
	results := add(t, s, all...)
	if writes := db.Stats().Groups - before; writes > 3 {
		t.Errorf("%d transactions", writes)
	}
	for i, r := range results {
		switch {
		case i%10 == 3:
			if r.Error == nil || r.Error.Code != "invalid_email" || len(r.Error.Errors) != 1 || r.Error.Errors[0].Field != "email" ||
				strings.Contains(r.Error.Message, "secret") || !r.SubscriberID.IsZero() {
				t.Errorf("%d: %+v", i, r)
			}
		case i%10 == 7:
			if r.Status != Updated || r.SubscriberID != results[0].SubscriberID || r.RunID != results[0].RunID {
				t.Errorf("%d: %+v", i, r)
			}
		default:
			person, err := store.Subscribers.Get(t.Context(), r.SubscriberID)
			if err != nil || person.Email != all[i].Email || r.Status != Created || !e.has(r.RunID) {
				t.Errorf("%d: %+v, %+v, %v", i, r, person, err)
			}
		}
	}
	if len(e.started) != 4 || e.calls != 1 { // 400 people
		t.Errorf("%d runs in %d calls", len(e.started), e.calls)
	}
}

func TestAStartThatFailsIsNotTheSendersFault(t *testing.T) {
	store, _ := openStore(t)
	e := &enroller{err: errors.New("no runner")}
	s := newSignUps(t, store, e, Config{})
	first := add(t, s, SignUp{Email: "ann@gmail.com"})[0]
	if first.Status != Created || first.RunID.IsZero() {
		t.Errorf("%+v", first)
	}
	e.err = nil
	second := add(t, s, SignUp{Email: "bob@gmail.com"})[0]
	if second.RunID != first.RunID || !e.has(first.RunID) {
		t.Errorf("%+v: the run was not started when it was next seen", second)
	}
	calls := e.calls
	if third := add(t, s, SignUp{Email: "eve@gmail.com"})[0]; third.RunID != first.RunID || e.calls != calls {
		t.Errorf("%+v: a started run was started again", third)
	}
}

func TestAnErrorOfTheDatabaseIsReturned(t *testing.T) {
	store, _ := openStore(t)
	s := newSignUps(t, newFaulty(store, 0).Store, &enroller{}, Config{})
	if _, err := s.Add(t.Context(), items(SignUp{Email: "ann@gmail.com"})); !errors.Is(err, liwanag.ErrDatabase) {
		t.Error(err)
	}
}

func TestFieldsAreStoredClean(t *testing.T) {
	store, _ := openStore(t)
	s := newSignUps(t, store, &enroller{}, Config{})
	r := add(t, s, SignUp{
		Email: "ann@gmail.com", Source: " blog ", ID: "42", FirstName: "Jose\u0301", LastName: "O'Neil\x00\n Lee ", FullName: "A",
		CompanyName: "Acme", CompanyDomain: "https://www.Acme.example/about?x", LinkedInURL: "linkedin.com/in/ann",
		Tags: []string{"a", " ", "b "}, Metadata: map[string]any{"plan": "pro", "id": "loses"},
		Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
	})[0]
	person, err := store.Subscribers.Get(t.Context(), r.SubscriberID)
	if err != nil {
		t.Fatal(err)
	}
	want := liwanag.Summary{FirstName: "José", LastName: "O'Neil Lee", FullName: "A", CompanyName: "Acme",
		CompanyDomain: "acme.example", LinkedinURL: "https://linkedin.com/in/ann"}
	if d := cmp.Diff(want, person.Summary); d != "" || person.Source != "blog" {
		t.Error(d, person.Source)
	}
	var metadata map[string]any
	if err := json.Unmarshal(person.Metadata, &metadata); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]any{"plan": "pro", "id": "42"}, metadata); d != "" {
		t.Error(d)
	}
	if tags := person.Tags["blog"]; !slices.Equal(tags, []string{"a", "b"}) ||
		person.SignedUpAt.Format(time.RFC3339) != "2026-01-02T02:04:05Z" {
		t.Error(tags, person.SignedUpAt)
	}
}

func TestEveryFaultOfASignUpIsNamed(t *testing.T) {
	store, _ := openStore(t)
	s := newSignUps(t, store, &enroller{}, Config{})
	long := strings.Repeat("secret", 100)
	r := add(t, s, SignUp{Email: "ann@gmail.com", Source: long, CompanyDomain: "secret", LinkedInURL: "https://secret.example/in/x",
		Tags: []string{long}, Metadata: map[string]any{"x": strings.Repeat("secret", 20_000)}})[0]
	if r.Error == nil || r.Error.Code != CodeInvalidField || strings.Contains(fmt.Sprint(*r.Error), "secret") {
		t.Fatalf("%+v", r.Error)
	}
	var fields []string
	for _, f := range r.Error.Errors {
		fields = append(fields, f.Field)
	}
	if d := cmp.Diff([]string{"source", "companyDomain", "linkedinUrl", "tags", "metadata"}, fields); d != "" {
		t.Error(d)
	}
	for _, url := range []string{"javascript:alert(1)", "https://linkedin.com.evil.example/in/x",
		"https://u:p@linkedin.com/in/x", "https://linkedin.com:99/in/x", "ftp://linkedin.com/x"} {
		if r := add(t, s, SignUp{Email: "ann@gmail.com", LinkedInURL: url})[0]; r.Error == nil {
			t.Errorf("%s was accepted", url)
		}
	}
}

func TestUselessCellsBecomeMetadataOnlyWhereThatIsAsked(t *testing.T) {
	cell := strings.Repeat("é", 400)
	got, err := normalizer{domains: liwanag.BuiltinDomains(),
		lenient: true}.normalize(SignUp{Email: "ann@gmail.com", FirstName: cell, LinkedInURL: "x/y"})
	if err != nil || got.Stated.FirstName != "" || got.Stated.LinkedinURL != "" ||
		string(got.Metadata) != `{"firstName":"`+cell[:maxTextBytes]+`","linkedinUrl":"x/y"}` {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := (normalizer{domains: liwanag.BuiltinDomains(), lenient: true}).normalize(SignUp{Email: "n/a"}); err == nil {
		t.Errorf("a bad address: %+v", got)
	}
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	store, _ := openStore(t)
	if _, err := NewSignUps(store, &enroller{}, Config{Enrich: "some"}); err == nil {
		t.Error("sign-ups")
	}
	if _, err := NewUploads(store, &enroller{}, Config{Enrich: "some"}); err == nil {
		t.Error("uploads")
	}
}

func TestARepeatedWebhookIsAnsweredAsTheFirstTime(t *testing.T) {
	store, _ := openStore(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	e := &enroller{clock: func() time.Time { return now }}
	s := newSignUps(t, store, e, Config{Now: e.clock})
	many := []SignUp{{Email: "nobody"}}
	for i := range 300 {
		many = append(many, SignUp{Email: fmt.Sprintf("p%d@gmail.com", i), FirstName: "First"})
	}
	receive := func(endpoint, id string, people ...SignUp) []Result {
		t.Helper()
		results, err := s.Receive(t.Context(), endpoint, Proof{ID: id}, items(people...))
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	first := receive("subscribers", "msg_1", many[:3]...)
	now = now.Add(time.Minute)
	again := receive("subscribers", "msg_1", many[:3]...)
	if d := cmp.Diff(first, again, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); d != "" {
		t.Error(d)
	}
	person, err := store.Subscribers.Get(t.Context(), first[1].SubscriberID)
	if err != nil || !person.UpdatedAt.Equal(person.CreatedAt) {
		t.Errorf("the repetition changed the subscriber: %+v, %v", person, err)
	}
	if r := receive("subscribers", "msg_2", many[1]); r[0].Status != Updated {
		t.Errorf("another id: %+v", r)
	}
	if r := receive("elsewhere", "msg_1", many[1]); r[0].Status != Updated {
		t.Errorf("another endpoint: %+v", r)
	}
	big := receive("subscribers", "msg_3", many...)
	if again := receive("subscribers", "msg_3", many...); again[299].Status != Created || again[299] != big[299] || again[0].Error == nil {
		t.Errorf("many sign-ups: %+v", again[299])
	}

	now = now.Add(webhookMemory - time.Minute)
	if r := receive("subscribers", "msg_3", many...); r[299].Status != Created {
		t.Errorf("forgotten too early: %+v", r[299])
	}
	now = now.Add(2 * time.Minute)
	receive("subscribers", "msg_4", many[1])
	if r := receive("subscribers", "msg_3", many...); r[299].Status != Updated {
		t.Errorf("never forgotten: %+v", r[299])
	}
	if webhookMemory <= 2*SignatureTolerance {
		t.Error("ids are forgotten while their signature is still valid")
	}
}

func TestAWebhookThatFailedIsNotRemembered(t *testing.T) {
	store, _ := openStore(t)
	faulty := newFaulty(store, 1)
	s := newSignUps(t, faulty.Store, &enroller{}, Config{})
	var many []SignUp
	for i := range 300 {
		many = append(many, SignUp{Email: fmt.Sprintf("p%d@gmail.com", i)})
	}
	if _, err := s.Add(t.Context(), items(SignUp{Email: "first@gmail.com"})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(t.Context(), "subscribers", Proof{ID: "msg_1"}, items(many...)); !errors.Is(err, liwanag.ErrDatabase) {
		t.Fatal(err)
	}
	faulty.left.Store(10)
	results, err := s.Receive(t.Context(), "subscribers", Proof{ID: "msg_1"}, items(many...))
	if err != nil || results[0].Status != Created || results[0].RunID.IsZero() || results[299].Status != Created {
		t.Errorf("%+v %+v %v", results[0], results[299], err)
	}
}

func TestAWebhookIsTakenInAsAWhole(t *testing.T) {
	store, _ := openStore(t)
	faulty := newFaulty(store, 1)
	s := newSignUps(t, faulty.Store, &enroller{}, Config{})
	var many []SignUp
	for i := range MaxSignUps {
		many = append(many, SignUp{Email: fmt.Sprintf("p%d@gmail.com", i)})
	}
	// The only transaction that the store allows has all of it, or nothing.
	results, err := s.Receive(t.Context(), "subscribers", Proof{ID: "msg_1"}, items(many...))
	if err != nil || results[MaxSignUps-1].Status != Created {
		t.Fatalf("%+v %v", results, err)
	}
	faulty.left.Store(1)
	again, err := s.Receive(t.Context(), "subscribers", Proof{ID: "msg_1"}, items(many...))
	if err != nil || again[0] != results[0] || again[MaxSignUps-1] != results[MaxSignUps-1] {
		t.Errorf("%+v %v", again, err)
	}
}

func TestDecodeSignUps(t *testing.T) {
	full := `{"email":"a@x.com","source":"s","id":"1","firstName":"f","lastName":"l","fullName":"n","companyName":"c","companyDomain":"d",
		"linkedinUrl":"u","tags":["t"],"metadata":{"a":12345678901234567890},"timestamp":"2026-01-02T03:04:05Z","plan":"pro","tier":null}`
	got, array, err := DecodeSignUps([]byte(full), false)
	if err != nil || array || len(got) != 1 || got[0].Err != nil {
		t.Fatalf("%+v, %v, %v", got, array, err)
	}
	want := SignUp{Email: "a@x.com", Source: "s", ID: "1", FirstName: "f", LastName: "l", FullName: "n", CompanyName: "c", CompanyDomain: "d",
		LinkedInURL: "u", Tags: []string{"t"}, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Metadata: map[string]any{"a": json.RawMessage("12345678901234567890"), "plan": json.RawMessage(`"pro"`), "tier": json.RawMessage("null")}}
	if d := cmp.Diff(want, got[0].SignUp); d != "" {
		t.Error(d)
	}
	if got, _, err := DecodeSignUps([]byte(full), true); err != nil || got[0].Err == nil ||
		got[0].Err.Error() != "plan: there is no such field; tier: there is no such field" {
		t.Errorf("strict: %+v, %v", got, err)
	}
	if got, _, err := DecodeSignUps([]byte(`{"email":null,"tags":null,"metadata":null,"timestamp":null}`), true); err != nil ||
		got[0].Err != nil {
		t.Errorf("null is the same as absent: %+v, %v", got, err)
	}
	got, array, err = DecodeSignUps([]byte(` [{"email":"a@x.com"}, {"email":7,"timestamp":"yesterday","tags":"x"}, null, []] `), true)
	if err != nil || !array || len(got) != 4 || got[0].Err != nil || got[2].Err == nil || got[3].Err == nil ||
		got[1].Err.Error() != "email: it is not a text; tags: it is not a list of texts; timestamp: it is not a time in RFC 3339" {
		t.Errorf("%+v, %v", got, err)
	}
	if d := cmp.Diff("it is not a JSON object", got[2].Err.Error()); d != "" {
		t.Error(d)
	}
	if got, array, err := DecodeSignUps([]byte("[]"), false); err != nil || !array || len(got) != 0 {
		t.Errorf("an empty array: %v, %v", got, err)
	}
}

func TestBodiesRefusedAsAWhole(t *testing.T) {
	nested := func(depth int) string {
		return `{"email":"a@x.com","metadata":` + strings.Repeat(`{"a":`, depth-1) + "1" + strings.Repeat("}", depth-1) + "}"
	}
	for depth, strict := range map[int]bool{64: true, 65: false, 100_000: false} {
		if items, _, err := DecodeSignUps([]byte(nested(depth)), strict); err != nil || items[0].SignUp.Email != "a@x.com" {
			t.Errorf("%d levels: %v", depth, err)
		}
	}
	if _, _, err := DecodeSignUps([]byte(nested(65)), true); !errors.Is(err, ErrMalformed) {
		t.Errorf("65 levels, strictly: %v", err)
	}
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "string": `"a@x.com"`, "null": "null", "trailing data": `{"email":"a@x.com"} {}`, "cut off": `[{"email":`,
		"not UTF-8": "{\"email\":\"a\xff@x.com\"}", "a million brackets": strings.Repeat("[", 1_000_000),
	} {
		if _, _, err := DecodeSignUps([]byte(body), false); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := DecodeSignUps([]byte("["+strings.Repeat("{},", 500)+"{}]"), false); !errors.Is(err, ErrTooMany) {
		t.Errorf("501 elements: %v", err)
	}
	if _, _, err := DecodeSignUps([]byte("["+strings.Repeat("{},", 499)+"{}]"), false); err != nil {
		t.Errorf("500 elements: %v", err)
	}
}

func FuzzDecodeSignUps(f *testing.F) {
	f.Add([]byte(`[{"email":"a@x.com","x":"\"[{"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, array, err := DecodeSignUps(body, false)
		if err == nil && (!json.Valid(ReadableJSON(body)) || !array && len(got) != 1) {
			t.Fatalf("%q: %v", body, got)
		}
		for _, item := range got {
			if _, err := (normalizer{domains: liwanag.BuiltinDomains()}).normalize(item.SignUp); err != nil && errors.Unwrap(err) == nil {
				t.Fatal(err)
			}
		}
	})
}
