package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// leads are a founder and a VP who were found, and somebody of whom nothing is known.
func (w *world) leads() {
	for email, found := range map[string]liwanag.Finding{
		"ana@gmail.com": {JobTitle: "Founder", Seniority: "C-Suite", Country: "Germany", CompanyName: "Zeta", CompanyDomain: "zeta.example",
			Headcount: 10},
		"bo@gmail.com": {JobTitle: "VP Sales", Seniority: "VP", Country: "Germany", CompanyName: "Acme", CompanyDomain: "acme.example",
			Headcount: 200},
		"cid@gmail.com": {},
	} {
		added, err := api.AddSubscriber.Call(context.Background(), w.client(),
			api.SignUp{Email: email, Metadata: map[string]any{"utm": email[:2]}})
		w.must(err)
		if found.JobTitle == "" {
			continue
		}
		w.must(w.store.Write(context.Background(), func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: w.id(liwanag.SubscriberKind, added.SubscriberID), Found: found,
				Profile: []byte("{}"), ResultAt: time.Now(), At: time.Now()}})
			return err
		}))
	}
}

// emails are those of an answer with items.
func emails(t *testing.T, body string) (all []string) {
	t.Helper()
	var list api.SubscriberList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, s := range list.Items {
		all = append(all, s.Email)
	}
	return all
}

func TestLeadsAreFoundCountedAndGrouped(t *testing.T) {
	w := newWorld(t)
	w.leads()
	for query, want := range map[string][]string{
		"jobTitle=founder,vp&country=germany&headcountMin=50&headcountMax=500": {"bo@gmail.com"},
		"metadata.utm=an":            {"ana@gmail.com"},
		"companyDomain=ZETA.example": {"ana@gmail.com"},
		"hasLinkedin=true":           nil,
		"sort=headcount":             {"bo@gmail.com", "ana@gmail.com", "cid@gmail.com"},
		"sort=company":               {"bo@gmail.com", "ana@gmail.com", "cid@gmail.com"},
		"sort=company&order=desc":    {"ana@gmail.com", "bo@gmail.com", "cid@gmail.com"},
		"foundSince=2020-01-01T00:00:00Z&sort=headcount&order=asc": {"ana@gmail.com", "bo@gmail.com"},
	} {
		rec := w.call("GET", "/api/v1/subscribers?"+query, "")
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
		}
		if d := cmp.Diff(want, emails(t, rec.Body.String())); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	for query, code := range map[string]string{"sort=age": "bad_parameter",
		"headcountMin=-1": "bad_parameter", "hasLinkedin=maybe": "bad_parameter",
		"metadata.=x": "bad_parameter", "metadata.a%00=x": "invalid_filter", "metadata.a=%00": "invalid_filter", "country=%00": "invalid_filter",
		"metadata.a=x&metadata.a=y": "bad_parameter"} {
		w.wantProblem(w.call("GET", "/api/v1/subscribers?"+query, ""), http.StatusBadRequest, code)
	}
	var list api.SubscriberList
	w.must(json.Unmarshal(w.call("GET", "/api/v1/subscribers?total=true&limit=1", "").Body.Bytes(), &list))
	if list.Total == nil || *list.Total != 3 || list.TotalIsMore || len(list.Items) != 1 {
		t.Errorf("%+v", list)
	}
	var companies struct{ Items []api.Company }
	w.must(json.Unmarshal(w.call("GET", "/api/v1/companies?country=germany", "").Body.Bytes(), &companies))
	if len(companies.Items) != 2 || companies.Items[0].People != 1 || companies.Items[0].Domain != "acme.example" {
		t.Errorf("%+v", companies)
	}
	var one api.Company
	w.must(json.Unmarshal(w.call("GET", "/api/v1/companies/Acme.example", "").Body.Bytes(), &one))
	if one.Name != "Acme" || one.Headcount != 200 || one.Seniorities["VP"] != 1 {
		t.Errorf("%+v", one)
	}
	w.wantProblem(w.call("GET", "/api/v1/companies/nobody.example", ""), http.StatusNotFound, "not_found")
	rec := w.call("POST", "/api/v1/subscribers/enrich", `{"filter":{"metadata":{"utm":"an"}},"dryRun":true}`)
	var dry api.EnrichedMany
	w.must(json.Unmarshal(rec.Body.Bytes(), &dry))
	left := int64(0)
	for _, n := range dry.LeftOut {
		left += n
	}
	if dry.Count+left != 1 {
		t.Errorf("a filter by metadata in bulk: %s", rec.Body)
	}
}

func TestAnExportHasTheColumnsAndTheFormThatAreAskedFor(t *testing.T) {
	w := newWorld(t)
	w.leads()
	for query, want := range map[string]string{
		"columns=email,metadata.utm,headcount&sort=company&foundSince=2020-01-01T00:00:00Z": `"email","metadata.utm","headcount"
"bo@gmail.com","bo","200"
"ana@gmail.com","an","10"
`,
		"format=jsonl&columns=email,headcount,metadata.utm,statedFullName&companyDomain=acme.example": `{"email":"bo@gmail.com","headcount":200,"metadata.utm":"bo"}` + "\n",
	} {
		rec := w.call("GET", "/api/v1/subscribers/export?"+query, "")
		got := strings.ReplaceAll(strings.TrimPrefix(rec.Body.String(), "\ufeff"), "\r\n", "\n")
		if rec.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", query, rec.Code, got, want)
		}
	}
	whole := w.call("GET", "/api/v1/subscribers/export?format=jsonl", "")
	lines := strings.Split(strings.TrimSpace(whole.Body.String()), "\n")
	if len(lines) != 3 || whole.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d lines of %s", len(lines), whole.Header().Get("Content-Type"))
	}
	for _, line := range lines {
		var s api.Subscriber
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.ID == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	for _, query := range []string{"columns=email,nothing", "columns=email,email", "columns=metadata."} {
		w.wantProblem(w.call("GET", "/api/v1/subscribers/export?"+query, ""), http.StatusBadRequest, "bad_parameter")
	}
}
