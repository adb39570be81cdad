package fullenrich

import "strings"

// Profile is a person. Every field may be empty or 0, which means unknown. All
// texts are foreign: some were written by the person.
type Profile struct {
	ID             string         `json:"id,omitempty"`
	FullName       string         `json:"full_name,omitempty"`
	FirstName      string         `json:"first_name,omitempty"`
	LastName       string         `json:"last_name,omitempty"`
	Headline       string         `json:"headline,omitempty"`
	Description    string         `json:"description,omitempty"`
	Location       Location       `json:"location,omitzero"`
	SocialProfiles SocialProfiles `json:"social_profiles,omitzero"`
	Educations     []Education    `json:"educations,omitempty"`
	Languages      []Language     `json:"languages,omitempty"`
	Skills         []string       `json:"skills,omitempty"`
	Employment     Employment     `json:"employment,omitzero"`
}

// Location is where a person lives.
type Location struct {
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
	City        string `json:"city,omitempty"`
	Region      string `json:"region,omitempty"`
}

// SocialProfiles are pages of a person or company.
type SocialProfiles struct {
	ProfessionalNetwork Network `json:"professional_network,omitzero"`
}

// Network is a page on LinkedIn.
type Network struct {
	ID              int64  `json:"id,omitempty"`
	URL             string `json:"url,omitempty"`
	Handle          string `json:"handle,omitempty"`
	ConnectionCount int64  `json:"connection_count,omitempty"`
}

// Education is a time at a school. For dates see [ParseYearMonth].
type Education struct {
	SchoolName string `json:"school_name,omitempty"`
	Degree     string `json:"degree,omitempty"`
	StartAt    string `json:"start_at,omitempty"`
	EndAt      string `json:"end_at,omitempty"`
}

// Language is one that a person speaks.
type Language struct {
	Language    string `json:"language,omitempty"`
	Proficiency string `json:"proficiency,omitempty"`
}

// Employment is a person's present position and all of them, newest first.
type Employment struct {
	// Current has its holes filled from All[0] where that is the same position.
	Current Position   `json:"current,omitzero"`
	All     []Position `json:"all,omitempty"`
}

// Position is a job that a person has or had. For dates see [ParseYearMonth].
type Position struct {
	Title        string        `json:"title,omitempty"`
	Seniority    string        `json:"seniority,omitempty"`
	JobFunctions []JobFunction `json:"job_functions,omitempty"`
	Description  string        `json:"description,omitempty"`
	IsCurrent    bool          `json:"is_current,omitempty"`
	StartAt      string        `json:"start_at,omitempty"`
	EndAt        string        `json:"end_at,omitempty"`
	Company      Company       `json:"company,omitzero"`
}

// JobFunction is what a position is about.
type JobFunction struct {
	Function    string `json:"function,omitempty"`
	SubFunction string `json:"sub_function,omitempty"`
}

// Company is an employer. Headcount may be 0 (unknown) though HeadcountRange is
// known.
type Company struct {
	ID             string         `json:"id,omitempty"`
	Name           string         `json:"name,omitempty"`
	Domain         string         `json:"domain,omitempty"`
	Website        string         `json:"website,omitempty"`
	Description    string         `json:"description,omitempty"`
	YearFounded    int64          `json:"year_founded,omitempty"`
	Headcount      int64          `json:"headcount,omitempty"`
	HeadcountRange string         `json:"headcount_range,omitempty"`
	CompanyType    string         `json:"company_type,omitempty"`
	Specialties    []string       `json:"specialties,omitempty"`
	Locations      Locations      `json:"locations,omitzero"`
	Industry       Industry       `json:"industry,omitzero"`
	SocialProfiles SocialProfiles `json:"social_profiles,omitzero"`
	LogoURL        string         `json:"logo_url,omitempty"`
}

// Locations are a company's addresses.
type Locations struct {
	Headquarters Address   `json:"headquarters,omitzero"`
	Offices      []Address `json:"offices,omitempty"`
}

// Address is one address of a company; offices have only the two lines.
type Address struct {
	Line1       string `json:"line1,omitempty"`
	Line2       string `json:"line2,omitempty"`
	City        string `json:"city,omitempty"`
	Region      string `json:"region,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
}

// Industry is what a company does.
type Industry struct {
	MainIndustry string `json:"main_industry,omitempty"`
}

// Found reports whether the profile is of somebody: it has an id, a full name,
// a first and last name, a network URL or an employment title. A person that
// FullEnrich did not find has no profile, or one without any of these.
func (p *Profile) Found() bool {
	if p == nil {
		return false
	}
	if p.ID != "" || p.FullName != "" || (p.FirstName != "" && p.LastName != "") ||
		p.SocialProfiles.ProfessionalNetwork.URL != "" || p.Employment.Current.Title != "" {
		return true
	}
	for _, position := range p.Employment.All {
		if position.Title != "" {
			return true
		}
	}
	return false
}

func parseProfile(t tree) *Profile {
	profile := &Profile{
		ID:             t.field("id").text(),
		FullName:       t.field("full_name").text(),
		FirstName:      t.field("first_name").text(),
		LastName:       t.field("last_name").text(),
		Headline:       t.field("headline").text(),
		Description:    t.field("description").text(),
		SocialProfiles: parseSocialProfiles(t.field("social_profiles")),
		Skills:         t.field("skills").texts(),
		Employment:     parseEmployment(t.field("employment")),
	}
	location := t.field("location")
	profile.Location = Location{
		Country:     location.field("country").text(),
		CountryCode: location.field("country_code").text(),
		City:        location.field("city").text(),
		Region:      location.field("region").text(),
	}
	for _, education := range t.field("educations").items() {
		profile.Educations = append(profile.Educations, Education{
			SchoolName: education.field("school_name").text(),
			Degree:     education.field("degree").text(),
			StartAt:    education.field("start_at").text(),
			EndAt:      education.field("end_at").text(),
		})
	}
	for _, language := range t.field("languages").items() {
		profile.Languages = append(profile.Languages, Language{
			Language:    language.field("language").text(),
			Proficiency: language.field("proficiency").text(),
		})
	}
	return profile
}

func parseSocialProfiles(t tree) SocialProfiles {
	network := t.field("professional_network")
	return SocialProfiles{ProfessionalNetwork: Network{
		ID:              network.field("id").count(),
		URL:             network.field("url").text(),
		Handle:          network.field("handle").text(),
		ConnectionCount: network.field("connection_count").count(),
	}}
}

func parseEmployment(t tree) Employment {
	employment := Employment{Current: parsePosition(t.field("current"))}
	all := t.field("all").items()
	for _, position := range all {
		employment.All = append(employment.All, parsePosition(position))
	}
	if len(all) > 0 {
		isCurrent, known := all[0].field("is_current").flag()
		if past := known && !isCurrent; !past {
			employment.Current.fill(employment.All[0])
		}
	}
	return employment
}

func parsePosition(t tree) Position {
	position := Position{
		Title:       t.field("title").text(),
		Seniority:   t.field("seniority").text(),
		Description: t.field("description").text(),
		StartAt:     t.field("start_at").text(),
		EndAt:       t.field("end_at").text(),
		Company:     parseCompany(t.field("company")),
	}
	position.IsCurrent, _ = t.field("is_current").flag()
	for _, function := range t.field("job_functions").items() {
		position.JobFunctions = append(position.JobFunctions, JobFunction{
			Function:    function.field("function").text(),
			SubFunction: function.field("sub_function").text(),
		})
	}
	return position
}

func parseCompany(t tree) Company {
	company := Company{
		ID:             t.field("id").text(),
		Name:           t.field("name").text(),
		Domain:         t.field("domain").text(),
		Website:        t.field("website").text(),
		Description:    t.field("description").text(),
		YearFounded:    t.field("year_founded").count(),
		Headcount:      t.field("headcount").count(),
		HeadcountRange: t.field("headcount_range").text(),
		CompanyType:    t.field("company_type").text(),
		Specialties:    t.field("specialties").texts(),
		Industry:       Industry{MainIndustry: t.field("industry").field("main_industry").text()},
		SocialProfiles: parseSocialProfiles(t.field("social_profiles")),
		LogoURL:        t.field("logo_url").text(),
	}
	locations := t.field("locations")
	company.Locations.Headquarters = parseAddress(locations.field("headquarters"))
	for _, office := range locations.field("offices").items() {
		company.Locations.Offices = append(company.Locations.Offices, parseAddress(office))
	}
	return company
}

func parseAddress(t tree) Address {
	return Address{
		Line1:       t.field("line1").text(),
		Line2:       t.field("line2").text(),
		City:        t.field("city").text(),
		Region:      t.field("region").text(),
		Country:     t.field("country").text(),
		CountryCode: t.field("country_code").text(),
	}
}

// fill takes from other what p lacks, unless the two are different positions:
// the title of one job with the company of another would be wrong.
func (p *Position) fill(other Position) {
	if differ(p.Title, other.Title) || p.Company.differs(other.Company) {
		return
	}
	fill(&p.Title, other.Title)
	fill(&p.Seniority, other.Seniority)
	fill(&p.Description, other.Description)
	fill(&p.StartAt, other.StartAt)
	fill(&p.EndAt, other.EndAt)
	fill(&p.IsCurrent, other.IsCurrent)
	if len(p.JobFunctions) == 0 {
		p.JobFunctions = other.JobFunctions
	}
	p.Company.fill(other.Company)
}

func (c *Company) differs(other Company) bool {
	return differ(c.ID, other.ID) || differ(c.Domain, other.Domain) || differ(c.Name, other.Name)
}

func (c *Company) fill(other Company) {
	fill(&c.ID, other.ID)
	fill(&c.Name, other.Name)
	fill(&c.Domain, other.Domain)
	fill(&c.Website, other.Website)
	fill(&c.Description, other.Description)
	fill(&c.YearFounded, other.YearFounded)
	fill(&c.Headcount, other.Headcount)
	fill(&c.HeadcountRange, other.HeadcountRange)
	fill(&c.CompanyType, other.CompanyType)
	fill(&c.Industry, other.Industry)
	fill(&c.SocialProfiles, other.SocialProfiles)
	fill(&c.LogoURL, other.LogoURL)
	fill(&c.Locations.Headquarters, other.Locations.Headquarters)
	if len(c.Specialties) == 0 {
		c.Specialties = other.Specialties
	}
	if len(c.Locations.Offices) == 0 {
		c.Locations.Offices = other.Locations.Offices
	}
}

// fill sets what is unknown.
func fill[T comparable](field *T, value T) {
	var unknown T
	if *field == unknown {
		*field = value
	}
}

// differ reports whether both are known and not the same.
func differ(a, b string) bool {
	return a != "" && b != "" && !strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
