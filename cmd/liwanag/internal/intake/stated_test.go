package intake

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const oldHeader = "id,email,emailType,source,enrichmentStatus,firstName,lastName,fullName,headline,jobTitle,seniority,linkedinUrl," +
	"location,companyName,companyDomain,companyLinkedinUrl,headcount,industry,metadata,createdAt,updatedAt,enrichedAt"

// readRows are the sign-ups of a file as they are stored.
func readRows(t *testing.T, file string) (rows []liwanag.SignUp) {
	t.Helper()
	c, err := NewCSVReader(strings.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := c.Next()
		if err != nil {
			return rows
		}
		if row.Err != nil {
			t.Fatal(row.Err)
		}
		signUp, err := normalizer{domains: liwanag.BuiltinDomains(), lenient: true}.normalize(row.SignUp)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, signUp)
	}
}

func TestAFileOfOursSaysNothingThatWasFound(t *testing.T) {
	found := liwanag.Subscriber{ID: liwanag.NewID(liwanag.SubscriberKind), Email: "a@gmail.com", EnrichedAt: time.Now(),
		Stated: liwanag.Statement{FirstName: "Ann", CompanyName: "Tea & Co"},
		Found: liwanag.Finding{FullName: "Ann Lee", CompanyName: "Acme", CompanyDomain: "acme.example",
			LinkedinURL: "https://linkedin.com/in/a"}}
	found.Settle()
	var file bytes.Buffer
	if err := Export(t.Context(), &file, func(yield func(liwanag.Subscriber, error) bool) { yield(found, nil) }); err != nil {
		t.Fatal(err)
	}
	header, rest, _ := strings.Cut(file.String(), "\r\n")
	for name, text := range map[string]string{"as it was written": file.String(),
		"with a column more": header + `,"note"` + "\r\n" + strings.TrimSpace(rest) + `,"x"` + "\r\n"} {
		if got := readRows(t, text)[0].Stated; got != found.Stated {
			t.Errorf("%s: stated is %+v", name, got)
		}
	}
}

func TestAFileOfAnOldReleaseSaysWhatItKeptAsStated(t *testing.T) {
	row := func(enrichedAt, metadata string) string {
		return oldHeader + "\n" + `sub_1,a@gmail.com,personal,blog,none,Ann,,Ann Lee,,CEO,,,,Acme,acme.example,,7,Tea,"` +
			strings.ReplaceAll(metadata, `"`, `""`) + `",2026-01-02T03:04:05Z,2026-01-02T03:04:05Z,` + enrichedAt + "\n"
	}
	const at = "2026-01-02T03:04:05Z"
	for name, c := range map[string]struct {
		file     string
		stated   liwanag.Statement
		metadata string
	}{
		"found":             {row(at, `{"plan":"pro"}`), liwanag.Statement{}, `{"plan":"pro"}`},
		"found, and stated": {row(at, `{"stated":{"firstName":"A."}}`), liwanag.Statement{FirstName: "A."}, ``},
		"not looked up": {row("", `{"tags":["vip"],"timestamp":"2026-01-01T00:00:00Z","n":1}`),
			liwanag.Statement{FirstName: "Ann", FullName: "Ann Lee", CompanyName: "Acme", CompanyDomain: "acme.example"}, `{"n":1}`},
		"a text that is called stated": {row(at, `{"stated":"yes"}`), liwanag.Statement{}, `{"stated":"yes"}`},
	} {
		got := readRows(t, c.file)[0]
		if got.Stated != c.stated || string(got.Metadata) != c.metadata || got.Source != "blog" {
			t.Errorf("%s: %+v with %s from %q", name, got.Stated, got.Metadata, got.Source)
		}
		if strings.Contains(c.file, "tags") && (!slices.Equal(got.Tags, []string{"vip"}) || got.SignedUpAt.Day() != 1) {
			t.Errorf("%s: tags %v, signed up at %v", name, got.Tags, got.SignedUpAt)
		}
	}
}

func TestACellThatSaysNothingIsNoName(t *testing.T) {
	for text, want := range map[string]string{"-": "", "–": "", "--": "", " ? ": "", "n/a": "", "N/A": "", "NULL": "", `\N`: "", "None": "",
		"none": "", "UNKNOWN": "", "k. A.": "", "Null": "Null", "Na": "Na", "Freelance": "Freelance", "3M": "3M", "株式会社": "株式会社", "": ""} {
		got, err := normalizer{domains: liwanag.BuiltinDomains()}.normalize(SignUp{Email: "ann@gmail.com", CompanyName: text, LastName: text})
		if err != nil || got.Stated.CompanyName != want || got.Stated.LastName != want {
			t.Errorf("%q is %+v, %v, want %q", text, got.Stated, err, want)
		}
	}
}

func TestWhatSaysNothingIsNothingInEveryField(t *testing.T) {
	for _, text := range []string{"NULL", `\N`, "N/A", "n/a", "-", "#N/A"} {
		got, err := normalizer{domains: liwanag.BuiltinDomains()}.normalize(SignUp{Email: "ann@gmail.com", Source: text, CompanyDomain: text,
			LinkedInURL: text, Tags: []string{text, "vip"}})
		if err != nil || got.Source != "" || got.Stated != (liwanag.Statement{}) ||
			!slices.Equal(got.Tags, []string{"vip"}) || got.Metadata != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		rows := readRows(t, "email,company,website,linkedin,tags,plan\na@gmail.com"+strings.Repeat(","+text, 5)+"\n")
		if d := cmp.Diff(liwanag.Statement{}, rows[0].Stated); d != "" || rows[0].Tags != nil || rows[0].Metadata != nil {
			t.Errorf("%q in a file: %+v with %s", text, rows[0], rows[0].Metadata)
		}
	}
}

func TestAWebAddressWithoutANameIsNoDomain(t *testing.T) {
	for text, want := range map[string]string{"https://www.co": "", "www.co": "", "https://www.acme.co": "acme.co", "acme.co": "acme.co",
		"http://": "", "www": ""} {
		got, _ := normalizer{domains: liwanag.BuiltinDomains(), lenient: true}.normalize(SignUp{Email: "ann@gmail.com", CompanyDomain: text})
		if got.Stated.CompanyDomain != want {
			t.Errorf("%q is %q, want %q", text, got.Stated.CompanyDomain, want)
		}
	}
}
