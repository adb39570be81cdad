package door

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

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Serve adds a route whose request and answer are JSON.
func Serve[In, Out any](d *Door, r runapi.Route[In, Out], fn func(context.Context, *In) (Out, error)) {
	op := describe(d, r)
	d.add(op, r.Operation, func(w http.ResponseWriter, req *http.Request) error {
		in := new(In)
		if err := d.read(w, req, op, in); err != nil {
			return err
		}
		if err := d.auditIntended(req.Context()); err != nil {
			return err
		}
		out, err := fn(req.Context(), in)
		d.acted(req.Context())
		switch {
		case err != nil:
			return err
		case op.DefaultStatus == http.StatusNoContent:
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return WriteJSON(w, op.DefaultStatus, out)
	})
}

// Stream adds a route that reads its body, or writes its answer, by itself.
func Stream[In, Out any](d *Door, r runapi.Route[In, Out], fn func(http.ResponseWriter, *http.Request, *In) error) {
	op := describe(d, r)
	d.add(op, r.Operation, func(w http.ResponseWriter, req *http.Request) error {
		in := new(In)
		if err := checkQuery(op, req.URL.RawQuery); err != nil {
			return err
		}
		d.intend(op, req, nil)
		if err := parameters(req, in); err != nil {
			return err
		}
		if err := d.auditIntended(req.Context()); err != nil {
			return err
		}
		return fn(w, req, in)
	})
}

// add adds an operation to the description and to the routes.
func (d *Door) add(op *huma.Operation, said runapi.Operation, serve func(http.ResponseWriter, *http.Request) error) {
	d.spec.AddOperation(op)
	pattern := op.Method + " " + op.Path
	d.open[pattern] = said.Open
	if said.Scope != "" {
		d.scopes[pattern] = liwanag.Scope(said.Scope)
	}
	d.Route(pattern, serve)
}

// Route adds a route that the description does not have.
func (d *Door) Route(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	d.routes = append(d.routes, pattern)
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			d.Write(w, r, err)
		}
	})
}

// read reads a request into in, or says what is wrong with it.
func (d *Door) read(w http.ResponseWriter, r *http.Request, op *huma.Operation, in any) error {
	if err := checkQuery(op, r.URL.RawQuery); err != nil {
		return err
	}
	var body []byte
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		var err error
		if body, err = d.readJSON(w, r); err != nil {
			return err
		}
	}
	d.intend(op, r, body)
	if err := parameters(r, in); err != nil {
		return err
	}
	target := runapi.Body(reflect.ValueOf(in).Elem())
	switch {
	case !target.IsValid():
		return nil
	case len(body) == 0 && op.RequestBody.Required:
		return NewProblem(http.StatusBadRequest, "malformed", "the request cannot be taken")
	case len(body) == 0:
		return nil
	}
	return d.decode(body, op.RequestBody.Content["application/json"].Schema, target.Addr().Interface())
}

// parameters reads what is not in the body.
func parameters(r *http.Request, in any) error {
	if fault := runapi.Decode(r, in, runapi.RFC3339); fault != "" {
		return BadParameter(fault, "it cannot be read")
	}
	return nil
}

// decode decodes a body that fits its schema. Values that were sent are not repeated.
func (d *Door) decode(body []byte, schema *huma.Schema, into any) error {
	var parsed any
	if err := json.Unmarshal(body, &parsed); err != nil {
		return NewProblem(http.StatusBadRequest, "malformed_json", "the body is no JSON")
	}
	body, err := clearFilter(body, parsed)
	if err != nil {
		return err
	}
	var found huma.ValidateResult
	huma.Validate(d.spec.Components.Schemas, schema, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, parsed, &found)
	p := NewProblem(http.StatusUnprocessableEntity, "invalid_field", "the request cannot be taken")
	for _, err := range found.Errors {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			field := strings.TrimPrefix(strings.TrimPrefix(detail.Location, "body"), ".")
			if field == "filter" || strings.HasPrefix(field, "filter.") {
				return InvalidFilter(field, detail.Message)
			}
			p.Errors = append(p.Errors, api.FieldFault{Field: Clip(field), Message: detail.Message})
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
		if fault := Unclear(text); fault != "" {
			return nil, InvalidFilter("filter."+name, fault)
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
