package door

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

//go:embed page.css
var pageStyle string

const docsCache = "no-cache"

func (d *Door) registerDocs() {
	d.page("GET /docs", "text/html; charset=utf-8", func() []byte { return d.docs })
	d.page("GET /page.css", "text/css; charset=utf-8", func() []byte { return []byte(pageStyle) })
	d.page("GET /openapi.json", "application/json", func() []byte { return d.document })
}

// page adds an open route that answers with fixed content.
func (d *Door) page(pattern, contentType string, content func() []byte) {
	d.Route(pattern, func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", docsCache)
		_, _ = w.Write(content()) // the client is gone: nobody to tell
		return nil
	})
	d.open[pattern] = true
}

// docsRoute is a route as the page shows it.
type docsRoute struct {
	Method, Path, ID, Summary string
	Scope                     string // empty: it is open
	Query                     []*huma.Param
	Fields                    []docsField
}

// docsField is a field of a route's request.
type docsField struct {
	Name, Type, Doc string
	Required        bool
}

// renderDocs makes the page of the API's description: no script, no network.
func renderDocs(spec *huma.OpenAPI) ([]byte, error) {
	page, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var routes []docsRoute
	for _, op := range operations(spec) {
		route := docsRoute{Method: op.Method, Path: op.Path, ID: op.OperationID, Summary: op.Summary,
			Fields: fieldsOf(spec, op)}
		for _, scopes := range op.Security[0] {
			route.Scope = scopes[0]
		}
		for _, p := range op.Parameters {
			if p.In == "query" {
				route.Query = append(route.Query, p)
			}
		}
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b docsRoute) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{"Info": spec.Info, "Routes": routes})
	return out.Bytes(), err
}

func fieldsOf(spec *huma.OpenAPI, op *huma.Operation) []docsField {
	if op.RequestBody == nil {
		return nil
	}
	var fields []docsField
	for _, content := range op.RequestBody.Content {
		schema := content.Schema
		if schema != nil && schema.Ref != "" {
			schema = spec.Components.Schemas.SchemaFromRef(schema.Ref)
		}
		if schema == nil {
			continue
		}
		for name, p := range schema.Properties {
			fields = append(fields, docsField{name, cmp.Or(p.Type, "any"), p.Description, slices.Contains(schema.Required, name)})
		}
	}
	slices.SortFunc(fields, func(a, b docsField) int { return cmp.Compare(a.Name, b.Name) })
	return fields
}
