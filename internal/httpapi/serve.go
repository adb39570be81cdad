package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// serve adds a route whose request and answer are JSON.
func serve[In, Out any](s *Server, r runapi.Route[In, Out], fn func(context.Context, *In) (Out, error)) {
	op := describe(s, r)
	s.add(op, r.Open, func(w http.ResponseWriter, req *http.Request) error {
		in := new(In)
		if err := s.read(w, req, op, in); err != nil {
			return err
		}
		if err := s.auditIntended(req.Context()); err != nil {
			return err
		}
		out, err := fn(req.Context(), in)
		s.acted(req.Context())
		switch {
		case err != nil:
			return err
		case op.DefaultStatus == http.StatusNoContent:
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return writeJSON(w, op.DefaultStatus, out)
	})
}

// stream adds a route that reads its body, or writes its answer, by itself.
func stream[In, Out any](s *Server, r runapi.Route[In, Out], fn func(http.ResponseWriter, *http.Request, *In) error) {
	op := describe(s, r)
	s.add(op, r.Open, func(w http.ResponseWriter, req *http.Request) error {
		in := new(In)
		if err := checkQuery(op, req.URL.RawQuery); err != nil {
			return err
		}
		s.intend(op, req, nil)
		if err := parameters(req, in); err != nil {
			return err
		}
		if err := s.auditIntended(req.Context()); err != nil {
			return err
		}
		return fn(w, req, in)
	})
}

// add adds an operation to the description and to the routes.
func (s *Server) add(op *huma.Operation, open bool, serve func(http.ResponseWriter, *http.Request) error) {
	s.spec.AddOperation(op)
	pattern := op.Method + " " + op.Path
	s.open[pattern] = open
	s.route(pattern, serve)
}

func (s *Server) route(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	s.routes = append(s.routes, pattern)
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.write(w, r, err)
		}
	})
}

// read reads a request into in, or says what is wrong with it.
func (s *Server) read(w http.ResponseWriter, r *http.Request, op *huma.Operation, in any) error {
	if err := checkQuery(op, r.URL.RawQuery); err != nil {
		return err
	}
	var body []byte
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		var err error
		if body, err = s.readJSON(w, r); err != nil {
			return err
		}
	}
	s.intend(op, r, body)
	if err := parameters(r, in); err != nil {
		return err
	}
	target := runapi.Body(reflect.ValueOf(in).Elem())
	switch {
	case !target.IsValid():
		return nil
	case len(body) == 0 && op.RequestBody.Required:
		return newProblem(http.StatusBadRequest, "malformed", "the request cannot be taken")
	case len(body) == 0:
		return nil
	}
	return s.decode(body, op.RequestBody.Content["application/json"].Schema, target.Addr().Interface())
}

// parameters reads what is not in the body.
func parameters(r *http.Request, in any) error {
	if fault := runapi.Decode(r, in, runapi.RFC3339); fault != "" {
		return badParameter(fault, "it cannot be read")
	}
	return nil
}

// decode decodes a body that fits its schema. Values that were sent are not repeated.
func (s *Server) decode(body []byte, schema *huma.Schema, into any) error {
	var parsed any
	if err := json.Unmarshal(body, &parsed); err != nil {
		return newProblem(http.StatusBadRequest, "malformed_json", "the body is no JSON")
	}
	body, err := clearFilter(body, parsed)
	if err != nil {
		return err
	}
	var found huma.ValidateResult
	huma.Validate(s.spec.Components.Schemas, schema, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, parsed, &found)
	p := newProblem(http.StatusUnprocessableEntity, "invalid_field", "the request cannot be taken")
	for _, err := range found.Errors {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			field := strings.TrimPrefix(strings.TrimPrefix(detail.Location, "body"), ".")
			if field == "filter" || strings.HasPrefix(field, "filter.") {
				return invalidFilter(field, detail.Message)
			}
			p.Errors = append(p.Errors, api.FieldFault{Field: clip(field), Message: detail.Message})
		}
	}
	if len(p.Errors) > 0 {
		return p
	}
	if err := json.Unmarshal(body, into); err != nil {
		p.Errors = []api.FieldFault{{Message: err.Error()}}
		return p
	}
	return nil
}

// clearFilter reads the filter of a body as one of a query is read: what is empty is
// not there, and a text without a clear meaning is refused.
func clearFilter(body []byte, parsed any) ([]byte, error) {
	object, _ := parsed.(map[string]any)
	filter, _ := object["filter"].(map[string]any)
	for name, value := range filter {
		text, _ := value.(string)
		if fault := unclear(text); fault != "" {
			return nil, invalidFilter("filter."+name, fault)
		}
	}
	said := len(filter)
	maps.DeleteFunc(filter, func(_ string, value any) bool { return value == "" })
	if len(filter) == said {
		return body, nil
	}
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		return nil, err
	}
	members["filter"] = filter
	return json.Marshal(members)
}
