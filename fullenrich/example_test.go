package fullenrich_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/liwanag/liwanag/fullenrich"
)

// One submission, and what its outcome means for the caller.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"enrichment_id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11"}`)
			return
		}
		_, _ = io.WriteString(w, `{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","cost":{"credits":1},"data":[
			{"input":{"email":"mara.ilagan@example.net"},"custom":{"lw_job":"job_01"},"profile":{"full_name":"Mara Ilagan"}}]}`)
	}))
	defer server.Close()
	client, err := fullenrich.New(fullenrich.Config{BaseURL: server.URL, Key: "fe_test_0123456789abcdef"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	ctx := context.Background()
	id, err := client.Submit(ctx, fullenrich.SubmitRequest{
		Name:        "liwanag-7",
		Contacts:    []fullenrich.Contact{{Email: "mara.ilagan@example.net", Custom: map[string]string{"lw_job": "job_01"}}},
		CommittedAt: time.Now(),
	})
	var failed *fullenrich.Error
	if errors.As(err, &failed) {
		switch failed.Outcome {
		case fullenrich.OutcomeNotSent, fullenrich.OutcomeRefused:
			fmt.Println("nothing was accepted, may be sent again:", err)
		default:
			fmt.Println("may have been accepted, wait for the webhook:", err)
		}
		return
	}
	fetched, err := client.Fetch(ctx, id)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, record := range fetched.Result.Data {
		fmt.Println(fetched.Result.Status, record.Custom["lw_job"], record.Profile.Found(), record.Profile.FullName)
	}
	// Output: FINISHED job_01 true Mara Ilagan
}
