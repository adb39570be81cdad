package importlaw

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// sources calls visit for each file of the packages whose path begins as one of the
// roots says; none: of all.
func sources(t *testing.T, visit func(set *token.FileSet, rel string, file *ast.File), roots ...string) {
	t.Helper()
	set := token.NewFileSet()
	for _, p := range packages(t) {
		rel := strings.TrimPrefix(p.ImportPath, module)
		if root, _, _ := strings.Cut(rel, "/"); len(roots) > 0 && !strings.Contains(" "+strings.Join(roots, " ")+" ", " "+root+" ") {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			visit(set, rel, file)
		}
	}
}

// What names a type of an internal package is nothing that another module could use.
func TestTheLibraryExportsNoInternalTypes(t *testing.T) {
	exported := 0
	sources(t, func(set *token.FileSet, rel string, file *ast.File) {
		for _, expr := range exports(file) {
			exported++
			for _, name := range internals(file, expr) {
				t.Errorf("%s: %s exports %s", set.Position(expr.Pos()), rel, name)
			}
		}
	}, "workflow", "engine", "temporalrunner", "fullenrich")
	if exported < 500 {
		t.Errorf("only %d exported declarations were found", exported)
	}
}

// exports are the types that a file's exported declarations name.
func exports(file *ast.File) (all []ast.Node) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type))) {
				all = append(all, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						all = append(all, s.Type)
					}
				case *ast.ValueSpec:
					if s.Names[0].IsExported() && s.Type != nil {
						all = append(all, s.Type)
					}
				}
			}
		}
	}
	return all
}

func receiver(t ast.Expr) string {
	switch e := t.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// internals are the names of internal packages in a type, but for fields that are not
// exported.
func internals(file *ast.File, in ast.Node) (names []string) {
	ast.Inspect(in, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && len(field.Names) > 0 {
			if _, isStruct := in.(*ast.StructType); isStruct && !field.Names[0].IsExported() {
				return false
			}
		}
		name, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, imp := range file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			as := path[strings.LastIndex(path, "/")+1:]
			if imp.Name != nil {
				as = imp.Name.Name
			}
			if from, ok := name.X.(*ast.Ident); ok && from.Name == as && strings.Contains(path, "/internal/") {
				names = append(names, as+"."+name.Sel.Name)
			}
		}
		return true
	})
	return names
}

// A shift by a number that grows, of failures for instance, ends at zero or below it
// when nothing bounds it.
func TestEveryShiftIsBounded(t *testing.T) {
	shifts := 0
	sources(t, func(set *token.FileSet, _ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			var by ast.Expr
			switch e := n.(type) {
			case *ast.BinaryExpr:
				if e.Op == token.SHL {
					by = e.Y
				}
			case *ast.AssignStmt:
				if e.Tok == token.SHL_ASSIGN {
					by = e.Rhs[0]
				}
			}
			if _, constant := by.(*ast.BasicLit); by == nil || constant {
				return true
			}
			shifts++
			if call, ok := by.(*ast.CallExpr); !ok || !isCall(call, "min") || !isCall(call.Args[0], "max") {
				t.Errorf("%s: the shift has no bounds: min(max(n, 0), most)", set.Position(by.Pos()))
			}
			return true
		})
	})
	if shifts == 0 {
		t.Error("no shift was found")
	}
}

func isCall(e ast.Expr, name string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.Ident)
	return ok && f.Name == name
}
