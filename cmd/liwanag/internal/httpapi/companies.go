package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"iter"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func viewCompany(c liwanag.Company) api.Company {
	return api.Company{Domain: c.Domain, Name: c.Name, LinkedinURL: c.LinkedinURL, Headcount: c.Headcount, Industry: c.Industry,
		People: c.People, Seniorities: c.Seniorities, NewestAt: c.NewestAt.UTC()}
}

func (s *Server) listCompanies(ctx context.Context, in *api.CompanyQuery) (runapi.List[api.Company], error) {
	filter, err := s.subscriberFilter(ctx, in.SubscriberFilter)
	if err != nil {
		return runapi.List[api.Company]{}, err
	}
	rows, next, err := s.cfg.Store.Subscribers.Companies(ctx, filter, pageOf(in.Paging))
	return listOf(rows, next, viewCompany), err
}

func (s *Server) getCompany(ctx context.Context, in *api.CompanyPath) (api.Company, error) {
	filter, err := s.subscriberFilter(ctx, in.SubscriberFilter)
	if err != nil {
		return api.Company{}, err
	}
	filter.CompanyDomain = strings.TrimSpace(in.Domain)
	if filter.CompanyDomain == "" || strings.Contains(filter.CompanyDomain, ",") {
		return api.Company{}, door.NotFound("company")
	}
	found, _, err := s.cfg.Store.Subscribers.Companies(ctx, filter, liwanag.Page{Limit: 1})
	if err == nil && len(found) == 0 {
		err = door.NotFound("company")
	}
	if err != nil {
		return api.Company{}, err
	}
	return viewCompany(found[0]), nil
}

// writeLines writes people as JSON lines: each as the API shows them, or what of it is
// named by columns, where some were chosen.
func writeLines(
	ctx context.Context, w io.Writer, people iter.Seq2[liwanag.Subscriber, error], named bool, columns []intake.Column,
) error {
	for person, err := range people {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := json.Marshal(viewSubscriber(person))
		if err == nil && named {
			line, err = chosen(line, &person, columns)
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// chosen is an object with the columns of a person, in their order: values as the
// object all has them, else as texts. What is not known is not there.
func chosen(all []byte, person *liwanag.Subscriber, columns []intake.Column) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(all, &members); err != nil {
		return nil, err
	}
	var line bytes.Buffer
	for _, c := range columns {
		value, known := members[c.Name]
		if text := c.Text(person); !known && text != "" {
			encoded, err := json.Marshal(text)
			if err != nil {
				return nil, err
			}
			value, known = encoded, true
		}
		if !known {
			continue
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		line.WriteByte(map[bool]byte{true: '{', false: ','}[line.Len() == 0])
		line.Write(name)
		line.WriteByte(':')
		line.Write(value)
	}
	if line.Len() == 0 {
		line.WriteByte('{')
	}
	line.WriteByte('}')
	return line.Bytes(), nil
}
