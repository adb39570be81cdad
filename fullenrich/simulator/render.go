package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Sizes of the oversized bodies, unless Fault.Size says otherwise.
const (
	hugeBody = 20 << 20
	bombSize = 64 << 20
)

// renderWebhook returns the body of a webhook and its content encoding.
func (s *Server) renderWebhook(now time.Time, d *delivery) (body []byte, encoding string) {
	if d.row == batchRow {
		return s.renderResult(now, d.e, WhereWebhook, d.status)
	}
	r := result{ID: d.e.id, Name: d.e.Name, Status: statusInProgress, Cost: cost{d.credits}}
	s.putRecords(now, d.e, &r, WhereWebhook, []record{s.renderRecord(now, d.e, d.row, WhereWebhook)})
	return rawJSON(r), ""
}

// renderResult returns the result object as GET and the batch webhook show it.
func (s *Server) renderResult(now time.Time, e *enrichment, where, status string) (body []byte, encoding string) {
	records := make([]record, 0, len(e.order))
	missing := s.inPlace(e, ActionRowsMissing, where)
	dropped := 0
	for _, i := range e.order {
		if missing != nil && dropped < missing.times() && missing.touches(e.rows[i].Email) {
			dropped++
			continue
		}
		records = append(records, s.renderRecord(now, e, int(i), where))
	}
	if dropped > 0 {
		s.fired(now, ActionRowsMissing)
	}
	if extra := s.inPlace(e, ActionRowsExtra, where); extra != nil {
		s.fired(now, ActionRowsExtra)
		for n := range extra.times() {
			records = append(records, s.foreignRecord(e, n))
		}
	}
	r := result{ID: e.id, Name: e.Name, Status: status, Cost: cost{e.credits}}
	s.putRecords(now, e, &r, where, records)
	if huge := s.inPlace(e, ActionBodyHuge, where); huge != nil {
		s.fired(now, ActionBodyHuge)
		r.Filler = strings.Repeat("x", sizeOr(huge.Size, hugeBody))
	}
	if bomb := s.inPlace(e, ActionGzipBomb, where); bomb != nil {
		s.fired(now, ActionGzipBomb)
		r.Filler = strings.Repeat("x", sizeOr(bomb.Size, bombSize))
		return compress(rawJSON(r)), "gzip"
	}
	return rawJSON(r), ""
}

func sizeOr(size, fallback int) int {
	if size == 0 {
		return fallback
	}
	return size
}

func compress(raw []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(raw) // a bytes.Buffer does not fail
	w.Close()
	return out.Bytes()
}

// inPlace returns the planned fault if it holds for that place.
func (s *Server) inPlace(e *enrichment, a Action, where string) *Fault {
	if f := e.plan(a); f != nil && f.appliesTo(where) {
		return f
	}
	return nil
}

func (s *Server) renderRecord(now time.Time, e *enrichment, i int, where string) record {
	r := &e.rows[i]
	rec := record{Input: r.Input, Custom: r.Custom}
	if r.Input == nil {
		rec.Input = rawJSON(map[string]string{"email": r.Email})
	}
	if bad := s.inPlace(e, ActionRecordBad, where); bad != nil && bad.touches(r.Email) {
		s.fired(now, ActionRecordBad)
		rec.Profile = json.RawMessage(`{"id":7,"full_name":["not","text"],"employment":"none","skills":{"0":1}}`)
		if bad.Value == "anonymous" {
			rec = record{Input: json.RawMessage(`17`), Custom: json.RawMessage(`"?"`), Profile: rec.Profile}
		}
		return rec
	}
	if r.outcome != outcomeFound {
		rec.Profile = s.notFound(r.Email)
		return rec
	}
	rec.Profile = s.renderProfile(now, e, r.Email, where)
	if e.Kind == kindEnrich {
		rec.ContactInfo = s.contactInfo(r)
	}
	return rec
}

func (s *Server) notFound(email string) json.RawMessage {
	shape := s.cfg.NotFoundShape
	switch {
	case marked(email, "+null"):
		shape = NotFoundNull
	case marked(email, "+empty"):
		shape = NotFoundEmpty
	case shape == NotFoundMixed:
		shape = pick(random(s.cfg.Seed, "shape", email), []string{NotFoundAbsent, NotFoundNull, NotFoundEmpty})
	}
	switch shape {
	case NotFoundNull:
		return json.RawMessage("null")
	case NotFoundEmpty:
		return json.RawMessage("{}")
	}
	return nil
}

func (s *Server) renderProfile(now time.Time, e *enrichment, email, where string) json.RawMessage {
	p := person(s.cfg.Seed, email)
	spoil := func(a Action, mark string, do func(*profile)) bool {
		f := s.inPlace(e, a, where)
		scripted := f != nil && f.touches(email)
		if scripted {
			s.fired(now, a)
		}
		if !scripted && !marked(email, mark) {
			return false
		}
		do(p)
		return true
	}
	spoil(ActionProfileBadDates, "+baddate", badDates)
	spoil(ActionProfileHuge, "+huge", huge)
	raw := rawJSON(p)
	if spoil(ActionProfileHostile, "+hostile", hostile) {
		// A lone surrogate is legal JSON that no UTF-8 encoder writes.
		raw = bytes.ReplaceAll(rawJSON(p), []byte("LONE-SURROGATE"), []byte(`\ud800`))
	}
	return raw
}

// foreignRecord belongs to a job that the submission never had.
func (s *Server) foreignRecord(e *enrichment, n int) record {
	email := fmt.Sprintf("stranger-%d@example.org", n)
	return record{
		Input: rawJSON(map[string]string{"email": email}),
		Custom: rawJSON(map[string]string{
			"lw_job": uuid(s.cfg.Seed, "foreign", e.id, fmt.Sprint(n)), "lw_submission": "of-somebody-else",
		}),
		Profile: rawJSON(person(s.cfg.Seed, email)),
	}
}

// putRecords writes the records in the shape of v2, or of v1 when a fault says so.
func (s *Server) putRecords(now time.Time, e *enrichment, r *result, where string, records []record) {
	if s.inPlace(e, ActionShapeV1, where) == nil {
		r.Data = rawJSON(records)
		return
	}
	s.fired(now, ActionShapeV1)
	old := make([]record, len(records))
	for i, rec := range records {
		var p profile
		contact := map[string]any{}
		if json.Unmarshal(rec.Profile, &p) == nil && p.FullName != "" {
			contact["firstname"], contact["lastname"] = p.FirstName, p.LastName
			contact["profile"] = map[string]any{
				"firstname": p.FirstName, "lastname": p.LastName, "headline": p.Headline,
				"location": p.Location.City + ", " + p.Location.Country,
				"position": map[string]any{"title": p.Employment.Current.Title, "company": map[string]any{"name": p.Employment.Current.Company.Name}},
			}
		}
		old[i] = record{Custom: rec.Custom, Contact: rawJSON(contact)}
	}
	r.DataV1 = rawJSON(old)
}
