package runapi

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Parameter is a field of a request that stands in its path, query or headers.
type Parameter struct {
	reflect.StructField
	In, Name string
}

// Prefix is what the names of a query's parameters begin with that are all read into
// one map of texts: it is named "metadata.*", say. false: this is a single one.
func (p Parameter) Prefix() (string, bool) {
	prefix, many := strings.CutSuffix(p.Name, "*")
	return prefix, many && p.In == "query"
}

// Parameters are those of a request's type, in the order of its fields.
func Parameters(t reflect.Type) (all []Parameter) {
	if kept, ok := parameters.Load(t); ok {
		return kept.([]Parameter)
	}
	for _, f := range reflect.VisibleFields(t) {
		for _, in := range []string{"path", "query", "header"} {
			if name := f.Tag.Get(in); name != "" {
				all = append(all, Parameter{f, in, name})
			}
		}
	}
	parameters.Store(t, all)
	return all
}

var parameters sync.Map // by type

// Request is a request as it goes over the wire.
type Request struct {
	Operation
	Query  url.Values
	Header http.Header
	Body   any // nil: none
}

// encode writes a request's parameters; those that are zero are left out.
func encode(op Operation, in reflect.Value) Request {
	r := Request{Operation: op, Query: url.Values{}, Header: http.Header{}}
	for _, p := range Parameters(in.Type()) {
		if prefix, ok := p.Prefix(); ok {
			for name, value := range in.FieldByIndex(p.Index).Interface().(map[string]string) {
				r.Query.Set(prefix+name, value)
			}
			continue
		}
		if list, ok := in.FieldByIndex(p.Index).Interface().([]string); ok && p.In == "query" {
			if len(list) > 0 {
				r.Query[p.Name] = list
			}
			continue
		}
		text := textOf(in.FieldByIndex(p.Index))
		switch {
		case p.In == "path":
			r.Path = strings.ReplaceAll(r.Path, "{"+p.Name+"}", segment(text))
		case text == "":
		case p.In == "query":
			r.Query.Set(p.Name, text)
		default:
			r.Header.Set(p.Name, text)
		}
	}
	if body := Body(in); body.IsValid() && !(body.Kind() == reflect.Pointer && body.IsNil()) {
		r.Body = body.Interface()
	}
	return r
}

// Body is the part of a request that is its body: the field Body, or all of it when
// it has fields and none is a parameter. The zero Value: it has none.
func Body(in reflect.Value) reflect.Value {
	if body := in.FieldByName("Body"); body.IsValid() || in.NumField() == 0 || len(Parameters(in.Type())) > 0 {
		return body
	}
	return in
}

// Values are the query that selects what in selects.
func Values[In any](in In) url.Values { return encode(Operation{}, reflect.ValueOf(in)).Query }

// segment escapes a segment of a path. One that would name another path altogether
// becomes one that names nothing.
func segment(text string) string {
	if text == "" || text == "." || text == ".." {
		return "-"
	}
	return url.PathEscape(text)
}

func textOf(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	if at, ok := v.Interface().(time.Time); ok {
		return at.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v.Interface())
}

// Decode reads a request's parameters into in, a pointer to a struct; what is
// absent gets its default. at reads times. The name of the one that cannot be read
// is returned.
func Decode(r *http.Request, in any, at func(string) (time.Time, error)) (fault string) {
	v := reflect.ValueOf(in).Elem()
	query := r.URL.Query()
	for _, p := range Parameters(v.Type()) {
		if prefix, ok := p.Prefix(); ok {
			setAll(v.FieldByIndex(p.Index), prefix, query)
			continue
		}
		if list, ok := v.FieldByIndex(p.Index).Addr().Interface().(*[]string); ok && p.In == "query" {
			*list = slices.DeleteFunc(slices.Clone(query[p.Name]), func(text string) bool { return text == "" })
			continue
		}
		text := ""
		switch p.In {
		case "path":
			text = r.PathValue(p.Name)
		case "query":
			text = query.Get(p.Name)
		default:
			text = r.Header.Get(p.Name)
		}
		if text == "" {
			text = p.Tag.Get("default")
		}
		if text != "" && set(v.FieldByIndex(p.Index), text, at) != nil {
			return p.Name
		}
	}
	return ""
}

// setAll reads the parameters of a prefix; those that are empty are not there.
func setAll(field reflect.Value, prefix string, query url.Values) {
	all := map[string]string{}
	for name := range query {
		if rest, ok := strings.CutPrefix(name, prefix); ok && query.Get(name) != "" {
			all[rest] = query.Get(name)
		}
	}
	if len(all) > 0 {
		field.Set(reflect.ValueOf(all))
	}
}

// RFC3339 reads a time as the API has it.
func RFC3339(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) }

func set(field reflect.Value, text string, at func(string) (time.Time, error)) (err error) {
	switch field.Interface().(type) {
	case time.Time:
		var t time.Time
		t, err = at(text)
		field.Set(reflect.ValueOf(t))
	case int, int64:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		field.SetInt(n)
	case bool:
		var is bool
		is, err = strconv.ParseBool(text)
		field.SetBool(is)
	default:
		field.SetString(text)
	}
	return err
}
