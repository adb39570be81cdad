package door

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// A list that is empty is an empty list, never null.
func init() { huma.DefaultArrayNullable = false }

// openAPI begins the API's description.
func openAPI(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Liwanag", Version: version,
			License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"},
			Description: "Newsletter sign-ups in, enriched subscribers out.\n\n" +
				"Every error is `application/problem+json` with a stable `code`. Lists are pages: `items`, and " +
				"`nextCursor` unless it is the last one. " +
				"What is not known is absent, never empty or zero. Times are RFC 3339, UTC. Ids are UUIDv7 with a prefix. " +
				"Query parameters and fields that are not described are refused.",
		},
		Servers: []*huma.Server{{URL: "/", Description: "The server that this was read from."}},
		Tags:    tags(),
		Components: &huma.Components{
			Schemas:   huma.NewMapRegistry("#/components/schemas/", schemaName),
			Responses: map[string]*huma.Response{},
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"key": {Type: "http", Scheme: "bearer", Description: "The server's `LIWANAG_API_KEY`, which may do everything, " +
					"or a key of `POST /api/v1/keys` with " +
					"the scope that the route names: " + strings.Join(liwanag.KeyScopes.Words(), ", ") +
					"; `admin` stands for all. A server without a key of its own answers this machine alone, and asks for nothing."},
				"session": {Type: "apiKey", In: "cookie", Name: "liwanag",
					Description: "A browser that signed in to the console; `__Host-liwanag` where the public URL is https."},
			},
		},
	}
}

// tags are the groups of routes: the segment after /api/v1, or the first one.
func tags() []*huma.Tag {
	var all []*huma.Tag
	for _, t := range [][2]string{
		{"subscribers", "People who signed up, and what is known of them."},
		{"suppressions", "Addresses and domains that nobody is to bring in again."},
		{"uploads", "CSV files on their way in: uploaded, previewed, confirmed, imported."},
		{"runs", "Executions of workflows: what they do, what they wait for, how to steer them."},
		{"workflows", "The definitions that runs follow."},
		{"enrichments", "The scheduled batch, and FullEnrich's ids."},
		{"submissions", "Paid calls of FullEnrich, those in doubt, and the button that stops all spending."},
		{"credits", "What was reserved and spent."},
		{"sources", "Endpoints that take webhooks of sign-ups in."},
		{"deliveries", "Webhooks that came in, and replaying them."},
		{"sinks", "Addresses that webhooks go out to."},
		{"messages", "Webhooks that went out, and sending them again."},
		{"overview", "What there is to see at a glance."},
		{"attention", "What needs a person, and what somebody has seen of it."},
		{"events", "Hints that something happened, as server-sent events."},
		{"audit", "Who did what by hand."},
		{"keys", "API keys with scopes, beside the server's own."},
		{"webhooks", "Where others send to. Each carries a proof of its own, so they need no key."},
		{"health", "For whatever keeps the process running."},
	} {
		all = append(all, &huma.Tag{Name: t[0], Description: t[1]})
	}
	return all
}

// tagOf is the group that a path belongs to.
func tagOf(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/api/v1"), "/")
	switch tag := segments[1]; tag {
	case "source-kinds":
		return "sources"
	case "healthz", "readyz":
		return "health"
	default:
		return tag
	}
}

// schemaNames are names for others of types of the library.
var schemaNames = map[string]string{
	"Description": "Workflow", "NodeDescription": "WorkflowStep", "RetryDescription": "WorkflowRetry",
	"SubscriberList": "ListSubscriber", // as other listings are named
}

// schemaName names a schema in words without dashes, which generators make types
// of.
func schemaName(t reflect.Type, hint string) string {
	name := ""
	for word := range strings.SplitSeq(huma.DefaultSchemaNamer(t, hint), "-") {
		if word != "" { // a type without a name has no schema of its own
			name += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	element, isList := strings.CutPrefix(name, "List")
	if better := schemaNames[element]; better != "" && isList {
		return "List" + better
	} else if better != "" {
		return better
	}
	return name
}

// describe makes the operation of a route, by its types.
func describe[In, Out any](d *Door, r runapi.Route[In, Out]) *huma.Operation {
	op := &huma.Operation{Method: r.Method, Path: r.Path, OperationID: r.ID, Summary: r.Summary, Description: r.Description,
		DefaultStatus: r.Status, Tags: []string{tagOf(r.Path)},
		Responses: map[string]*huma.Response{"default": d.refusal("Problem")}, Security: []map[string][]string{{}},
	}
	if !r.Open {
		need := cmp.Or(r.Scope, string(liwanag.Admin))
		op.Security = []map[string][]string{{"key": {need}}, {"session": {need}}}
		op.Description = strings.TrimSpace(op.Description + "\n\nNeeds the scope `" + need + "`.")
	}
	for status, name := range refusals(r.Operation) {
		op.Responses[strconv.Itoa(status)] = d.refusal(name)
	}
	d.describeRequest(op, reflect.TypeFor[In]())
	answer := &huma.Response{Description: http.StatusText(r.Status)}
	switch out := reflect.TypeFor[Out](); {
	case r.Content != "":
		answer.Content = Content(r.Content, &huma.Schema{Type: huma.TypeString})
	case out != reflect.TypeFor[runapi.None]():
		answer.Content = Content("application/json", d.spec.Components.Schemas.Schema(out, true, ""))
	}
	op.Responses[strconv.Itoa(r.Status)] = answer
	return op
}

func Content(kind string, schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{kind: {Schema: schema}}
}

// describeRequest describes an operation's parameters and body by the type of its
// request.
func (d *Door) describeRequest(op *huma.Operation, in reflect.Type) {
	all := d.spec.Components.Schemas
	for _, p := range runapi.Parameters(in) {
		if prefix, many := p.Prefix(); many { // no description of OpenAPI fits: the text says it
			op.Extensions = map[string]any{prefixes: prefix}
			continue
		}
		schema := huma.SchemaFromField(all, p.StructField, "")
		param := &huma.Param{Name: p.Name, In: p.In, Description: schema.Description, Schema: schema,
			Required: p.In == "path" || p.Tag.Get("required") == "true"}
		if p.In == "query" {
			repeated := schema.Type == huma.TypeArray
			param.Explode = &repeated
		}
		op.Parameters = append(op.Parameters, param)
	}
	body := runapi.Body(reflect.New(in).Elem())
	if !body.IsValid() {
		return
	}
	op.RequestBody = &huma.RequestBody{Required: body.Kind() != reflect.Pointer}
	if f, _ := in.FieldByName("Body"); f.Tag.Get("contentType") != "" {
		op.RequestBody.Content = Content(f.Tag.Get("contentType"), formSchema(f.Type))
		return
	}
	op.RequestBody.Content = Content("application/json", all.Schema(body.Type(), true, op.OperationID+"Request"))
}

// prefixes is the extension that names the prefix of further parameters of a query.
const prefixes = "x-parameter-prefix"

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
			// Beside a Format of this name huma writes a kind of content, which ogen refuses.
			property.Extensions = map[string]any{"format": "binary"}
		}
		if f.Tag.Get("required") == "true" {
			schema.Required = append(schema.Required, name)
		}
		schema.Properties[name] = property
	}
	return schema
}

// refusals are what an operation's callers should know that it may answer.
func refusals(op runapi.Operation) map[int]string {
	known := map[int]string{http.StatusServiceUnavailable: "Unavailable"}
	if under(op.Path, "/api") {
		known[http.StatusBadRequest], known[http.StatusUnauthorized] = "Malformed", "Unauthorized"
		known[http.StatusForbidden], known[http.StatusTooManyRequests] = "Forbidden", "TooManyFailures"
	}
	if under(op.Path, "/webhooks") {
		known[http.StatusUnauthorized], known[http.StatusRequestEntityTooLarge] = "NoProof", "TooLarge"
	}
	if strings.Contains(op.Path, "{") {
		known[http.StatusNotFound] = "NotFound"
	}
	if slices.Contains([]string{http.MethodPost, http.MethodPatch}, op.Method) && under(op.Path, "/api") {
		known[http.StatusConflict], known[http.StatusUnprocessableEntity] = "Conflict", "Invalid"
	}
	return known
}

// refusalTexts are the answers that refusals name.
var refusalTexts = map[string]string{
	"Malformed":       "The query or the body cannot be read.",
	"Unauthorized":    "Neither the key nor a session.",
	"Forbidden":       "Without the scope that is needed (`missing_scope_…`), by another site's page, or under another name than this machine's while there is no key.",
	"NotFound":        "There is no such thing.",
	"Conflict":        "It is in no state for this.",
	"TooLarge":        "The body is too large.",
	"Invalid":         "Fields cannot be taken; `errors` names them.",
	"TooManyFailures": "Too many failed attempts from this address. See `Retry-After`.",
	"NoProof":         "The proof is missing or wrong.",
	"Unavailable":     "The server cannot answer now: its database is away, or too much is asked at once. See `Retry-After`.",
	"Problem":         "Any other problem.",
}

// refusal refers to the answer of a name, which is described once.
func (d *Door) refusal(name string) *huma.Response {
	all := d.spec.Components.Responses
	if all[name] == nil {
		all[name] = &huma.Response{Description: refusalTexts[name],
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: SchemaOf[api.Problem](d)}}}
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

// SchemaOf refers to the schema of a named type.
func SchemaOf[T any](d *Door) *huma.Schema {
	return d.spec.Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// annotate lets the description say what the library's fields mean here. A note of
// no field is a fault.
func annotate(spec *huma.OpenAPI, notes map[string]string) error {
	left := maps.Clone(notes)
	for name, schema := range spec.Components.Schemas.Map() {
		for field, property := range schema.Properties {
			if note, ok := left[name+"."+field]; ok {
				property.Description = note
				delete(left, name+"."+field)
			}
		}
	}
	for _, op := range operations(spec) {
		for _, p := range op.Parameters {
			if note, ok := left[op.OperationID+"."+p.Name]; ok {
				p.Description, p.Schema.Description = note, note
				delete(left, op.OperationID+"."+p.Name)
			}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("notes of no field: %v", slices.Sorted(maps.Keys(left)))
	}
	return nil
}

// operations are all that a description has.
func operations(spec *huma.OpenAPI) (all []*huma.Operation) {
	for _, item := range spec.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}
