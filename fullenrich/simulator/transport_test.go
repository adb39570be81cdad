package simulator

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestACallerThatGivesUpLeavesNoAnswerBehindInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan error, 1)
		client := &http.Client{Transport: InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_, err := w.Write([]byte("too late"))
			answered <- err
		}))}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://partner.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Do(r); err == nil {
			t.Error("the call was answered after its time")
		}
		if err := <-answered; err == nil {
			t.Error("an answer that nobody reads was taken")
		}
	})
}
