package httpapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// openAPI begins the API's description.
func openAPI(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Liwanag", Version: version,
			License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"},
			Description: "Newsletter sign-ups in, enriched subscribers out.\n\n" +
				"Every error is `application/problem+json` with a stable `code`. Lists are pages: `items`, and `nextCursor` unless it is the last one. " +
				"What is not known is absent, never empty or zero. Times are RFC 3339, UTC. Ids are UUIDv7 with a prefix. " +
				"Query parameters and fields that are not described are refused.",
		},
		Servers: []*huma.Server{{URL: "/", Description: "The server that this was read from."}},
		Tags:    tags(),
		Components: &huma.Components{
			Schemas:   huma.NewMapRegistry("#/components/schemas/", schemaName),
			Responses: map[string]*huma.Response{},
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"key": {Type: "http", Scheme: "bearer", Description: "The server's `LIWANAG_API_KEY`. A server without one answers this machine alone, and asks for nothing."},
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
		{"events", "Hints that something happened, as server-sent events."},
		{"audit", "Who did what by hand."},
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

// schemaNames are names for others where ours say where a type comes from.
var schemaNames = map[string]string{
	"Description": "Workflow", "ListDescription": "ListWorkflow", "NodeDescription": "WorkflowStep", "RetryDescription": "WorkflowRetry",
	"PastAct": "Act", "ListPastAct": "ListAct", "SignUpFields": "SignUp", "ReasonBody": "Reason",
}

// schemaName names a schema in words without dashes, which generators make types
// of.
func schemaName(t reflect.Type, hint string) string {
	name := ""
	for word := range strings.SplitSeq(huma.DefaultSchemaNamer(t, hint), "-") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	if better := schemaNames[name]; better != "" {
		return better
	}
	return name
}

// describe makes an operation with what all of them have.
func (s *Server) describe(method, path, id, summary string, status int) huma.Operation {
	op := huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status, Tags: []string{tagOf(path)},
		SkipValidateParams: true, // checkQuery did, with other statuses
		BodyReadTimeout:    -1,   // the body was read before
		MaxBodyBytes:       maxJSON + 1,
		Responses:          map[string]*huma.Response{"default": s.refusal("Problem")},
		Security:           []map[string][]string{{}},
	}
	if under(path, "/api") {
		op.Security = []map[string][]string{{"key": {}}, {"session": {}}}
	}
	for status, name := range refusals(op) {
		op.Responses[strconv.Itoa(status)] = s.refusal(name)
	}
	return op
}

// refusals are what an operation's callers should know that it may answer.
func refusals(op huma.Operation) map[int]string {
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
	"Forbidden":       "Asked by another site's page, or under another name than this machine's while there is no key.",
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
func (s *Server) refusal(name string) *huma.Response {
	all := s.spec.Components.Responses
	if all[name] == nil {
		all[name] = &huma.Response{Description: refusalTexts[name],
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schemaOf[problem](s)}}}
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

// schemaOf refers to the schema of a named type.
func schemaOf[T any](s *Server) *huma.Schema {
	return s.spec.Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// answer describes the body of a raw route's answer.
func answer(op huma.Operation, contentType string, schema *huma.Schema) huma.Operation {
	op.Responses[strconv.Itoa(op.DefaultStatus)] = &huma.Response{Description: http.StatusText(op.DefaultStatus),
		Content: map[string]*huma.MediaType{contentType: {Schema: schema}}}
	return op
}

// body describes the body of a raw route's request.
func body(op huma.Operation, contentType string, schema *huma.Schema) huma.Operation {
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{contentType: {Schema: schema}}}
	return op
}
