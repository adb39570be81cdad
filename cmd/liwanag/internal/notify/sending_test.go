package notify

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

const ana = "ana.canary@gmail.com"

// subscriber stores a person.
func (s *stage) subscriber() liwanag.ID {
	s.t.Helper()
	id := liwanag.NewID(liwanag.SubscriberKind)
	s.must(s.act.store.rows.Write(context.Background(), func(tx *datastore.Tx) error {
		_, err := tx.Subscribers.Upsert([]liwanag.SignUp{{ID: id, EmailKey: ana, Email: ana, EmailType: liwanag.Personal, At: time.Now()}})
		return err
	}))
	return id
}

func TestAMessageIsSentSignedToEverySinkThatAsksForIt(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("all.example.com")
		s.sink("enriched.example.com", liwanag.TopicEnriched)
		s.sink("credits.example.com", liwanag.TopicCreditsLow)
		person, job := s.subscriber(), liwanag.NewID(liwanag.JobKind)
		s.announce(liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: person, JobID: job, At: time.Now()})
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 2})
		calls, _ := s.heard()
		for _, c := range calls {
			var got struct {
				Type      string
				Timestamp time.Time
				Data      struct {
					Subscriber map[string]string
					JobID      string
				}
			}
			if err := json.Unmarshal(c.body, &got); err != nil || got.Type != "subscriber.enriched" || got.Timestamp.IsZero() ||
				got.Data.Subscriber["email"] != ana || got.Data.JobID != job.String() || c.host == "credits.example.com" {
				t.Errorf("%s got %s (%v)", c.host, c.body, err)
			}
		}
		for _, m := range s.messages(liwanag.MessageFilter{}) {
			log, err := s.act.store.Messages.Attempts(context.Background(), m.ID)
			s.must(err)
			if run := s.run(m); run.Status != workflow.StatusCompleted || len(log) != 1 || log[0].Status != 200 || m.Attempts != 1 ||
				m.EndedAt.IsZero() {
				t.Errorf("%+v, run %s, log %+v", m, run.Status, log)
			}
		}
	})
}

// What is told is read when it is sent: no run, row or log line holds it, nor the
// sink's secret and URL.
func TestNoRunRowOrLogHoldsWhatIsTold(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		person := s.subscriber()
		s.answersBy(func(c call) (int, http.Header, time.Duration) {
			return map[bool]int{true: 500, false: 410}[c.n == 1], nil, 0
		})
		s.announce(liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: person, At: time.Now()})
		s.sleep(time.Minute)
		calls, _ := s.heard()
		if len(calls) != 2 || !strings.Contains(string(calls[0].body), ana) {
			t.Fatalf("%d calls", len(calls))
		}
		m := s.messages(liwanag.MessageFilter{})[0]
		runs, err := s.act.engine.List(context.Background(), workflow.Query{})
		s.must(err)
		if len(runs.Runs) != 1 {
			t.Fatalf("%d runs", len(runs.Runs))
		}
		run, err := s.act.engine.Describe(context.Background(), runs.Runs[0].ID)
		s.must(err)
		log, err := s.act.store.Messages.Attempts(context.Background(), m.ID)
		s.must(err)
		everything, err := json.Marshal([]any{run, run.History, m, log, s.sinkNow(sink).DisabledReason, s.log.String()})
		s.must(err)
		if !strings.Contains(s.log.String(), sink.String()) {
			t.Error("the log does not tell which sink was disabled")
		}
		for _, canary := range []string{ana, "canary-token", "crm.example.com", s.secrets["crm.example.com"]} {
			if strings.Contains(string(everything), canary) {
				t.Errorf("%q is kept: %s", canary, everything)
			}
		}
	})
}

func TestAReceiverThatWasDownGetsEverythingUnderTheSameIds(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		s.answers(http.StatusServiceUnavailable)
		s.tell(500)
		s.sleep(5 * time.Hour)
		calls, tried := s.heard()
		if tried > 32+5*12+1 || tried < 32 {
			t.Errorf("%d messages of a dead sink were tried in %d calls", tried, len(calls))
		}
		if s.sinkNow(sink).FailingSince.IsZero() {
			t.Error("the sink does not show that it fails")
		}
		s.answers(http.StatusOK)
		s.sleep(12 * time.Hour)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 500})
		if _, all := s.heard(); all != 500 {
			t.Errorf("%d ids for 500 messages", all)
		}
		if now := s.sinkNow(sink); !now.FailingSince.IsZero() || now.SentAt.IsZero() {
			t.Errorf("sink %+v", now)
		}
	})
}

// Every try of a message is signed anew, with the time of the try.
func TestRetriesComeWhenTheDocumentsSay(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("crm.example.com")
		s.answersBy(func(c call) (int, http.Header, time.Duration) {
			return map[bool]int{true: 200, false: 500}[c.n == attempts], nil, 0
		})
		began := time.Now()
		s.tell(1)
		s.sleep(80 * time.Hour)
		calls, _ := s.heard()
		delay := 10 * time.Second
		for i := 1; i < len(calls); i++ {
			if got := calls[i].at.Sub(calls[i-1].at); got < delay || got > delay+delay/10+time.Second {
				t.Errorf("attempt %d came %s after the one before, want %s and at most a tenth more", i+1, got, delay)
			}
			delay = min(2*delay, 12*time.Hour)
		}
		if took := calls[len(calls)-1].at.Sub(began); took < 60*time.Hour || took > 78*time.Hour {
			t.Errorf("the last attempt came after %s", took)
		}
	})
}

func TestASinkThatTookNothingForThreeDaysIsDisabledAndLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		s.answers(http.StatusInternalServerError)
		s.tell(40)
		s.sleep(4 * 24 * time.Hour)
		now := s.sinkNow(sink)
		if !now.Disabled || !strings.Contains(now.DisabledReason, "three days") || !strings.Contains(now.DisabledReason, "500") {
			t.Fatalf("sink %+v", now)
		}
		s.sleep(time.Hour)
		before, _ := s.heard()
		s.sleep(48 * time.Hour)
		if after, _ := s.heard(); len(after) != len(before) {
			t.Errorf("%d calls of a disabled sink", len(after)-len(before))
		}
		states := s.states()
		if states[liwanag.MessagePending]+states[liwanag.MessageFailed] != 40 || states[liwanag.MessagePending] == 0 {
			t.Errorf("messages %v", states)
		}
		s.answers(http.StatusOK)
		no := false
		_, err := s.service().Change(context.Background(), sink, Change{Disabled: &no})
		s.must(err)
		for _, m := range s.messages(liwanag.MessageFilter{States: []liwanag.MessageState{liwanag.MessageFailed}}) {
			s.must(s.service().Resend(context.Background(), m.ID))
		}
		s.sleep(2 * time.Hour)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 40})
	})
}

func TestAReceiverThatIsGoneDisablesItsSinkAtOnce(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		s.answers(http.StatusGone)
		s.tell(1)
		if now := s.sinkNow(sink); !now.Disabled || !strings.Contains(now.DisabledReason, "410") {
			t.Fatalf("sink %+v", now)
		}
		s.sleep(24 * time.Hour)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessagePending: 1})
		if calls, _ := s.heard(); len(calls) != 1 {
			t.Errorf("%d calls", len(calls))
		}
		s.answers(http.StatusNoContent)
		no := false
		_, err := s.service().Change(context.Background(), sink, Change{Disabled: &no})
		s.must(err)
		s.sleep(time.Minute)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 1})
	})
}

func TestASinkThatIsSwitchedOffIsNotCalledAndGetsWhatWaitsWhenItIsOn(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		s.answers(http.StatusBadGateway)
		s.tell(1)
		off, on := true, false
		_, err := s.service().Change(context.Background(), sink, Change{Disabled: &off})
		s.must(err)
		s.tell(1) // nobody wants it
		s.answers(http.StatusOK)
		s.sleep(time.Hour)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessagePending: 1})
		if calls, _ := s.heard(); len(calls) != 1 {
			t.Errorf("%d calls", len(calls))
		}
		_, err = s.service().Change(context.Background(), sink, Change{Disabled: &on})
		s.must(err)
		s.sleep(time.Minute)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 1})
	})
}

func TestAReceiverMayAskForALaterTryWithinBounds(t *testing.T) {
	for asked, want := range map[string]time.Duration{"3600": time.Hour, "5": 5 * time.Second,
		"99999999999": 12 * time.Hour, "-3": 10 * time.Second, "soon": 10 * time.Second,
		time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC).Format(http.TimeFormat): 2 * time.Hour} { // a bubble begins with the year 2000
		t.Run(asked, func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.boot(0, false)
				s.sink("crm.example.com")
				s.answersBy(func(c call) (int, http.Header, time.Duration) {
					if c.n > 1 {
						return 200, nil, 0
					}
					return http.StatusTooManyRequests, http.Header{"Retry-After": {asked}}, 0
				})
				s.tell(1)
				m := s.messages(liwanag.MessageFilter{})[0]
				s.sleep(want + want/10 + time.Minute)
				calls, _ := s.heard()
				if len(calls) != 2 {
					t.Fatalf("%d calls", len(calls))
				}
				if got := calls[1].at.Sub(calls[0].at); got < want-time.Second || got > want+want/10+time.Second {
					t.Errorf("the second came after %s, want %s", got, want)
				}
				if shown := m.NextAt.Sub(calls[0].at); shown < want-time.Second || shown > want+time.Second {
					t.Errorf("the message shows its next try in %s, want %s", shown, want)
				}
			})
		})
	}
}

func TestASlowReceiverIsGivenUpAfter15Seconds(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("crm.example.com")
		s.answersBy(func(call) (int, http.Header, time.Duration) { return 200, nil, time.Hour })
		s.tell(1)
		s.sleep(16 * time.Second)
		m := s.messages(liwanag.MessageFilter{})[0]
		log, err := s.act.store.Messages.Attempts(context.Background(), m.ID)
		s.must(err)
		if m.State != liwanag.MessageRetrying || m.Error != "no answer in time" || len(log) != 1 || log[0].Took != 15*time.Second {
			t.Errorf("%+v, log %+v", m, log)
		}
	})
}

func TestMessagesOfPeopleWhoLeftAreDropped(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		s.sink("crm.example.com")
		s.answers(http.StatusBadGateway)
		person := s.subscriber()
		s.announce(liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: person, At: time.Now()})
		m := s.messages(liwanag.MessageFilter{})[0]
		s.must(s.act.store.rows.Write(context.Background(), func(tx *datastore.Tx) error {
			if err := tx.Messages.DropAbout(person, time.Now()); err != nil {
				return err
			}
			return tx.Subscribers.Delete([]liwanag.ID{person})
		}))
		s.answers(http.StatusOK)
		s.sleep(time.Hour)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDropped: 1})
		if calls, _ := s.heard(); len(calls) != 1 {
			t.Errorf("%d calls", len(calls))
		}
		if run := s.run(m); run.Status != workflow.StatusCompleted {
			t.Errorf("its run is %s", run.Status)
		}
		s.must(s.service().Resend(context.Background(), m.ID)) // there is nothing to send any more
		s.sleep(time.Minute)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDropped: 1})
	})
}

func TestACanceledRunDropsItsMessageAndADeletedSinkEndsItsRuns(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		kept, deleted := s.sink("kept.example.com"), s.sink("deleted.example.com")
		s.answers(http.StatusBadGateway)
		s.tell(1)
		canceled := s.messages(liwanag.MessageFilter{SinkID: kept})[0]
		orphan := s.messages(liwanag.MessageFilter{SinkID: deleted})[0]
		s.must(s.act.engine.Cancel(context.Background(), canceled.RunID.String(), "not needed"))
		s.must(s.service().Delete(context.Background(), deleted))
		s.answers(http.StatusOK)
		s.sleep(time.Hour)
		if got, err := s.act.store.Messages.Get(context.Background(), canceled.ID); err != nil || got.State != liwanag.MessageDropped {
			t.Errorf("%+v, %v", got, err)
		}
		if run := s.run(orphan); run.Status != workflow.StatusCompleted {
			t.Errorf("the run of a deleted sink's message is %s", run.Status)
		}
		if calls, _ := s.heard(); len(calls) != 2 {
			t.Errorf("%d calls, want the first one of each alone", len(calls))
		}
	})
}

func TestAMessageThatEndedIsSentOnceMoreUnderTheSameId(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		test, err := s.service().Test(context.Background(), sink)
		s.must(err)
		s.sleep(time.Minute)
		s.must(s.service().Resend(context.Background(), test.ID))
		s.sleep(time.Minute)
		calls, ids := s.heard()
		m := s.messages(liwanag.MessageFilter{Topic: liwanag.TopicTest})[0]
		if len(calls) != 2 || ids != 1 || m.Attempts != 2 || m.State != liwanag.MessageDelivered {
			t.Errorf("%d calls with %d ids: %+v", len(calls), ids, m)
		}
		s.answers(http.StatusBadGateway)
		s.must(s.service().Resend(context.Background(), test.ID))
		s.sleep(time.Second)
		if err := s.service().Resend(context.Background(), test.ID); liwanag.ClassOf(err) != liwanag.Conflict {
			t.Errorf("a message under way was sent again: %v", err)
		}
	})
}

// While secrets are rotated a receiver may know either one.
func TestARotatedSecretAndTheOneBeforeBothVerify(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("crm.example.com")
		send := func() {
			t.Helper()
			_, err := s.service().Test(context.Background(), sink)
			s.must(err)
			s.sleep(time.Minute)
		}
		made, err := s.service().Rotate(context.Background(), sink)
		s.must(err)
		send() // the receiver still has the first one
		s.mu.Lock()
		s.secrets["crm.example.com"] = made.Secret
		s.mu.Unlock()
		send()
		if _, err = s.service().Rotate(context.Background(), sink); err != nil {
			t.Fatal(err)
		}
		if got := s.sinkNow(sink).Secrets; len(got) != 2 || got[1] != made.Secret {
			t.Errorf("%d secrets", len(got))
		}
		send()
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 3})
	})
}
