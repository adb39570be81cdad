package httpapi

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// routesOf reads the operation ids of a package's exported routes, by their
// variables: a route is made by a call, or by a literal with the field ID.
func routesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`^"[a-z]+(-[a-z]+)*"$`)
	routes := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				value := spec.(*ast.ValueSpec)
				if !value.Names[0].IsExported() || len(value.Values) == 0 {
					continue
				}
				ast.Inspect(value.Values[0], func(n ast.Node) bool {
					text, ok := n.(*ast.BasicLit)
					if _, known := routes[value.Names[0].Name]; ok && !known && id.MatchString(text.Value) {
						routes[value.Names[0].Name] = strings.Trim(text.Value, `"`)
					}
					return true
				})
			}
		}
	}
	return routes
}

func TestEveryRouteIsServed(t *testing.T) {
	w := newWorldWithSinks(t)
	var document struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	w.must(json.Unmarshal(w.server.OpenAPI(), &document))
	served := map[string]string{}
	for path, item := range document.Paths {
		for method, op := range item {
			served[op.OperationID] = strings.ToUpper(method) + " " + path
		}
	}
	handled := map[string]bool{}
	for _, pattern := range w.server.Routes() {
		handled[pattern] = true
	}
	said := 0
	for _, dir := range []string{"../api", "../../../../workflow/runapi"} {
		for name, id := range routesOf(t, dir) {
			said++
			if pattern := served[id]; pattern == "" || !handled[pattern] {
				t.Errorf("%s (%s) is said and not served: %q", name, id, pattern)
			}
		}
	}
	if said != len(served) || said < 60 {
		t.Errorf("%d routes are said, %d are served", said, len(served))
	}
}
