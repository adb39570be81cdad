package simulator

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
)

// The simulator's own wire structs: it is the oracle of the client's tests and
// must not share a mistake with it.

// Statuses of an enrichment.
const (
	statusCreated             = "CREATED"
	statusInProgress          = "IN_PROGRESS"
	statusFinished            = "FINISHED"
	statusCreditsInsufficient = "CREDITS_INSUFFICIENT"
	statusCanceled            = "CANCELED"
	statusRateLimit           = "RATE_LIMIT"
)

const (
	signatureHeader = "X-Signature-SHA1"
	v2              = "/api/v2"
)

// apiError is an answer that says no, with the provider's envelope.
type apiError struct {
	status        int
	code, message string
}

type envelope struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type result struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	Status string          `json:"status"`
	Cost   cost            `json:"cost"`
	Data   json.RawMessage `json:"data,omitempty"`
	DataV1 json.RawMessage `json:"datas,omitempty"`
	Filler string          `json:"filler,omitempty"`
}

type cost struct {
	Credits int64 `json:"credits"`
}

type record struct {
	Input       json.RawMessage `json:"input,omitempty"`
	Custom      json.RawMessage `json:"custom,omitempty"`
	Profile     json.RawMessage `json:"profile,omitempty"`
	ContactInfo json.RawMessage `json:"contact_info,omitempty"`
	Contact     json.RawMessage `json:"contact,omitempty"` // v1 only
}

type profile struct {
	ID             string      `json:"id,omitempty"`
	FullName       string      `json:"full_name,omitempty"`
	FirstName      string      `json:"first_name,omitempty"`
	LastName       string      `json:"last_name,omitempty"`
	Headline       string      `json:"headline,omitempty"`
	Description    string      `json:"description,omitempty"`
	Location       *location   `json:"location,omitempty"`
	SocialProfiles *social     `json:"social_profiles,omitempty"`
	Educations     []education `json:"educations,omitempty"`
	Languages      []language  `json:"languages,omitempty"`
	Skills         []string    `json:"skills,omitempty"`
	Employment     *employment `json:"employment,omitempty"`
}

type location struct {
	Line1       string `json:"line1,omitempty"`
	Line2       string `json:"line2,omitempty"`
	Country     string `json:"country,omitempty"`
	CountryCode string `json:"country_code,omitempty"`
	City        string `json:"city,omitempty"`
	Region      string `json:"region,omitempty"`
}

type social struct {
	ProfessionalNetwork network `json:"professional_network"`
}

type network struct {
	ID              int64  `json:"id"`
	URL             string `json:"url"`
	Handle          string `json:"handle"`
	ConnectionCount int    `json:"connection_count"`
}

type education struct {
	SchoolName string `json:"school_name"`
	Degree     string `json:"degree,omitempty"`
	StartAt    string `json:"start_at,omitempty"`
	EndAt      string `json:"end_at,omitempty"`
}

type language struct {
	Language    string `json:"language"`
	Proficiency string `json:"proficiency"`
}

type employment struct {
	Current *job  `json:"current,omitempty"`
	All     []job `json:"all,omitempty"`
}

type job struct {
	Title        string     `json:"title,omitempty"`
	Seniority    string     `json:"seniority,omitempty"`
	JobFunctions []function `json:"job_functions,omitempty"`
	Description  string     `json:"description,omitempty"`
	IsCurrent    bool       `json:"is_current"`
	StartAt      string     `json:"start_at,omitempty"`
	EndAt        string     `json:"end_at,omitempty"`
	Company      *company   `json:"company,omitempty"`
}

type function struct {
	Function    string `json:"function"`
	SubFunction string `json:"sub_function"`
}

type company struct {
	ID             string     `json:"id,omitempty"`
	Name           string     `json:"name"`
	Domain         string     `json:"domain"`
	Website        string     `json:"website,omitempty"`
	Description    string     `json:"description,omitempty"`
	YearFounded    int        `json:"year_founded"`
	Headcount      int        `json:"headcount"`
	HeadcountRange string     `json:"headcount_range,omitempty"`
	CompanyType    string     `json:"company_type,omitempty"`
	Specialties    []string   `json:"specialties,omitempty"`
	Locations      *locations `json:"locations,omitempty"`
	Industry       *industry  `json:"industry,omitempty"`
	SocialProfiles *social    `json:"social_profiles,omitempty"`
	LogoURL        string     `json:"logo_url"`
}

type locations struct {
	Headquarters location   `json:"headquarters"`
	Offices      []location `json:"offices"`
}

type industry struct {
	MainIndustry string `json:"main_industry"`
}

// sign is the provider's webhook signature: HMAC-SHA1 of the raw body, keyed
// with the workspace's API key, in lower-case hex.
func sign(key string, body []byte) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "simulator: "+err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, status, "application/json", body)
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body) // the reader may be gone; nobody is left to tell
}

func (e *apiError) write(w http.ResponseWriter) {
	writeJSON(w, e.status, envelope{Code: e.code, Message: e.message})
}

func rawJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("simulator: own wire struct does not marshal: " + err.Error())
	}
	return raw
}
