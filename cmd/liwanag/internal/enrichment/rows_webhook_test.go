package enrichment_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

func TestRow22_ForgedWebhooks(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		w.signUp(ana)
		w.sleep(2 * time.Minute)
		ctx := context.Background()
		token := ""
		for _, hook := range w.sim.Ledger().Webhooks {
			token = hook.URL[len(publicURL+"/webhooks/fullenrich/"):]
		}
		body := []byte(`{"id":"` + w.sim.Ledger().Submissions[0].EnrichmentID + `","status":"FINISHED","cost":{"credits":0},"data":[]}`)
		signed := fullenrich.Sign(w.key, body)
		for name, tc := range map[string]struct {
			token, signature string
			body             []byte
			want             error
		}{
			"no signature":      {token, "", body, enrichment.ErrSignature},
			"another key":       {token, fullenrich.Sign("other", body), body, enrichment.ErrSignature},
			"a changed body":    {token, signed, append([]byte(" "), body...), enrichment.ErrSignature},
			"a guessed token":   {"guess", "", body, enrichment.ErrSignature},
			"a cut signature":   {token, signed[:39], body, enrichment.ErrSignature},
			"an empty key's":    {token, fullenrich.Sign("", body), body, enrichment.ErrSignature},
			"signed, no tokens": {"", signed, body, enrichment.ErrUnknownToken},
		} {
			for _, contact := range []bool{false, true} {
				before := len(w.deliveries())
				if err := w.life.svc.Receive(ctx, tc.token, contact, tc.signature, tc.body); !errors.Is(err, tc.want) {
					t.Errorf("%s (contact %v): %v", name, contact, err)
				}
				if stored := len(w.deliveries()) - before; stored > 0 && (tc.want == enrichment.ErrSignature || contact) {
					t.Errorf("%s: %d deliveries were stored", name, stored)
				}
			}
		}
		if w.meter.get("refused bad_signature") != 12 || w.meter.get("refused unknown_token") != 2 {
			t.Errorf("counted %v", w.meter.n)
		}
	})
}

func TestRow23_KeyRotatedWhileWaiting(t *testing.T) {
	const fresh fullenrich.Secret = "fe_rotated_key"
	rotate := func(w *world) liwanag.ID {
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.must(w.sim.Rotate(simulator.DefaultKey, fresh.Reveal()))
		w.stop()
		w.key, w.cfg.Keys = fresh, []fullenrich.Secret{fresh}
		w.cfg.PreviousKey, w.cfg.PreviousUntil = simulator.DefaultKey, time.Now().Add(time.Hour)
		w.boot()
		return run
	}
	t.Run("the previous key verifies", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionSignaturePreviousKey})
			run := rotate(w)
			w.sleep(5 * time.Minute)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantRun(run, workflow.StatusCompleted)
			w.wantFired(simulator.ActionSignaturePreviousKey)
			w.wantPaidOnce()
		})
	})
	t.Run("the previous key ends", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			rotate(w)
			body := []byte(`{"id":"0c9d6c1e-5a55-4a0e-9b2f-000000000009","status":"FINISHED","data":[]}`)
			send := func() error {
				return w.life.svc.Receive(context.Background(), "lost", false, fullenrich.Sign(simulator.DefaultKey, body), body)
			}
			if err := send(); !errors.Is(err, enrichment.ErrUnknownToken) {
				t.Errorf("while it lasts: %v", err)
			}
			w.sleep(time.Hour)
			if err := send(); !errors.Is(err, enrichment.ErrSignature) {
				t.Errorf("afterwards: %v", err)
			}
		})
	})
	t.Run("the fetch uses the new key", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.silence()
			rotate(w)
			w.sleep(15 * time.Minute)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantPaidOnce()
		})
	})
}

func TestRow27_ValidSignatureUnknownToken(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionTokenWrong})
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		for _, status := range w.statuses {
			if status != 404 {
				t.Errorf("an unknown token was answered %d", status)
			}
		}
		w.wantFired(simulator.ActionTokenWrong)
		w.wantPaidOnce()
	})
}

func TestWebhooksThatWereNotAppliedGoAfterTheRetention(t *testing.T) {
	for name, tc := range map[string]struct{ set, kept, gone time.Duration }{
		"as it is set":            {set: 48 * time.Hour, kept: 46 * time.Hour, gone: 50 * time.Hour},
		"after 30 days at latest": {set: 1000 * time.Hour, kept: 718 * time.Hour, gone: 722 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, enrichment.Config{SweepEvery: time.Hour, ProbeEvery: time.Hour, Retention: tc.set}, simulator.Config{}, func(w *world) {
				body := []byte(`{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[]}`)
				_ = w.life.svc.Receive(context.Background(), "gone", false, fullenrich.Sign(w.key, body), body)
				w.stopFor(tc.kept - 2*time.Hour)
				w.sleep(2 * time.Hour)
				if got := w.deliveries(); len(got) != 1 {
					t.Errorf("%d are kept for %s", len(got), tc.kept)
				}
				w.sleep(tc.gone - tc.kept)
				if got := w.deliveries(); len(got) != 0 {
					t.Errorf("it is kept for %s", tc.gone)
				}
			})
		})
	}
}

func TestRow27_WhatFitsNoJobIsKept(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		body := []byte(`{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[{"custom":{"lw_job":"` +
			liwanag.NewID(liwanag.JobKind).String() + `"},"profile":{"full_name":"Ana"}}]}`)
		err := w.life.svc.Receive(context.Background(), "gone", false, fullenrich.Sign(w.key, body), body)
		if !errors.Is(err, enrichment.ErrUnknownToken) {
			t.Fatal(err)
		}
		w.sleep(2 * time.Hour)
		if got := w.deliveries(); len(got) != 1 || got[0].State != liwanag.DeliveryUnmatched || got[0].Note != "unplaced" {
			t.Errorf("deliveries: %+v", got)
		}
		w.stopFor(31 * 24 * time.Hour)
		if got := w.deliveries(); len(got) != 0 {
			t.Errorf("it is kept for longer than 30 days")
		}
	})
}
