package intake

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestWhatIsFoundPassesTheValidatorsOfSignUps(t *testing.T) {
	got := CleanFound(liwanag.Finding{FirstName: " Ada\x00\u0007 ", LastName: "N/A", FullName: strings.Repeat("é", 5000),
		Headline: "a\nb\u202e",
		JobTitle: "\xff", CompanyName: "-", CompanyDomain: "javascript:alert(1)", LinkedinURL: "javascript:alert(1)//linkedin.com",
		CompanyLinkedinURL: "http://evil.example/linkedin.com", Headcount: -5})
	if got.FirstName != "Ada" || got.LastName != "" || len(got.FullName) > maxTextBytes || got.FullName == "" ||
		strings.Contains(got.Headline, "\n") ||
		got.CompanyName != "" || got.CompanyDomain != "" || got.LinkedinURL != "" || got.CompanyLinkedinURL != "" || got.Headcount != 0 {
		t.Errorf("%+v", got)
	}
	same := liwanag.Finding{FirstName: "Ada", LastName: "Lovelace", FullName: "Ada Lovelace", Headline: "Analyst", JobTitle: "Countess",
		LinkedinURL: "https://www.linkedin.com/in/ada", CompanyName: "Engine & Co", CompanyDomain: "engine.example",
		CompanyLinkedinURL: "https://www.linkedin.com/company/engine", Headcount: 2, Industry: "Mathematics", Location: "London, United Kingdom"}
	if got := CleanFound(same); got != same {
		t.Errorf("%+v", got)
	}
}
