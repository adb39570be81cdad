package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// saveGermans saves the view of these tests.
func (w *world) saveGermans() (saved api.View) {
	w.t.Helper()
	rec := w.call("POST", "/api/v1/views", `{"name":"Germans","filter":{"country":"germany","metadata":{"utm":"bo"},"hasLinkedin":"false"}}`)
	w.must(json.Unmarshal(rec.Body.Bytes(), &saved))
	if rec.Code != http.StatusCreated || saved.Name != "Germans" || saved.Filter.Country != "germany" || saved.Filter.HasLinkedin != "false" {
		w.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return saved
}

func TestASavedViewIsAFilterOfListsExportsBulkActsAndCompanies(t *testing.T) {
	w := newWorldWithSinks(t)
	w.leads()
	saved := w.saveGermans()
	for query, want := range map[string][]string{"view=Germans": {"bo@gmail.com"}, "view=" + saved.ID: {"bo@gmail.com"},
		"view=Germans&metadata.utm=an": {"ana@gmail.com"}, "view=Germans&seniority=CEO": nil, "view=Germans&country=france": nil} {
		if d := cmp.Diff(want, emails(t, w.call("GET", "/api/v1/subscribers?"+query, "").Body.String())); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	if body := w.call("GET", "/api/v1/subscribers/export?view=Germans&columns=email", "").Body.String(); strings.Count(body, "\n") != 2 ||
		!strings.Contains(body, "bo@gmail.com") {
		t.Errorf("the export has %q", body)
	}
	var companies struct{ Items []api.Company }
	w.must(json.Unmarshal(w.call("GET", "/api/v1/companies?view=Germans", "").Body.Bytes(), &companies))
	if len(companies.Items) != 1 || companies.Items[0].Domain != "acme.example" {
		t.Errorf("%+v", companies)
	}
	var dry api.EnrichedMany
	w.must(json.Unmarshal(w.call("POST", "/api/v1/subscribers/enrich", `{"filter":{"view":"Germans"},"dryRun":true}`).Body.Bytes(), &dry))
	n := dry.Count
	for _, left := range dry.LeftOut {
		n += left
	}
	if n != 1 {
		t.Errorf("%+v", dry)
	}
}

func TestAViewKeepsItsOrderAndItsColumns(t *testing.T) {
	w := newWorld(t)
	w.leads()
	saved := answerOf[api.View](w, w.call("POST", "/api/v1/views",
		`{"name":"By size","filter":{"country":"germany"},"sort":"headcount","order":"asc","columns":["email","metadata.utm"]}`), http.StatusCreated)
	if saved.Sort != "headcount" || saved.Order != "asc" || !slices.Equal(saved.Columns, []string{"email", "metadata.utm"}) {
		t.Errorf("%+v", saved)
	}
	for query, want := range map[string][]string{
		"view=By+size":                         {"ana@gmail.com", "bo@gmail.com"},
		"view=By+size&order=desc":              {"bo@gmail.com", "ana@gmail.com"},
		"view=By+size&sort=company":            {"bo@gmail.com", "ana@gmail.com"},
		"view=By+size&sort=company&order=desc": {"ana@gmail.com", "bo@gmail.com"},
	} {
		if d := cmp.Diff(want, emails(t, w.call("GET", "/api/v1/subscribers?"+query, "").Body.String())); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	for query, want := range map[string]string{
		"view=By+size": "\"email\",\"metadata.utm\"\n\"ana@gmail.com\",\"an\"\n\"bo@gmail.com\",\"bo\"\n",
		"view=By+size&columns=email&sort=company": "\"email\"\n\"bo@gmail.com\"\n\"ana@gmail.com\"\n",
		"view=By+size&format=jsonl":               "{\"email\":\"ana@gmail.com\",\"metadata.utm\":\"an\"}\n{\"email\":\"bo@gmail.com\",\"metadata.utm\":\"bo\"}\n",
		"columns=email&ids=" + w.person("bo@gmail.com").ID.String() + "," + w.person("cid@gmail.com").ID.String() + "&country=germany": "\"email\"\n\"bo@gmail.com\"\n",
	} {
		if got := strings.ReplaceAll(w.call("GET", "/api/v1/subscribers/export?"+query, "").Body.String(), "\r", ""); got != want {
			t.Errorf("%s: %q", query, got)
		}
	}
	w.wantProblem(w.call("POST", "/api/v1/views", `{"name":"x","filter":{},"columns":["nothing"]}`), http.StatusUnprocessableEntity, "invalid_field")
	w.wantProblem(w.call("GET", "/api/v1/subscribers/export?ids=nobody", ""), http.StatusBadRequest, "bad_parameter")
}

func TestPagesGoForwardAndBack(t *testing.T) {
	w := newWorld(t)
	for n := range 7 {
		w.add(fmt.Sprintf("p%d@mail.example", n))
	}
	page := func(query string) (list api.SubscriberList, text string) {
		list = answerOf[api.SubscriberList](w, w.call("GET", "/api/v1/subscribers?limit=3&order=asc"+query, ""), http.StatusOK)
		for _, s := range list.Items {
			text += s.Email[1:2]
		}
		return list, text
	}
	first, one := page("")
	second, two := page("&cursor=" + first.NextCursor)
	third, three := page("&cursor=" + second.NextCursor)
	back, again := page("&before=" + third.PrevCursor)
	begin, start := page("&before=" + back.PrevCursor)
	if got := strings.Join([]string{one, two, three, again, start}, " "); got != "012 345 6 345 012" {
		t.Errorf("pages %s", got)
	}
	if first.PrevCursor != "" || begin.PrevCursor != "" || third.NextCursor != "" || begin.NextCursor != first.NextCursor {
		t.Errorf("%+v, %+v, %+v", first.PrevCursor, begin.PrevCursor, third.NextCursor)
	}
	both := "/api/v1/subscribers?before=" + third.PrevCursor + "&cursor=" + first.NextCursor
	w.wantProblem(w.call("GET", both, ""), http.StatusBadRequest, "bad_parameter")
}

func TestAViewThatIsNotThereOrSaysNothingIsRefused(t *testing.T) {
	w := newWorldWithSinks(t)
	w.leads()
	w.saveGermans()
	w.wantProblem(w.call("GET", "/api/v1/subscribers?view=nobodys", ""), http.StatusBadRequest, "invalid_filter")
	w.wantProblem(w.call("GET", "/api/v1/subscribers?view=%00", ""), http.StatusBadRequest, "invalid_filter")
	w.wantProblem(w.call("POST", "/api/v1/subscribers/enrich", `{"filter":{"view":"nobodys"},"dryRun":true}`), http.StatusBadRequest, "invalid_filter")
	w.wantProblem(w.call("POST", "/api/v1/views", `{"name":"Germans","filter":{}}`), http.StatusConflict, "view_exists")
	w.wantProblem(w.call("POST", "/api/v1/views", `{"name":" ","filter":{}}`), http.StatusUnprocessableEntity, "invalid_field")
	w.wantProblem(w.call("POST", "/api/v1/views", `{"name":"x","filter":{"country":"\u0000"}}`), http.StatusBadRequest, "invalid_filter")
}

func TestASavedViewIsReplacedAndStaysWhileASinkNeedsIt(t *testing.T) {
	w := newWorldWithSinks(t)
	w.leads()
	saved := w.saveGermans()
	rec := w.call("POST", "/api/v1/views", `{"name":"Germans","filter":{"view":"Germans","seniority":"VP"},"replace":true}`)
	w.must(json.Unmarshal(rec.Body.Bytes(), &saved))
	if saved.Filter.Country != "germany" || saved.Filter.Seniority != "VP" || saved.Filter.View != "" {
		t.Errorf("%s", rec.Body)
	}
	var sink api.Sink
	w.must(json.Unmarshal(w.call("POST", "/api/v1/sinks", `{"url":"https://hooks.example.com/x","view":"Germans"}`).Body.Bytes(), &sink))
	if sink.View != "Germans" {
		t.Fatalf("%+v", sink)
	}
	w.wantProblem(w.call("POST", "/api/v1/sinks", `{"url":"https://hooks.example.com/x","view":"nobodys"}`), http.StatusUnprocessableEntity,
		"invalid_field")
	w.wantProblem(w.call("DELETE", "/api/v1/views/Germans", ""), http.StatusConflict, "view_in_use")
	if rec := w.call("PATCH", "/api/v1/sinks/"+sink.ID, `{"view":""}`); rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.call("DELETE", "/api/v1/views/Germans", ""); rec.Code != http.StatusNoContent {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.wantProblem(w.call("DELETE", "/api/v1/views/Germans", ""), http.StatusNotFound, "not_found")
	var list struct{ Items []api.View }
	w.must(json.Unmarshal(w.call("GET", "/api/v1/views", "").Body.Bytes(), &list))
	if len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
}
