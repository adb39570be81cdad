package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestSignatureMatchesThePublishedVector(t *testing.T) {
	body := `{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","name":"lw-01JB8Z","status":"FINISHED","cost":{"credits":1},"data":[]}`
	if got, want := sign("fe_test_0123456789abcdef", []byte(body)), "ae5c9f29321a7e4e04a541337dfb2b140828abaf"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestContactsAreReportedThenTheBatchSigned(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		id := b.accepted("one", "mara.ilagan+found@example.net", "nobody+notfound@example.net")
		settle(2 * time.Minute)
		contacts, batches := b.receiver.seen(true), b.receiver.batch()
		if len(contacts) != 2 || len(batches) != 1 {
			b.Fatalf("%d contact and %d batch webhooks", len(contacts), len(batches))
		}
		for _, h := range append(contacts, batches...) {
			if h.signature != sign(DefaultKey, h.body) {
				b.Errorf("signature of %s is wrong", h.path)
			}
		}
		for _, h := range contacts {
			if r := h.result(b); r.Status != statusInProgress || len(records(b, r.Data)) != 1 || r.ID != id {
				b.Errorf("contact event: %+v", r)
			}
		}
		r := batches[0].result(b)
		if r.Status != statusFinished || r.Cost.Credits != 1 || r.Name != "one" || len(records(b, r.Data)) != 2 {
			b.Errorf("batch event: %s", batches[0].body)
		}
		if got := b.get(id); got.status != 200 || !bytes.Equal(got.body, batches[0].body) {
			b.Errorf("GET differs from the webhook: %d %s", got.status, got.body)
		}
		for _, rec := range records(b, r.Data) {
			if rec.Custom == nil || !strings.Contains(string(rec.Custom), `"lw_submission":"one"`) {
				b.Errorf("custom is not echoed: %s", rec.Custom)
			}
		}
	})
}

func TestLookupsTakeThirtyToNinetySecondsAndSlowOnesLonger(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		start := time.Now()
		b.accepted("pace", emails(100, "+found")...)
		settle(5 * time.Minute)
		var sum time.Duration
		for _, h := range b.receiver.seen(true) {
			took := h.at.Sub(start)
			if took < 30*time.Second || took > 90*time.Second {
				b.Errorf("a contact took %v", took)
			}
			sum += took
		}
		if mean := sum / 100; mean < 50*time.Second || mean > 62*time.Second {
			b.Errorf("mean %v, want about 56 s", mean)
		}
		b.accepted("slow", "a+slow+found@example.net")
		settle(14 * time.Minute)
		if n := len(b.receiver.batch()); n != 1 {
			b.Errorf("%d batches before the slow one is due", n)
		}
		settle(2 * time.Minute)
		if n := len(b.receiver.batch()); n != 2 {
			b.Errorf("%d batches after the slow one is due", n)
		}
	})
}

func TestQueueLooksUpAtMostItsSizeInOrder(t *testing.T) {
	virtual(t, Config{Queue: 10}, func(b *bed) {
		for i := range 4 {
			b.accepted(fmt.Sprint("q", i), emails(10, "+notfound")...)
		}
		if st := b.sim.State(); st.InFlight != 10 || st.Queued != 30 {
			b.Errorf("in flight %d, queued %d", st.InFlight, st.Queued)
		}
		settle(29 * time.Second)
		if n := len(b.receiver.seen(true)); n != 0 {
			b.Errorf("%d contacts done before 30 s", n)
		}
		settle(time.Hour)
		for i, h := range b.receiver.batch() {
			if name := h.result(b).Name; name != fmt.Sprint("q", i) {
				b.Errorf("batch %d is %s", i, name)
			}
		}
		if l := b.sim.Ledger(); l.Totals.NotFound != 40 || l.Totals.Credits != 0 {
			b.Errorf("totals %+v", l.Totals)
		}
	})
}

func TestSpeedDividesEveryDuration(t *testing.T) {
	virtual(t, Config{Speed: 20, CallsPerMinute: 2}, func(b *bed) {
		start := time.Now()
		id := b.accepted("fast", "a+found@example.net")
		settle(4500 * time.Millisecond)
		if n := len(b.receiver.batch()); n != 1 || b.receiver.batch()[0].at.Sub(start) < 1500*time.Millisecond {
			b.Errorf("%d batches", n)
		}
		settle(24 * time.Hour * 90 / 20)
		if got := b.get(id); got.status != 404 {
			b.Errorf("result is still there: %d", got.status)
		}
		b.get(id)
		if got := b.get(id); got.status != 429 {
			b.Errorf("third call of the window: %d", got.status)
		}
		settle(3 * time.Second)
		if got := b.get(id); got.status != 404 {
			b.Errorf("next window: %d", got.status)
		}
	})
}

func TestCallWindowIsAFixedCalendarMinute(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		time.Sleep(50 * time.Second)
		b.wantCode(b.call("GET", v2+"/account/credits", "nobody", nil), 401, "error.api.key")
		for range 60 {
			if got := b.call("GET", v2+"/account/credits", DefaultKey, nil); got.status != 200 {
				b.Fatalf("within the quota: %d", got.status)
			}
		}
		b.wantCode(b.post("over", "a@example.net"), 429, "error.rate.limit")
		time.Sleep(10*time.Second - 1)
		b.wantCode(b.post("over", "a@example.net"), 429, "error.rate.limit")
		time.Sleep(time.Nanosecond)
		b.accepted("next", "a@example.net")
		calls := b.sim.Ledger().Calls
		want := CallMinute{Start: calls[0].Start, Total: 63, Limited: 2, Unauthorized: 1}
		if len(calls) != 2 || calls[0] != want || calls[1].Submits != 1 || !calls[1].Start.Equal(calls[0].Start.Add(time.Minute)) {
			b.Errorf("calls %+v", calls)
		}
	})
}

func TestWebhookIsRepeatedEachMinuteFiveTimesWithTheSameBody(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.receiver.answer = func(int) int { return 503 }
		body := b.submission("down", "a+found@example.net")
		delete(body, "webhook_events")
		b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, body)
		settle(time.Hour)
		hooks := b.receiver.batch()
		if len(hooks) != 6 {
			b.Fatalf("%d attempts, want 6", len(hooks))
		}
		for i := 1; i < len(hooks); i++ {
			if gap := hooks[i].at.Sub(hooks[i-1].at); gap != time.Minute || !bytes.Equal(hooks[i].body, hooks[0].body) {
				b.Errorf("attempt %d after %v, same body %v", i+1, gap, bytes.Equal(hooks[i].body, hooks[0].body))
			}
		}
		w := b.sim.Ledger().Webhooks[0]
		if w.State != webhookLost || len(w.Attempts) != 6 || w.Attempts[0].Status != 503 {
			b.Errorf("ledger: %+v", w)
		}
	})
}

func TestWebhookIsRepeatedAfterATimeoutUntilItIsTaken(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.receiver.answer = func(n int) int {
			if n == 1 {
				time.Sleep(11 * time.Second)
			}
			return 200
		}
		body := b.submission("slow receiver", "a+found@example.net")
		delete(body, "webhook_events")
		b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, body)
		settle(time.Hour)
		w := b.sim.Ledger().Webhooks[0]
		if w.State != webhookDelivered || len(w.Attempts) != 2 || w.Attempts[0].Error != "timeout" || w.Attempts[1].Status != 200 {
			b.Errorf("ledger: %+v", w)
		}
	})
}

func TestRotationRefusesTheOldKeyAndSignsWithTheNew(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		id := b.accepted("rotated", "a+found@example.net")
		if err := b.sim.Rotate("", "fe_new"); err != nil {
			b.Fatal(err)
		}
		settle(2 * time.Minute)
		if h := b.receiver.batch()[0]; h.signature != sign("fe_new", h.body) {
			b.Error("not signed with the new key")
		}
		b.wantCode(b.get(id), 401, "error.api.key")
		if got := b.call("GET", v2+"/contact/reverse/email/bulk/"+id, "fe_new", nil); got.status != 200 {
			b.Errorf("new key: %d", got.status)
		}
	})
}

func TestRunningResultIsRefusedOrEmpty(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.wantCode(b.get(b.accepted("r", "a@example.net")), 400, "error.enrichment.in_progress")
	})
	virtual(t, Config{RunningStyle: RunningAs200}, func(b *bed) {
		id := b.accepted("r", "a@example.net")
		b.accepted("behind", emails(100, "")...)
		if r := decode[result](b, b.get(b.accepted("queued", "a@example.net")).body); r.Status != statusCreated {
			b.Errorf("queued: %s", r.Status)
		}
		got := b.get(id)
		if r := decode[result](b, got.body); got.status != 200 || r.Status != statusInProgress || bytes.Contains(got.body, []byte("data")) {
			b.Errorf("%d %s", got.status, got.body)
		}
	})
}

func TestResultIsGoneAfterNinetyDays(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		id := b.accepted("old", "a+found@example.net")
		settle(90*24*time.Hour - time.Minute)
		if got := b.get(id); got.status != 200 {
			b.Errorf("before: %d", got.status)
		}
		settle(10 * time.Minute)
		b.wantCode(b.get(id), 404, "error.reverse.email.not_found")
		b.wantCode(b.get("0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11"), 404, "error.reverse.email.not_found")
	})
}

func TestCreditsRunOutPartWay(t *testing.T) {
	virtual(t, Config{Balance: 3}, func(b *bed) {
		id := b.accepted("poor", emails(10, "+found")...)
		settle(5 * time.Minute)
		got := b.get(id)
		r := decode[result](b, got.body)
		if got.status != 402 || r.Status != statusCreditsInsufficient || r.Cost.Credits != 3 || len(records(b, r.Data)) != 3 {
			b.Errorf("%d %s", got.status, got.body)
		}
		if hooks := b.receiver.batch(); len(hooks) != 1 || hooks[0].result(b).Status != statusCreditsInsufficient {
			b.Errorf("%d webhooks", len(hooks))
		}
		if l := b.sim.Ledger(); l.Balance != 0 || l.Totals.Dropped != 7 || l.Totals.Found != 3 {
			b.Errorf("balance %v totals %+v", l.Balance, l.Totals)
		}
		if err := b.sim.SetBalance(5); err != nil {
			b.Fatal(err)
		}
		b.accepted("rich", emails(5, "+found")...)
		settle(5 * time.Minute)
		if l := b.sim.Ledger(); l.Submissions[1].Status != statusFinished || l.Balance != 0 {
			b.Errorf("after a top-up: %+v", l.Submissions[1])
		}
	})
}

func TestDeduplicationIsFreeOnlyAfterTheFirstHasCompleted(t *testing.T) {
	for dedup, credits := range map[string]int64{DedupNone: 6, DedupDocumented: 3} {
		virtual(t, Config{Dedup: dedup}, func(b *bed) {
			b.accepted("twice in one", "a+found@example.net", "a+found@example.net") // both are charged
			b.accepted("at the same time", "a+found@example.net")                    // charged too
			settle(5 * time.Minute)
			b.accepted("later", "a+found@example.net", "a+found@example.net")
			settle(5 * time.Minute)
			b.accepted("later still", "a+found@example.net")
			settle(5 * time.Minute)
			l := b.sim.Ledger()
			if l.Totals.Credits != credits || l.Totals.Avoided != 6-credits {
				b.Errorf("%s: credits %d, avoided %d", dedup, l.Totals.Credits, l.Totals.Avoided)
			}
		})
	}
}

func TestLedgerNamesJobsThatWereAcceptedTwice(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.accepted("same", "a+found@example.net", "b+found@example.net")
		body := b.submission("same", "a+found@example.net")
		b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, body)
		settle(5 * time.Minute)
		l := b.sim.Ledger()
		want := JobEntry{Job: "job-same-0", Email: "a+found@example.net", Accepted: 2, Charged: 2, Credits: 2}
		if len(l.Duplicates) != 1 || l.Duplicates[0] != want || l.Totals.DuplicateCredits != 1 || len(l.Jobs) != 2 {
			b.Errorf("duplicates %+v, totals %+v", l.Duplicates, l.Totals)
		}
	})
}

func TestSameAddressIsAlwaysTheSamePerson(t *testing.T) {
	a, again := rawJSON(person(7, "mara.ilagan@example.net")), rawJSON(person(7, "mara.ilagan@example.net"))
	if !bytes.Equal(a, again) {
		t.Error("two people for one address")
	}
	p := person(7, "mara.ilagan+x@example.net")
	if p.FullName != "Mara Ilagan" {
		t.Errorf("name %q does not come from the address", p.FullName)
	}
	s, err := New(Config{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := 0
	companies := map[string]bool{}
	for i := range 2000 {
		email := fmt.Sprintf("reader%d@example.net", i)
		if s.outcome(email) == outcomeFound {
			found++
		}
		companies[person(7, email).Employment.Current.Company.Name] = true
	}
	if found < 1100 || found > 1300 {
		t.Errorf("%d of 2000 found, want about 60 %%", found)
	}
	if len(companies) < 20 {
		t.Errorf("only %d companies", len(companies))
	}
}

func TestOutcomeShapesByMark(t *testing.T) {
	virtual(t, Config{NotFoundShape: NotFoundAbsent}, func(b *bed) {
		id := b.accepted("marks", "a+notfound@example.net", "a+null@example.net", "a+empty@example.net",
			"a+baddate@example.net", "a+huge@example.net", "a+hostile@example.net")
		settle(5 * time.Minute)
		got := map[string]string{}
		for _, rec := range records(b, decode[result](b, b.get(id).body).Data) {
			email := decode[map[string]string](b, rec.Input)["email"]
			got[strings.TrimSuffix(strings.TrimPrefix(email, "a+"), "@example.net")] = string(rec.Profile)
		}
		for mark, want := range map[string]string{"notfound": "", "null": "null", "empty": "{}"} {
			if got[mark] != want {
				b.Errorf("+%s: profile %q, want %q", mark, got[mark], want)
			}
		}
		if !strings.Contains(got["baddate"], "2024-1-0T00:00:00.000Z") {
			b.Error("+baddate has good dates")
		}
		if len(got["huge"]) < 250_000 {
			b.Errorf("+huge has %d bytes", len(got["huge"]))
		}
		if !strings.Contains(got["hostile"], `\ud800`) || !strings.Contains(got["hostile"], `\u0000`) {
			b.Error("+hostile is harmless")
		}
	})
}

func TestAMillionRowsWaitInTheQueueCheaply(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		rows := make([]rowInput, 100)
		for i, email := range emails(100, "+notfound") {
			rows[i].Email = email
		}
		before := runtime.NumGoroutine()
		for range 10_000 {
			request := &acceptance{Kind: kindReverse, Name: "big", ContactURL: b.hooks + "/hooks/0123456789abcdef/contact", Rows: rows}
			if _, _, err := b.sim.accept(request, subject{}); err != nil {
				b.Fatal(err)
			}
		}
		b.sim.mu.Lock()
		timers := len(b.sim.timers)
		b.sim.mu.Unlock()
		if st := b.sim.State(); st.Queued != 999_900 || timers > 200 || runtime.NumGoroutine() > before+10 {
			b.Errorf("queued %d, timers %d, goroutines %d", st.Queued, timers, runtime.NumGoroutine()-before)
		}
		settle(10 * time.Minute)
		if n := len(b.receiver.seen(true)); n < 800 || n > 1200 {
			b.Errorf("%d contacts in ten minutes, want about 1,070", n)
		}
	})
}

func TestEnrichmentOfContacts(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		contact := map[string]any{"first_name": "Mara+found", "last_name": "Ilagan", "domain": "tala.example",
			"enrich_fields": []string{"contact.work_emails", "contact.phones"}, "custom": map[string]string{"k": "v"}}
		path := v2 + "/contact/enrich/bulk"
		bad := map[string]any{"first_name": "Mara", "enrich_fields": []string{"contact.work_emails"}}
		body := map[string]any{"name": "e", "data": []any{contact, bad}}
		b.wantCode(b.call("POST", path, DefaultKey, body), 400, "error.enrichment.last_name.empty")
		got := b.call("POST", path+"?silentFail=true", DefaultKey, body)
		id := decode[map[string]string](b, got.body)["enrichment_id"]
		b.wantCode(b.call("GET", path+"/"+id, DefaultKey, nil), 400, "error.enrichment.in_progress")
		if got := b.call("GET", path+"/"+id+"?forceResults=true", DefaultKey, nil); got.status != 200 {
			b.Errorf("forced: %d", got.status)
		}
		b.wantCode(b.get(id), 404, "error.reverse.email.not_found")
		settle(2 * time.Minute)
		r := decode[result](b, b.call("GET", path+"/"+id, DefaultKey, nil).body)
		recs := records(b, r.Data)
		if r.Cost.Credits != 11 || len(recs) != 1 || !bytes.Contains(recs[0].ContactInfo, []byte("most_probable_work_email")) {
			b.Errorf("%+v %s", r.Cost, r.Data)
		}
	})
}

func TestRequestsAreValidatedWithTheProvidersCodes(t *testing.T) {
	row := func(email string, custom any) map[string]any { return map[string]any{"email": email, "custom": custom} }
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = "x"
	}
	var tooMany []any
	for range 101 {
		tooMany = append(tooMany, row("a@example.net", nil))
	}
	for code, body := range map[string]any{
		"error.request.body":                     json.RawMessage(`"text"`),
		"error.enrichment.name.empty":            map[string]any{"data": []any{row("a@example.net", nil)}},
		"error.enrichment.data.empty":            map[string]any{"name": "n"},
		"error.enrichment.data.exceeded":         map[string]any{"name": "n", "data": tooMany},
		"error.enrichment.webhook_url":           map[string]any{"name": "n", "webhook_url": "ftp://x", "data": []any{row("a@example.net", nil)}},
		"error.reverse.email.empty":              map[string]any{"name": "n", "data": []any{row("", nil)}},
		"error.reverse.email.invalid":            map[string]any{"name": "n", "data": []any{row("not an address", nil)}},
		"error.enrichment.custom.key.exceeded":   map[string]any{"name": "n", "data": []any{row("a@example.net", many)}},
		"error.enrichment.custom.value.exceeded": map[string]any{"name": "n", "data": []any{row("a@example.net", map[string]string{"k": strings.Repeat("x", 101)})}},
	} {
		t.Run(code, func(t *testing.T) {
			virtual(t, Config{}, func(b *bed) {
				b.wantCode(b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, body), 400, code)
				if n := b.sim.Ledger().Totals.Submissions; n != 0 {
					b.Errorf("%d submissions were accepted", n)
				}
			})
		})
	}
}

func TestNumbersInCustomAreRefused(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		body := map[string]any{"name": "n", "data": []any{map[string]any{"email": "a@example.net", "custom": map[string]int{"k": 1}}}}
		b.wantCode(b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, body), 400, "error.request.body")
	})
}
