package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestWhatWasExportedCanBeImported(t *testing.T) {
	from, _ := openStore(t)
	var all []SignUp
	for i, before := range []string{"", " ", "\u00a0", "\n", "\r\n"} {
		for j, starter := range []string{"=", "+", "-", "@", "\t", "\r"} {
			all = append(all, SignUp{Email: fmt.Sprintf("p%d%d@gmail.com", i, j), FullName: "x" + before + starter + "1", Source: "'=" + starter,
				CompanyName:   "Lee, \"Ann\"; & Söhne",
				CompanyDomain: "acme.example", LinkedInURL: "https://linkedin.com/in/x", Tags: []string{"a", "b, c"},
				Sources: []string{"a; b"}, Timestamp: time.Date(2024, 1, i+1, j, 0, 0, 0, time.UTC),
				Metadata: map[string]any{"note": before + starter + "cmd|' /C calc'!A0", "n": 1.5}})
		}
	}
	all = append(all, SignUp{Email: "=cmd@gmail.com"}, SignUp{Email: "+1@acme.example", FirstName: "'", LastName: "-"})
	for _, r := range add(t, newSignUps(t, from, &enroller{}, Config{}), all...) {
		if r.Error != nil {
			t.Fatal(r.Error)
		}
	}
	export := func(store *datastore.Store) (string, map[string]liwanag.Subscriber) {
		var out bytes.Buffer
		if err := Export(t.Context(), &out, store.Subscribers.Each(t.Context(), liwanag.SubscriberFilter{})); err != nil {
			t.Fatal(err)
		}
		people := map[string]liwanag.Subscriber{}
		for p, err := range store.Subscribers.Each(t.Context(), liwanag.SubscriberFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			p.ID, p.CreatedAt, p.UpdatedAt, p.Stated.At = liwanag.ID{}, time.Time{}, time.Time{}, time.Time{}
			people[p.EmailKey] = p
		}
		return out.String(), people
	}
	file, want := export(from)
	into, _ := openStore(t)
	u := newUploads(t, into, &enroller{}, Config{})
	view, err := u.Create(t.Context(), strings.NewReader(file), UploadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	importAll(t, u, view.ID)
	_, got := export(into)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); d != "" || len(got) != len(all) {
		t.Error(d)
	}
}

func TestTheExportShowsEverythingKnownOfAPerson(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	person := liwanag.Subscriber{ID: liwanag.NewID(liwanag.SubscriberKind), Email: "ann@gmail.com",
		EmailType: liwanag.Personal, Source: "blog",
		Metadata: []byte(`{"a":"b"}`), EnrichmentStatus: liwanag.JobEnriched, CreatedAt: at, UpdatedAt: at.Add(time.Hour),
		EnrichedAt: at.Add(2 * time.Hour),
		Summary: liwanag.Summary{FirstName: "Ann", LastName: "Lee", FullName: "Ann Lee", Headline: "=1+1", JobTitle: "CEO", Seniority: "top",
			LinkedinURL: "https://linkedin.com/in/a", Location: "Paris", CompanyName: "Acme", CompanyDomain: "acme.example",
			CompanyLinkedinURL: "https://linkedin.com/company/acme", Headcount: 7, Industry: "Tea", Country: "France"},
		Stated: liwanag.Statement{FirstName: "A.", LastName: "L.", FullName: "A. L.", CompanyName: "Tea", CompanyDomain: "tea.example",
			LinkedinURL: "https://linkedin.com/in/l", At: at},
		Found: liwanag.Finding{FullName: "Ann Lee", CompanyName: "Acme"}, NameMatches: liwanag.NamesMatch, Sources: []string{"blog", "a, b"},
		Tags: liwanag.TagLists{"a": {"weekly"}, "b": {"vip"}}, SignedUpAt: at.AddDate(0, 0, -1)}
	var out bytes.Buffer
	broken := errors.New("broken")
	err := Export(t.Context(), &out, func(yield func(liwanag.Subscriber, error) bool) {
		_ = yield(person, nil) && yield(liwanag.Subscriber{Email: "bob@gmail.com"}, nil) && yield(liwanag.Subscriber{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("an error of the listing: %v", err)
	}
	out.Reset()
	if err := Export(t.Context(), &out, func(yield func(liwanag.Subscriber, error) bool) {
		_ = yield(person, nil) && yield(liwanag.Subscriber{Email: "bob@gmail.com"}, nil)
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{ExportColumns(),
		{person.ID.String(), "ann@gmail.com", "personal", "blog", "enriched", "Ann", "Lee", "Ann Lee", "'=1+1", "CEO", "top", "https://linkedin.com/in/a",
			"Paris", "Acme", "acme.example", "https://linkedin.com/company/acme", "7", "Tea", `{"a":"b"}`,
			"2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z", "2026-01-02T05:04:05Z", "A.", "L.", "A. L.", "Tea", "tea.example", "https://linkedin.com/in/l",
			"2026-01-02T03:04:05Z", "found", "found", "yes", "France", `["blog","a, b"]`, "vip, weekly", "2026-01-01T03:04:05Z", "true", "", ""},
		append(append([]string{"", "bob@gmail.com", "", "", "none"}, make([]string, len(ExportColumns())-8)...), "true", "", "")}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
}

func TestTheHeaderOfTheExportIsAPromise(t *testing.T) {
	want := "id,email,emailType,source,enrichmentStatus,firstName,lastName,fullName,headline,jobTitle,seniority,linkedinUrl,location," +
		"companyName,companyDomain,companyLinkedinUrl,headcount,industry,metadata,createdAt,updatedAt,enrichedAt," +
		"statedFirstName,statedLastName,statedFullName,statedCompanyName,statedCompanyDomain,statedLinkedinUrl,statedAt,nameFrom,companyFrom," +
		"nameMatches,country,sources,tags,signedUpAt,subscribed,unsubscribedAt,unsubscribedBy"
	if d := cmp.Diff(want, strings.Join(ExportColumns(), ",")); d != "" {
		t.Error(d)
	}
}

// counted counts the lines that came out, and how far the people that went in were ahead.
type counted struct{ in, out, ahead int }

func (c *counted) Write(p []byte) (int, error) {
	c.ahead = max(c.ahead, c.in-c.out)
	c.out += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// An export of any size takes the memory of a buffer: who is read goes out.
func TestAnExportOfFiftyThousandHoldsNoMoreThanABuffer(t *testing.T) {
	var c counted
	people := func(yield func(liwanag.Subscriber, error) bool) {
		for i := range 50_000 {
			c.in++
			if !yield(liwanag.Subscriber{ID: liwanag.NewID(liwanag.SubscriberKind), Email: fmt.Sprintf("p%d@gmail.com", i)}, nil) {
				return
			}
		}
	}
	if err := Export(t.Context(), &c, people); err != nil {
		t.Fatal(err)
	}
	if c.out != 50_001 || c.ahead > 500 {
		t.Errorf("%d lines, at most %d people were held", c.out, c.ahead)
	}
}
