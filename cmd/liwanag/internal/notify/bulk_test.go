package notify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// found stores people of whom a lookup said who they are.
func (s *stage) found(n int, source string) (people []liwanag.ID) {
	s.t.Helper()
	s.must(s.act.store.rows.Write(context.Background(), func(tx *datastore.Tx) error {
		people = nil
		var ups []liwanag.SignUp
		var jobs []liwanag.Job
		var results []liwanag.JobResult
		for i := range n {
			id, job, email := liwanag.NewID(liwanag.SubscriberKind), liwanag.NewID(liwanag.JobKind), fmt.Sprintf("%s%d@gmail.com", source, i)
			people = append(people, id)
			ups = append(ups, liwanag.SignUp{ID: id, EmailKey: email, Email: email, EmailType: liwanag.Personal, Source: source, At: time.Now()})
			jobs = append(jobs, liwanag.Job{ID: job, SubscriberID: id, Status: liwanag.JobPending, CreatedAt: time.Now()})
			results = append(results, liwanag.JobResult{ID: job, Status: liwanag.JobEnriched, At: time.Now()})
		}
		if _, err := tx.Subscribers.Upsert(ups); err != nil {
			return err
		}
		if _, err := tx.Jobs.Insert(jobs); err != nil {
			return err
		}
		return tx.Jobs.Settle(results)
	}))
	return people
}

func TestASinkIsToldOfPeopleFoundBeforeItExistedOnceEach(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		people := slices.Concat(s.found(3, "blog"), s.found(bulkGroup+50, "shop"))
		left := people[1:2]
		s.must(s.act.store.rows.Write(context.Background(), func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Suppress(liwanag.Departure{IDs: left, At: time.Now(), By: liwanag.ByOperator})
			return err
		}))
		sink := s.sink("new.example.com", liwanag.TopicEnriched)
		s.announce(liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: people[0], At: time.Now()})
		backfill := func(where liwanag.SubscriberFilter, want int64) {
			t.Helper()
			counted, err := s.service().CountBackfill(context.Background(), sink, where)
			s.must(err)
			sent, err := s.service().Backfill(context.Background(), sink, where)
			s.must(err)
			if counted != want || sent != want {
				t.Errorf("%d counted, %d sent, want %d", counted, sent, want)
			}
			s.sleep(time.Minute)
		}
		backfill(liwanag.SubscriberFilter{Source: "blog"}, 1) // of three one was told of, and one left
		backfill(liwanag.SubscriberFilter{}, bulkGroup+50)
		backfill(liwanag.SubscriberFilter{}, 0)
		backfill(liwanag.SubscriberFilter{Standing: liwanag.StandingAny}, 1)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: len(people)})
		deaf := s.sink("deaf.example.com", liwanag.TopicCreditsLow)
		if _, err := s.service().Backfill(context.Background(), deaf, liwanag.SubscriberFilter{}); liwanag.CodeOf(err) != "topic_not_wanted" {
			t.Errorf("a sink that wants no people: %v", err)
		}
	})
}

func TestAMendedSinkGetsAtOnceWhatDidNotArrive(t *testing.T) {
	onStage(t, func(s *stage) {
		s.boot(0, false)
		sink := s.sink("mended.example.com")
		s.sink("other.example.com")
		s.answersBy(func(c call) (int, http.Header, time.Duration) {
			if c.host == "mended.example.com" {
				return http.StatusInternalServerError, nil, 0
			}
			return http.StatusOK, nil, 0
		})
		s.tell(5)
		s.sleep(2 * time.Hour) // each waits for a later attempt by now
		waiting := liwanag.MessageFilter{SinkID: sink, States: []liwanag.MessageState{liwanag.MessageFailed, liwanag.MessageRetrying}}
		counted, err := s.service().CountAgain(context.Background(), waiting)
		s.must(err)
		s.answers(http.StatusOK)
		before := time.Now()
		sent, err := s.service().ResendAll(context.Background(), waiting)
		s.must(err)
		if counted == 0 || sent != counted {
			t.Errorf("%d counted, %d sent", counted, sent)
		}
		s.sleep(time.Minute)
		s.wantStates(map[liwanag.MessageState]int{liwanag.MessageDelivered: 10})
		for _, m := range s.messages(liwanag.MessageFilter{SinkID: sink}) {
			if m.EndedAt.Before(before) || m.EndedAt.Sub(before) > time.Minute {
				t.Errorf("%s arrived %s after it was asked for", m.ID, m.EndedAt.Sub(before))
			}
		}
		again, err := s.service().ResendAll(context.Background(), liwanag.MessageFilter{SinkID: sink,
			States: []liwanag.MessageState{liwanag.MessageDelivered}})
		s.must(err)
		if again != 5 {
			t.Errorf("%d of those that arrived are sent again", again)
		}
		s.sleep(time.Minute)
		if calls, messages := s.heard(); messages != 10 {
			t.Errorf("%d messages in %d calls", messages, len(calls))
		}
	})
}
