package simulator

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// faultCases shows for every action that it does what it says.
var faultCases = map[Action]struct {
	cfg   Config
	fault Fault
	test  func(b *bed)
}{
	ActionStorm429: {fault: Fault{For: time.Hour, RetryAfter: "7"}, test: func(b *bed) {
		got := b.post("n", "a@example.net")
		b.wantCode(got, 429, "error.rate.limit")
		if got.header.Get("Retry-After") != "7" {
			b.Error("no Retry-After")
		}
		settle(time.Hour)
		b.accepted("over", "a@example.net")
	}},
	ActionStorm401: {fault: Fault{Method: "GET"}, test: func(b *bed) {
		b.wantCode(b.get(b.accepted("posts pass", "a@example.net")), 401, "error.api.key")
	}},
	ActionSlowDrip: {test: func(b *bed) {
		start := time.Now()
		got := b.call("GET", v2+"/account/credits", DefaultKey, nil)
		if took := time.Since(start); got.status != 200 || took != time.Duration(len(got.body))*time.Second {
			b.Errorf("%d bytes took %v", len(got.body), took)
		}
	}},
	ActionResetBeforeReading:    {test: wantReset(0)},
	ActionResetWithoutAccepting: {test: wantReset(0)},
	ActionAcceptThenReset:       {test: wantReset(1)},
	ActionHangWithoutAccepting:  {test: wantHang(0)},
	ActionAcceptThenHang:        {test: wantHang(1)},
	ActionRefuse: {fault: Fault{Status: 400, Code: "error.reverse.email.invalid", Email: "bad"}, test: func(b *bed) {
		b.accepted("good", "good@example.net")
		b.wantCode(b.post("n", "good@example.net", "bad@example.net"), 400, "error.reverse.email.invalid")
		wantAccepted(b, 1)
	}},
	ActionRefuse5xx: {fault: Fault{Status: 503, Count: 1}, test: func(b *bed) {
		if got := b.post("n", "a@example.net"); got.status != 503 || json.Valid(got.body) {
			b.Errorf("%d %s", got.status, got.body)
		}
		wantAccepted(b, 0)
		b.accepted("again", "a@example.net")
	}},
	ActionAcceptThen502: {test: func(b *bed) {
		if got := b.post("n", "a@example.net"); got.status != 502 || json.Valid(got.body) {
			b.Errorf("%d %s", got.status, got.body)
		}
		wantAccepted(b, 1)
	}},
	ActionAnswerTruncated: {test: func(b *bed) {
		if got := b.post("n", "a@example.net"); got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
			b.Errorf("%d %v", got.status, got.err)
		}
		wantAccepted(b, 1)
	}},
	ActionAnswerNonJSON: {test: func(b *bed) {
		if got := b.post("n", "a@example.net"); got.status != 200 || json.Valid(got.body) {
			b.Errorf("%d %s", got.status, got.body)
		}
		wantAccepted(b, 1)
	}},
	ActionAnswerWithoutID: {test: func(b *bed) {
		if got := b.post("n", "a@example.net"); got.status != 200 || string(got.body) != "{}" {
			b.Errorf("%d %s", got.status, got.body)
		}
		wantAccepted(b, 1)
	}},
	ActionWebhookBeforeAnswer: {test: func(b *bed) {
		b.receiver.answer = func(int) int { time.Sleep(time.Second); return 200 }
		start := time.Now()
		id := b.accepted("n", "a+found@example.net")
		hooks := b.receiver.batch()
		if len(hooks) != 1 || hooks[0].result(b).ID != id || time.Since(start) < time.Second {
			b.Errorf("%d webhooks when the answer came after %v", len(hooks), time.Since(start))
		}
	}},
	ActionWebhookNever: {test: func(b *bed) {
		id := b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		if len(b.receiver.batch()) != 0 || len(b.receiver.seen(true)) != 1 || b.get(id).status != 200 {
			b.Error("want a contact event, no batch event, and a result")
		}
	}},
	ActionWebhookLate: {fault: Fault{Delay: 25 * time.Hour}, test: func(b *bed) {
		b.accepted("n", "a+found@example.net")
		settle(25 * time.Hour)
		before := len(b.receiver.batch())
		settle(2 * time.Minute)
		if before != 0 || len(b.receiver.batch()) != 1 {
			b.Errorf("%d early, %d in the end", before, len(b.receiver.batch()))
		}
	}},
	ActionWebhookDuplicate: {fault: Fault{Times: 3}, test: func(b *bed) {
		b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		hooks := b.receiver.batch()
		if len(hooks) != 4 || !bytes.Equal(hooks[0].body, hooks[3].body) {
			b.Errorf("%d copies", len(hooks))
		}
	}},
	ActionWebhookReorder: {fault: Fault{Nth: 1, Delay: time.Hour}, test: func(b *bed) {
		b.accepted("first", "a+found@example.net")
		settle(10 * time.Minute)
		b.accepted("second", "b+found@example.net")
		settle(10 * time.Minute)
		hooks := b.receiver.batch()
		if len(hooks) != 2 || hooks[0].result(b).Name != "second" || hooks[1].result(b).Name != "first" {
			b.Errorf("%d webhooks, or in the order of submission", len(hooks))
		}
	}},
	ActionContactNever: {test: func(b *bed) {
		b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		if len(b.receiver.seen(true)) != 0 || len(b.receiver.batch()) != 1 {
			b.Error("want the batch event alone")
		}
	}},
	ActionContactAfterBatch: {test: func(b *bed) {
		b.accepted("n", "a+found@example.net", "b+found@example.net")
		settle(time.Hour)
		b.receiver.mu.Lock()
		defer b.receiver.mu.Unlock()
		if len(b.receiver.hooks) != 3 || b.receiver.hooks[0].isContact() {
			b.Errorf("%d webhooks, the first a contact event or not", len(b.receiver.hooks))
		}
	}},
	ActionSignatureWrong: {test: wantSignature(func(h hook) bool {
		return len(h.signature) == 40 &&
			h.signature != sign(DefaultKey, h.body)
	})},
	ActionSignatureMissing: {test: wantSignature(func(h hook) bool { return h.signature == "" })},
	ActionSignaturePreviousKey: {cfg: Config{PreviousKey: "fe_old"}, test: wantSignature(func(h hook) bool {
		return h.signature == sign("fe_old", h.body)
	})},
	ActionTokenWrong: {test: wantSignature(func(h hook) bool {
		return h.path == "/hooks/0000000000000000" || h.path == "/hooks/0000000000000000/contact"
	})},
	ActionShapeV1: {test: wantBody(func(b *bed, body []byte) {
		r := decode[result](b, body)
		if r.Data != nil || !bytes.Contains(r.DataV1, []byte(`"firstname"`)) {
			b.Errorf("%s", body)
		}
	})},
	ActionRowsMissing: {fault: Fault{Email: "lost"}, test: func(b *bed) {
		b.accepted("n", "a+found@example.net", "lost+found@example.net")
		settle(time.Hour)
		if body := b.receiver.batch()[0].body; bytes.Contains(body, []byte("lost")) || !bytes.Contains(body, []byte("a+found")) {
			b.Errorf("%s", body)
		}
	}},
	ActionRowsExtra: {fault: Fault{Times: 2}, test: wantBody(func(b *bed, body []byte) {
		if n := bytes.Count(body, []byte("of-somebody-else")); n != 2 {
			b.Errorf("%d foreign records", n)
		}
	})},
	ActionRecordBad: {fault: Fault{Email: "bad"}, test: func(b *bed) {
		b.accepted("n", "good+found@example.net", "bad+found@example.net")
		settle(time.Hour)
		readable := map[bool]string{}
		for _, rec := range records(b, b.receiver.batch()[0].result(b).Data) {
			var p profile
			readable[json.Unmarshal(rec.Profile, &p) == nil] += string(rec.Input)
		}
		if readable[true] != `{"email":"good+found@example.net"}` || readable[false] != `{"email":"bad+found@example.net"}` {
			b.Errorf("%v", readable)
		}
	}},
	ActionBodyHuge: {test: wantBody(func(b *bed, body []byte) {
		if len(body) < 20<<20 {
			b.Errorf("%d bytes", len(body))
		}
	})},
	ActionGzipBomb: {fault: Fault{Size: 8 << 20}, test: wantBody(func(b *bed, body []byte) {
		inflated, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, inflated)
		if err != nil || n < 8<<20 || len(body) > 1<<20 {
			b.Errorf("%d bytes inflate to %d: %v", len(body), n, err)
		}
	})},
	ActionProfileHostile:  {test: wantBody(wantText("jndi"))},
	ActionProfileHuge:     {test: wantBody(wantText("Skill number 1999"))},
	ActionProfileBadDates: {test: wantBody(wantText("2024-1-0T"))},
	ActionStatusUnknown: {fault: Fault{Value: "NAPPING", Delay: time.Hour}, test: func(b *bed) {
		b.accepted("n", "a+found@example.net")
		settle(2 * time.Hour)
		hooks := b.receiver.batch()
		if len(hooks) != 2 || hooks[0].result(b).Status != "NAPPING" || hooks[1].result(b).Status != statusFinished {
			b.Errorf("%d webhooks", len(hooks))
		}
	}},
	ActionStatusRateLimit: {test: func(b *bed) {
		id := b.accepted("n", "a+found@example.net")
		settle(5 * time.Minute)
		if r := decode[result](b, b.get(id).body); r.Status != statusRateLimit || len(b.receiver.batch()) != 0 {
			b.Errorf("status %s, %d webhooks", r.Status, len(b.receiver.batch()))
		}
		settle(10 * time.Minute)
		if hooks := b.receiver.batch(); len(hooks) != 1 || hooks[0].result(b).Status != statusFinished {
			b.Errorf("%d webhooks", len(hooks))
		}
	}},
	ActionStatusCanceled:      {test: wantHalf(statusCanceled, 200)},
	ActionCreditsInsufficient: {test: wantHalf(statusCreditsInsufficient, 402)},
	ActionGet404: {fault: Fault{Count: 1}, test: func(b *bed) {
		id := b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		b.wantCode(b.get(id), 404, "error.reverse.email.not_found")
		if got := b.get(id); got.status != 200 {
			b.Errorf("second GET: %d", got.status)
		}
	}},
	ActionGet402: {test: func(b *bed) {
		id := b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		got := b.get(id)
		if r := decode[result](b, got.body); got.status != 402 || r.Status != statusCreditsInsufficient || r.ID != id {
			b.Errorf("%d %s", got.status, got.body)
		}
	}},
	ActionGet5xx: {fault: Fault{Status: 504, Name: "n"}, test: func(b *bed) {
		if got := b.get(b.accepted("n", "a@example.net")); got.status != 504 {
			b.Errorf("%d", got.status)
		}
		if got := b.get(b.accepted("other", "a@example.net")); got.status != 400 {
			b.Errorf("other: %d", got.status)
		}
	}},
	ActionGetReset: {test: func(b *bed) {
		if got := b.get(b.accepted("n", "a@example.net")); !errors.Is(got.err, syscall.ECONNRESET) {
			b.Errorf("%d %v", got.status, got.err)
		}
	}},
	ActionGetHang: {test: func(b *bed) {
		b.client.Timeout = time.Minute
		if got := b.get(b.accepted("n", "a@example.net")); !errors.Is(got.err, context.DeadlineExceeded) {
			b.Errorf("%d %v", got.status, got.err)
		}
	}},
	ActionGetTruncated: {test: func(b *bed) {
		if got := b.get(b.accepted("n", "a@example.net")); !errors.Is(got.err, io.ErrUnexpectedEOF) {
			b.Errorf("%d %v", got.status, got.err)
		}
	}},
}

func TestEveryFaultDoesWhatItSaysAndIsCounted(t *testing.T) {
	for _, action := range Actions() {
		t.Run(string(action), func(t *testing.T) {
			c, ok := faultCases[action]
			if !ok {
				t.Fatal("no test shows that this fault fires")
			}
			virtual(t, c.cfg, func(b *bed) {
				c.fault.Action = action
				b.add(c.fault)
				if b.sim.Ledger().Fired[action] != 0 {
					b.Error("counted before it fired")
				}
				c.test(b)
				if b.sim.Ledger().Fired[action] == 0 {
					b.Error("took effect and was not counted")
				}
			})
		})
	}
}

func TestWithoutFaultsNoneIsCounted(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		id := b.accepted("n", emails(5, "")...)
		settle(time.Hour)
		b.get(id)
		if fired := b.sim.Ledger().Fired; len(fired) != 0 {
			b.Errorf("%v", fired)
		}
	})
}

func wantAccepted(b *bed, n int) {
	b.Helper()
	if got := b.sim.Ledger().Totals.Submissions; got != n {
		b.Errorf("%d submissions accepted, want %d", got, n)
	}
}

func wantReset(accepted int) func(*bed) {
	return func(b *bed) {
		if got := b.post("n", "a@example.net"); !errors.Is(got.err, syscall.ECONNRESET) {
			b.Errorf("%d %v", got.status, got.err)
		}
		wantAccepted(b, accepted)
	}
}

func wantHang(accepted int) func(*bed) {
	return func(b *bed) {
		b.client.Timeout = 20 * time.Second
		if got := b.post("n", "a@example.net"); !errors.Is(got.err, context.DeadlineExceeded) {
			b.Errorf("%d %v", got.status, got.err)
		}
		wantAccepted(b, accepted)
	}
}

func wantSignature(right func(hook) bool) func(*bed) {
	return func(b *bed) {
		b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		b.receiver.mu.Lock()
		defer b.receiver.mu.Unlock()
		if len(b.receiver.hooks) != 2 {
			b.Errorf("%d webhooks", len(b.receiver.hooks))
		}
		for _, h := range b.receiver.hooks {
			if !right(h) {
				b.Errorf("path %s, signature %q", h.path, h.signature)
			}
		}
	}
}

// wantBody looks at the body of the batch webhook and of the GET: they are alike.
func wantBody(check func(*bed, []byte)) func(*bed) {
	return func(b *bed) {
		id := b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		hooks := b.receiver.batch()
		if len(hooks) != 1 || hooks[0].signature != sign(DefaultKey, hooks[0].body) {
			b.Fatalf("%d webhooks, or one with a wrong signature", len(hooks))
		}
		check(b, hooks[0].body)
		got := b.get(id)
		if !bytes.Equal(got.body, hooks[0].body) || got.header.Get("Content-Encoding") != hooks[0].encoding {
			b.Error("GET and webhook differ")
		}
	}
}

func wantText(text string) func(*bed, []byte) {
	return func(b *bed, body []byte) {
		if !strings.Contains(string(body), text) {
			b.Errorf("%q is not in the body", text)
		}
	}
}

func wantHalf(status string, code int) func(*bed) {
	return func(b *bed) {
		id := b.accepted("n", emails(10, "+found")...)
		settle(time.Hour)
		got := b.get(id)
		r := decode[result](b, got.body)
		if got.status != code || r.Status != status || len(records(b, r.Data)) != 5 || r.Cost.Credits != 5 {
			b.Errorf("%d %s with %d records", got.status, r.Status, len(records(b, r.Data)))
		}
		if hooks := b.receiver.batch(); len(hooks) != 1 || hooks[0].result(b).Status != status {
			b.Errorf("%d webhooks", len(hooks))
		}
	}
}

func TestFaultMatching(t *testing.T) {
	refused := func(b *bed, name string, emails ...string) string {
		if b.post(name, emails...).status == 500 {
			return "x"
		}
		return "."
	}
	for name, c := range map[string]struct {
		fault Fault
		want  string
	}{
		"always":  {Fault{}, "xxxxxx"},
		"nth":     {Fault{Nth: 3}, "..x..."},
		"count":   {Fault{Count: 2}, "xx...."},
		"name":    {Fault{Name: "run-1"}, ".x.x.x"},
		"email":   {Fault{Email: "b@"}, "...xxx"},
		"nth of":  {Fault{Name: "run-1", Nth: 2}, "...x.."},
		"for":     {Fault{For: 3 * time.Minute}, "xxx..."},
		"nothing": {Fault{Name: "elsewhere"}, "......"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, Config{}, func(b *bed) {
				c.fault.Action = ActionRefuse
				b.add(c.fault)
				got := ""
				for i := range 6 {
					addresses := []string{"a@example.net"}
					if i > 2 {
						addresses = append(addresses, "b@example.net")
					}
					got += refused(b, []string{"run-0", "run-1"}[i%2], addresses...)
					time.Sleep(time.Minute)
				}
				if got != c.want {
					b.Errorf("refused %s, want %s", got, c.want)
				}
			})
		})
	}
}

func TestProbabilityFollowsTheSeed(t *testing.T) {
	draw := func(seed int64) (out string) {
		virtual(t, Config{Seed: seed, CallsPerMinute: 1000}, func(b *bed) {
			b.add(Fault{Action: ActionRefuse, Probability: 0.3})
			for range 200 {
				out += string(rune('0' + b.post("n", "a@example.net").status/100))
			}
		})
		return out
	}
	first := draw(1)
	if n := strings.Count(first, "5"); n < 35 || n > 85 {
		t.Errorf("%d of 200 refused, want about 60", n)
	}
	if first != draw(1) || first == draw(2) {
		t.Error("the seed does not decide")
	}
}

func TestALosingFaultKeepsItsCount(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.add(Fault{ID: "first", Action: ActionRefuse, Count: 1, Status: 503})
		b.add(Fault{ID: "second", Action: ActionAcceptThen502, Count: 1})
		for i, want := range []int{503, 502, 200} {
			if got := b.post("n", "a@example.net"); got.status != want {
				b.Errorf("POST %d: %d, want %d", i+1, got.status, want)
			}
		}
	})
}

func TestFaultsThatCannotFireAreRefused(t *testing.T) {
	for name, f := range map[string]Fault{
		"unknown action": {Action: "explode"},
		"name on a call": {Action: ActionStorm429, Name: "x"},
		"method on POST": {Action: ActionRefuse, Method: "GET"},
		"probability":    {Action: ActionRefuse, Probability: 2},
		"where":          {Action: ActionShapeV1, Where: "moon"},
		"status":         {Action: ActionRefuse, Status: 99},
		"negative":       {Action: ActionRefuse, Count: -1},
	} {
		if f.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestWhereRestrictsAResultFault(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.add(Fault{Action: ActionRowsMissing, Where: WhereWebhook})
		id := b.accepted("n", "a+found@example.net")
		settle(time.Hour)
		if n := len(records(b, b.receiver.batch()[0].result(b).Data)); n != 0 {
			b.Errorf("%d records in the webhook", n)
		}
		if n := len(records(b, decode[result](b, b.get(id).body).Data)); n != 1 {
			b.Errorf("%d records in GET", n)
		}
	})
}

func TestNetworkFaultsOutsideOfTheServer(t *testing.T) {
	listener, err := ListenUntrustedTLS(http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := http.Get(listener.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("TLS: %v", err)
	}
	u, err := url.Parse(UnresolvableURL)
	if err != nil || !strings.HasSuffix(u.Hostname(), ".invalid") {
		t.Errorf("%s is not under the domain that never resolves: %v", UnresolvableURL, err)
	}
}
