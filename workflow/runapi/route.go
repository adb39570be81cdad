package runapi

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// Operation is what there is to know of a route but its types.
type Operation struct {
	Method, Path, ID, Summary string

	Description string
	Status      int    // of success
	Content     string // of the answer; empty: JSON, or nothing at all
	Slow        bool   // the answer may take minutes to begin
	Open        bool   // it needs no key
	// Scope is what a key must be allowed to, in the server's words; empty: everything.
	Scope string
}

// Scopes of the routes of this package: to look, and to steer.
const (
	ScopeRead    = "read"
	ScopeOperate = "operate"
)

// Route is a route of the API. In is a struct: its fields with the tags path,
// query and header are parameters, and Body is the body; see Body. Out is the body
// of the answer.
type Route[In, Out any] struct{ Operation }

// Kinds of answers that are no JSON.
type (
	None   struct{} // the status says it all
	Stream struct{} // bytes, as they come
)

// NoInput is that of a route without parameters and body.
type NoInput struct{}

// Root is where the routes of the constructors begin.
const Root = "/api/v1"

// Get is a route that reads.
func Get[In, Out any](path, id, summary string) Route[In, Out] {
	return route[In, Out](http.MethodGet, path, id, summary, http.StatusOK)
}

// Post is a route that does something; status is that of success.
func Post[In, Out any](path, id, summary string, status int) Route[In, Out] {
	return route[In, Out](http.MethodPost, path, id, summary, status)
}

// Patch is a route that changes what In has fields of.
func Patch[In, Out any](path, id, summary string) Route[In, Out] {
	return route[In, Out](http.MethodPatch, path, id, summary, http.StatusOK)
}

// Delete is a route that deletes, and answers with nothing but its status.
func Delete[In any](path, id, summary string) Route[In, None] {
	return route[In, None](http.MethodDelete, path, id, summary, http.StatusNoContent)
}

// File is a route that answers with a file of a content type.
func File[In any](path, id, summary, content string) Route[In, Stream] {
	r := route[In, Stream](http.MethodGet, path, id, summary, http.StatusOK)
	r.Content = content
	return r
}

func route[In, Out any](method, path, id, summary string, status int) Route[In, Out] {
	return Route[In, Out]{Operation{Method: method, Path: Root + path, ID: id, Summary: summary, Status: status}}
}

// Scoped is the route for keys of a scope, which every route declares.
func (r Route[In, Out]) Scoped(scope string) Route[In, Out] {
	r.Scope = scope
	return r
}

// Caller makes calls.
type Caller interface {
	// Call makes one, and reads the answer into answer unless that is nil.
	Call(ctx context.Context, r Request, answer any) error
	// Copy makes one, writes the answer's body to w and says how many bytes.
	Copy(ctx context.Context, r Request, w io.Writer) (int64, error)
}

// Call calls the route.
func (r Route[In, Out]) Call(ctx context.Context, c Caller, in In) (out Out, err error) {
	return out, c.Call(ctx, r.Request(in), &out)
}

// Copy calls the route and writes the answer to w.
func (r Route[In, Out]) Copy(ctx context.Context, c Caller, in In, w io.Writer) (int64, error) {
	return c.Copy(ctx, r.Request(in), w)
}

// Request is what calling the route sends.
func (r Route[In, Out]) Request(in In) Request { return encode(r.Operation, reflect.ValueOf(in)) }

// Paging are the parameters of every listing.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" doc:"nextCursor of the page before."`
}

// List is a page of a listing.
type List[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty" doc:"Of the next page; absent on the last."`
}

// IDPath is the path of one thing.
type IDPath struct {
	ID string `path:"id"`
}

// ID is the path of the thing with an id.
func ID(id string) IDPath { return IDPath{id} }

// Addressed is a body for the thing with an id; a pointer where it may be left out.
type Addressed[B any] struct {
	IDPath
	Body B
}

// To addresses a body.
func To[B any](id string, body B) Addressed[B] { return Addressed[B]{IDPath{id}, body} }

// Enum are the values that a field of T may have, as its tag says.
func Enum[T any](field string) []string {
	f, ok := reflect.TypeFor[T]().FieldByName(field)
	if !ok {
		panic("runapi: " + reflect.TypeFor[T]().String() + " has no field " + field)
	}
	return slices.Clip(strings.Split(f.Tag.Get("enum"), ","))
}
