package datastore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every statement of the application's tables stands in one place, and few of them
// need a word that only one database sees.
func TestEveryStatementIsSaidOnce(t *testing.T) {
	files := parsed(t)
	said := map[string]string{} // by its text: where
	for _, s := range statements(files) {
		text := strings.Join(strings.Fields(s.text), " ")
		if where, twice := said[text]; twice {
			t.Errorf("said at %s and at %s: %s", where, s.where, text)
		}
		said[text] = s.where
	}
	if len(said) < 100 {
		t.Errorf("only %d statements were found", len(said))
	}
	marks := 0
	for _, file := range files.asts {
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				marks += strings.Count(text.Value, "/*lite")
			}
			return true
		})
	}
	if marks > 40 {
		t.Errorf("%d marks for SQLite: the limit is 40", marks)
	}
	t.Logf("%d statements, %d marks for SQLite", len(said), marks)
}

type statement struct{ text, where string }

var verb = regexp.MustCompile(`^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\b`)

// statements are the texts that begin as SQL does: constants are what they stand
// for, what is only known when they run is "…". A name alone says nothing: what
// it stands for is said where it is declared.
func statements(files source) (all []statement) {
	for _, file := range files.asts {
		ast.Inspect(file, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			switch e.(type) {
			case *ast.BasicLit, *ast.BinaryExpr:
			default:
				return true
			}
			text := files.text(e)
			if verb.MatchString(text) {
				all = append(all, statement{text, files.set.Position(e.Pos()).String()})
			}
			return !verb.MatchString(text) && !isConcatenation(e) // no part of a text is another one
		})
	}
	return all
}

func isConcatenation(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == token.ADD
}

type source struct {
	set    *token.FileSet
	asts   []*ast.File
	consts map[string]ast.Expr
}

// parsed are this package and the two that run its statements, without tests.
func parsed(t *testing.T) source {
	s := source{set: token.NewFileSet(), consts: map[string]ast.Expr{}}
	for _, pattern := range []string{"*.go", "sqlite/*.go", "postgres/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(s.set, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.asts = append(s.asts, file)
			ast.Inspect(file, s.declare)
		}
	}
	return s
}

func (s source) declare(n ast.Node) bool {
	decl, ok := n.(*ast.GenDecl)
	if !ok || decl.Tok != token.CONST {
		return true
	}
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec)
		for i, value := range v.Values {
			s.consts[v.Names[i].Name] = value
		}
	}
	return true
}

func (s source) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value) // the parser has read it
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return s.text(e.X) + s.text(e.Y)
		}
	case *ast.ParenExpr:
		return s.text(e.X)
	case *ast.Ident:
		if value, ok := s.consts[e.Name]; ok {
			return s.text(value)
		}
	}
	return "…"
}
