package intake

import "github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"

// CleanFound brings what FullEnrich says of a person into the form that sign-ups have:
// the person writes it, so it is as hostile as theirs. What cannot be taken is not
// there, what is too long is cut; the profile keeps all that was said.
func CleanFound(s liwanag.Finding) liwanag.Finding {
	for _, text := range []*string{&s.FirstName, &s.LastName, &s.FullName, &s.Headline, &s.JobTitle, &s.Seniority, &s.Location, &s.Country,
		&s.CompanyName, &s.Industry} {
		*text, _ = nameText(cutText(*text))
	}
	s.CompanyDomain, _ = companyDomain(s.CompanyDomain)
	s.LinkedinURL, _ = linkedInURL(s.LinkedinURL)
	s.CompanyLinkedinURL, _ = linkedInURL(s.CompanyLinkedinURL)
	s.Headcount = max(s.Headcount, 0)
	return s
}
