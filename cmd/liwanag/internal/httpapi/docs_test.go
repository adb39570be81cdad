package httpapi

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestDescriptionOfTheAPI(t *testing.T) {
	w := newWorld(t)
	rec := w.call("GET", "/openapi.json", "")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	golden := filepath.Join("testdata", "openapi.json")
	got := rec.Body.String() + "\n"
	if *update {
		w.must(os.MkdirAll("testdata", 0o755))
		w.must(os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	w.must(err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the API changed; if that is meant: go test ./internal/httpapi -update\n%s", diff)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	w.must(json.Unmarshal([]byte(got), &doc))
	if strings.Contains(got, "ErrorModel") {
		t.Error("an error is described that no route answers")
	}
	for schema, fields := range map[string][]string{
		"SubscriberDetail": {"email", "enrichmentStatus", "jobs", "profile"}, "RunDetail": {"status", "waitingFor", "steps", "events"},
		"Problem": {"type", "title", "status", "detail", "code", "errors"},
	} {
		for _, field := range fields {
			if _, ok := doc.Components.Schemas[schema].Properties[field]; !ok {
				t.Errorf("schema %s lacks %s", schema, field)
			}
		}
	}
}

func TestPagesNeedNoNetwork(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/docs"} {
		rec := w.call("GET", target, "")
		page := rec.Body.String()
		if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") || !strings.HasPrefix(page, "<!doctype html>") {
			t.Errorf("%s: %d %v", target, rec.Code, rec.Header())
		}
		for _, bad := range []string{"http://", "https://", "<script", "style=", "<style", "onclick"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %s", target, bad)
			}
		}
		for _, link := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(page, -1) {
			if rec := w.call("GET", link[1], ""); rec.Code != 200 {
				t.Errorf("%s links to %s: %d", target, link[1], rec.Code)
			}
		}
	}
	docs := w.call("GET", "/docs", "").Body.String()
	for _, route := range []string{"POST /api/v1/subscribers", "GET /api/v1/runs/{id}/history", "POST /webhooks/fullenrich/{token}",
		"PATCH /api/v1/sources/{id}", "DELETE /api/v1/sources/{id}"} {
		if !strings.Contains(docs, route) {
			t.Errorf("the page lacks %s", route)
		}
	}
}

func TestConfigNamesAllFaults(t *testing.T) {
	_, err := New(Config{MaxRequests: -1, MaxConnections: -1})
	for _, want := range []string{"Store", "Runner", "Workflows", "Enrichment", "Access", "SignUps", "Uploads",
		"MaxRequests", "MaxConnections"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
