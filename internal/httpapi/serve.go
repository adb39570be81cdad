package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// serve adds a route whose request and answer are JSON.
func serve[In, Out any](s *Server, r runapi.Route[In, Out], fn func(context.Context, *In) (Out, error)) {
	handle(s, s.operation(r.Operation), fn)
}

// stream adds a route that reads its body, or writes its answer, by itself.
func stream[In, Out any](s *Server, r runapi.Route[In, Out], fn func(http.ResponseWriter, *http.Request, *In) error) {
	op := s.operation(r.Operation)
	s.describeTypes(&op, r.Content, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	s.raw(op, func(w http.ResponseWriter, req *http.Request) error {
		in := new(In)
		if fault := runapi.Decode(req, in, runapi.RFC3339); fault != "" {
			return badParameter(fault, "it cannot be read")
		}
		return fn(w, req, in)
	})
}

// operation makes a route's operation with what all of them have.
func (s *Server) operation(o runapi.Operation) huma.Operation {
	op := s.describe(o.Method, o.Path, o.ID, o.Summary, o.Status)
	op.Description = o.Description
	return op
}

// handle adds an operation whose request and answer are JSON.
func handle[In, Out any](s *Server, op huma.Operation, fn func(context.Context, *In) (Out, error)) {
	s.describeTypes(&op, "", reflect.TypeFor[In](), reflect.TypeFor[Out]())
	s.spec.AddOperation(&op)
	s.route(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) error {
		in := new(In)
		if err := s.read(w, r, &op, in); err != nil {
			return err
		}
		if err := s.auditIntended(r.Context()); err != nil {
			return err
		}
		out, err := fn(r.Context(), in)
		s.acted(r.Context())
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
	if fault := runapi.Decode(r, in, runapi.RFC3339); fault != "" {
		return badParameter(fault, "it cannot be read")
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

// decode decodes a body that fits its schema. Values that were sent are not repeated.
func (s *Server) decode(body []byte, schema *huma.Schema, into any) error {
	var parsed any
	if err := json.Unmarshal(body, &parsed); err != nil {
		return newProblem(http.StatusBadRequest, "malformed_json", "the body is no JSON")
	}
	var found huma.ValidateResult
	huma.Validate(s.spec.Components.Schemas, schema, huma.NewPathBuffer([]byte("body"), len("body")), huma.ModeWriteToServer, parsed, &found)
	p := newProblem(http.StatusUnprocessableEntity, "invalid_field", "the request cannot be taken")
	for _, err := range found.Errors {
		var detail *huma.ErrorDetail
		if errors.As(err, &detail) {
			p.Errors = append(p.Errors, fieldFault{clip(strings.TrimPrefix(strings.TrimPrefix(detail.Location, "body"), ".")), detail.Message})
		}
	}
	if len(p.Errors) > 0 {
		return p
	}
	if err := json.Unmarshal(body, into); err != nil {
		p.Errors = []fieldFault{{"", err.Error()}}
		return p
	}
	return nil
}

// describeTypes describes an operation's parameters, body and answer by their types.
func (s *Server) describeTypes(op *huma.Operation, content string, in, out reflect.Type) {
	all := s.spec.Components.Schemas
	for _, p := range runapi.Parameters(in) {
		schema := huma.SchemaFromField(all, p.StructField, "")
		param := &huma.Param{Name: p.Name, In: p.In, Description: schema.Description, Required: p.In == "path", Schema: schema}
		if p.In == "query" {
			param.Explode = new(bool)
		}
		op.Parameters = append(op.Parameters, param)
	}
	if body := runapi.Body(reflect.New(in).Elem()); body.IsValid() {
		kind, schema := "application/json", (*huma.Schema)(nil)
		if f, _ := in.FieldByName("Body"); f.Tag.Get("contentType") != "" {
			kind, schema = f.Tag.Get("contentType"), formSchema(f.Type)
		} else {
			schema = all.Schema(body.Type(), true, op.OperationID+"Request")
		}
		op.RequestBody = &huma.RequestBody{Required: body.Kind() != reflect.Pointer, Content: map[string]*huma.MediaType{kind: {Schema: schema}}}
	}
	answer := &huma.Response{Description: http.StatusText(op.DefaultStatus)}
	switch {
	case content != "":
		answer.Content = map[string]*huma.MediaType{content: {Schema: &huma.Schema{Type: huma.TypeString}}}
	case op.DefaultStatus != http.StatusNoContent:
		answer.Content = map[string]*huma.MediaType{"application/json": {Schema: all.Schema(out, true, op.OperationID+"Response")}}
	}
	op.Responses[strconv.Itoa(op.DefaultStatus)] = answer
}

// formSchema describes a form by the form tags of a struct.
func formSchema(t reflect.Type) *huma.Schema {
	schema := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	if t.Kind() != reflect.Struct {
		return schema
	}
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("form")
		property := &huma.Schema{Type: huma.TypeString, Description: f.Tag.Get("doc")}
		if f.Type.Kind() == reflect.Slice {
			property.Format = "binary"
		}
		if f.Tag.Get("required") == "true" {
			schema.Required = append(schema.Required, name)
		}
		schema.Properties[name] = property
	}
	return schema
}

// silent adds a route that answers with nothing but its status.
func silent[In any](s *Server, op huma.Operation, fn func(context.Context, *In) error) {
	handle(s, op, func(ctx context.Context, in *In) (runapi.None, error) { return runapi.None{}, fn(ctx, in) })
}
