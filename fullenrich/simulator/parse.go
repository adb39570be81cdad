package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/mail"
	"path"
	"strings"
	"unicode/utf8"
)

const (
	maxRequest     = 10 << 20
	maxCustomKeys  = 10
	maxCustomValue = 100
)

// enrichFields are the fields of a contact enrichment and their price.
var enrichFields = map[string]int64{"contact.work_emails": 1, "contact.personal_emails": 3, "contact.phones": 10}

type requestHead struct {
	Name          string `json:"name"`
	WebhookURL    string `json:"webhook_url"`
	WebhookEvents struct {
		ContactFinished string `json:"contact_finished"`
	} `json:"webhook_events"`
}

func badRequest(code, message string) *apiError {
	return &apiError{http.StatusBadRequest, code, message}
}

func readBody(r *http.Request, into any) *apiError {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(raw) > maxRequest || json.Unmarshal(raw, into) != nil {
		return badRequest("error.request.body", "Request body is not valid")
	}
	return nil
}

func (s *Server) checkHead(h requestHead, rows int) *apiError {
	switch {
	case strings.TrimSpace(h.Name) == "":
		return badRequest("error.enrichment.name.empty", "Name is empty")
	case h.WebhookURL != "" && !isWebURL(h.WebhookURL),
		h.WebhookEvents.ContactFinished != "" && !isWebURL(h.WebhookEvents.ContactFinished):
		return badRequest("error.enrichment.webhook_url", "Webhook url must begin with http:// or https://")
	case rows == 0:
		return badRequest("error.enrichment.data.empty", "Data is empty")
	case rows > s.cfg.MaxRows:
		return badRequest("error.enrichment.data.exceeded", "Too many contacts in one request")
	}
	return nil
}

func isWebURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

func checkCustom(raw json.RawMessage) *apiError {
	if raw == nil {
		return nil
	}
	var custom map[string]string
	if json.Unmarshal(raw, &custom) != nil {
		return badRequest("error.request.body", "Custom values must be strings")
	}
	if len(custom) > maxCustomKeys {
		return badRequest("error.enrichment.custom.key.exceeded", "Custom keys exceeded (max: 10 keys)")
	}
	for _, value := range custom {
		if utf8.RuneCountInString(value) > maxCustomValue {
			return badRequest("error.enrichment.custom.value.exceeded", "Custom value exceeded (max: 100 character)")
		}
	}
	return nil
}

func (s *Server) parseReverse(r *http.Request) (*acceptance, *apiError) {
	var body struct {
		requestHead
		Data []struct {
			Email  string          `json:"email"`
			Custom json.RawMessage `json:"custom"`
		} `json:"data"`
	}
	if refusal := readBody(r, &body); refusal != nil {
		return nil, refusal
	}
	if refusal := s.checkHead(body.requestHead, len(body.Data)); refusal != nil {
		return nil, refusal
	}
	accept := body.requestHead.acceptance(kindReverse)
	for _, d := range body.Data {
		if d.Email == "" {
			return nil, badRequest("error.reverse.email.empty", "Email is empty")
		}
		if !isEmail(d.Email) {
			return nil, badRequest("error.reverse.email.invalid", "Email is invalid")
		}
		if refusal := checkCustom(d.Custom); refusal != nil {
			return nil, refusal
		}
		accept.Rows = append(accept.Rows, rowInput{Email: d.Email, Custom: d.Custom})
	}
	return accept, nil
}

func (h requestHead) acceptance(kind string) *acceptance {
	return &acceptance{Kind: kind, Name: h.Name, WebhookURL: h.WebhookURL, ContactURL: h.WebhookEvents.ContactFinished}
}

func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text {
		return false
	}
	_, domain, _ := strings.Cut(text, "@")
	return strings.Contains(strings.Trim(domain, "."), ".")
}

type contactInput struct {
	FirstName    string          `json:"first_name"`
	LastName     string          `json:"last_name"`
	Domain       string          `json:"domain"`
	CompanyName  string          `json:"company_name"`
	LinkedinURL  string          `json:"linkedin_url"`
	EnrichFields []string        `json:"enrich_fields"`
	Custom       json.RawMessage `json:"custom"`
}

func (s *Server) parseEnrich(r *http.Request) (*acceptance, *apiError) {
	var body struct {
		requestHead
		Data []contactInput `json:"data"`
	}
	if refusal := readBody(r, &body); refusal != nil {
		return nil, refusal
	}
	if refusal := s.checkHead(body.requestHead, len(body.Data)); refusal != nil {
		return nil, refusal
	}
	accept := body.requestHead.acceptance(kindEnrich)
	skip := r.URL.Query().Get("silentFail") == "true"
	for _, c := range body.Data {
		if refusal := c.check(); refusal != nil {
			if skip {
				continue
			}
			return nil, refusal
		}
		accept.Rows = append(accept.Rows, c.row())
	}
	if len(accept.Rows) == 0 {
		return nil, badRequest("error.enrichment.data.empty", "Data is empty")
	}
	return accept, nil
}

func (c contactInput) check() *apiError {
	if c.LinkedinURL == "" {
		switch {
		case c.FirstName == "":
			return badRequest("error.enrichment.first_name.empty", "First name is empty")
		case c.LastName == "":
			return badRequest("error.enrichment.last_name.empty", "Last name is empty")
		case c.Domain == "" && c.CompanyName == "":
			return badRequest("error.enrichment.domain.empty", "Domain is empty")
		}
	}
	if len(c.EnrichFields) == 0 {
		return badRequest("error.enrichment.enrich_fields.empty", "Enrich fields are empty")
	}
	for _, field := range c.EnrichFields {
		if enrichFields[field] == 0 {
			return badRequest("error.enrichment.enrich_field.value", "Enrich field is unknown")
		}
	}
	return checkCustom(c.Custom)
}

// row names the contact in the manner of an address, so that marks, names and
// matching work as they do for e-mails.
func (c contactInput) row() rowInput {
	at := c.Domain
	if at == "" {
		at = slug(c.CompanyName) + ".example"
	}
	key := c.FirstName + "." + c.LastName + "@" + at
	if c.LinkedinURL != "" {
		key = path.Base(c.LinkedinURL) + "@profile.example"
	}
	input := c
	input.Custom, input.EnrichFields = nil, nil
	return rowInput{Email: key, Input: rawJSON(input), Custom: c.Custom, Fields: c.EnrichFields}
}

func (s *Server) contactInfo(r *row) json.RawMessage {
	p := person(s.cfg.Seed, r.Email)
	handle, domain := slug(p.FirstName)+"."+slug(p.LastName), p.Employment.Current.Company.Domain
	info := map[string]any{}
	for _, field := range r.Fields {
		switch field {
		case "contact.work_emails":
			email := map[string]string{"email": handle + "@" + domain, "status": "DELIVERABLE"}
			info["most_probable_work_email"], info["work_emails"] = email, []any{email}
		case "contact.personal_emails":
			email := map[string]string{"email": handle + "@mail.example", "status": "HIGH_PROBABILITY"}
			info["most_probable_personal_email"], info["personal_emails"] = email, []any{email}
		case "contact.phones":
			phone := map[string]string{"number": "+1 202 555 0143", "region": "US"}
			info["most_probable_phone"], info["phones"] = phone, []any{phone}
		}
	}
	return rawJSON(info)
}
