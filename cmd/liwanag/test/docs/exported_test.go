package docs

import (
	"bytes"
	"flag"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of what packages export")

// published are the packages that other programs import. Each has a golden file of what it
// exports, so that a change of it is seen where it is reviewed.
var published = []string{"workflow", "workflow/runapi", "workflow/workflowtest", "workflow/runnertest",
	"engine", "engine/cron", "engine/schedule", "engine/store", "engine/store/memory", "engine/store/sqlite",
	"engine/store/postgres", "engine/store/storetest", "temporalrunner", "observe/otel", "fullenrich", "fullenrich/simulator"}

func TestWhatPackagesExportIsAsNoted(t *testing.T) {
	for _, pkg := range published {
		got := exportedBy(t, filepath.Join(root, filepath.FromSlash(pkg)))
		if strings.Count(got, "\n") < 3 {
			t.Errorf("%s exports nothing", pkg)
		}
		golden := filepath.Join("testdata", "exported", strings.ReplaceAll(pkg, "/", "-")+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Error(err)
		}
		if got != string(want) {
			t.Errorf("%s exports something else:\n%s", pkg, strings.Join(differing(string(want), got), "\n"))
		}
	}
	if t.Failed() {
		t.Log("If that is wanted: go test ./cmd/liwanag/test/docs -run WhatPackagesExport -update, " +
			"and a line in CHANGELOG.md when it breaks programs")
	}
}

// Every other package of the library's folders is internal, or one of its examples.
func TestEveryPublishedPackageIsNoted(t *testing.T) {
	for _, folder := range []string{"workflow", "engine", "temporalrunner", "observe", "fullenrich"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || d.Name() == "testdata" {
				return err
			}
			if files, _ := filepath.Glob(filepath.Join(path, "*.go")); len(files) == 0 {
				return nil
			}
			pkg, _ := filepath.Rel(root, path)
			if pkg = filepath.ToSlash(pkg); !slices.Contains(published, pkg) && !strings.Contains(pkg, "internal") {
				t.Errorf("%s is not among the published packages", pkg)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// exportedBy is what a package exports: its declarations without bodies and comments, in order.
func exportedBy(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var decls []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(file)
		for _, d := range file.Decls {
			if text := exported(t, set, d); text != "" {
				decls = append(decls, text)
			}
		}
	}
	slices.Sort(decls)
	return strings.Join(slices.Compact(decls), "\n") + "\n"
}

// exported is a declaration, empty for an import and for a method of a type that is not exported.
func exported(t *testing.T, set *token.FileSet, d ast.Decl) string {
	t.Helper()
	switch d := d.(type) {
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || len(d.Specs) == 0 {
			return ""
		}
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
				v.Values = nil // may be a whole function
			}
		}
	case *ast.FuncDecl:
		if d.Body = nil; d.Recv != nil && !ast.IsExported(receiver(d.Recv.List[0].Type)) {
			return ""
		}
	}
	var b bytes.Buffer
	if err := format.Node(&b, set, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}

// differing are the lines that only one of two texts has.
func differing(want, got string) (lines []string) {
	before, now := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range before {
		if !slices.Contains(now, line) {
			lines = append(lines, "no longer: "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			lines = append(lines, "new: "+line)
		}
	}
	return lines
}
