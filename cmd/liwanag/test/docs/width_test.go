package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxWidth is how many characters a line of code may have; a new one should have
// fewer than 120.
const maxWidth = 140

// maxLines is how many lines a function may have from func to its brace, and maxFile a
// file.
const (
	maxLines = 60
	maxFile  = 500
)

// written calls do with every Go file of the repository that is not generated.
func written(t *testing.T, do func(name string, source []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(string(source), "// Code generated ") {
			return err
		}
		n++
		do(filepath.ToSlash(rel), source)
		return nil
	})
	if err != nil || n < 500 {
		t.Fatalf("%d files, %v", n, err)
	}
}

// Tables may be wider: a field with its tag, and an element of a list that begins and
// ends on the line. So may what stands between backquotes, which is quoted whole.
func TestLinesCanBeRead(t *testing.T) {
	written(t, func(name string, source []byte) {
		for _, line := range tooWide(t, name, source) {
			t.Errorf("%s:%d has more than %d characters", name, line, maxWidth)
		}
	})
}

func TestFunctionsAndFilesFitIntoTheMind(t *testing.T) {
	written(t, func(name string, source []byte) {
		for _, fault := range tooLong(t, name, source) {
			t.Error(fault)
		}
	})
}

// tooLong says which functions of a file are too long, and whether it is itself.
func tooLong(t *testing.T, name string, source []byte) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxLines {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d", name, f.Name.Name, n, maxLines))
			}
		}
	}
	if n := bytes.Count(source, []byte("\n")); n > maxFile {
		faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d", name, n, maxFile))
	}
	return faults
}

func TestATooLongFunctionOrFileIsFound(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	for text, want := range map[string]int{
		"func a() {" + lines(maxLines-1) + "}":                                 0,
		"func a() {" + lines(maxLines) + "}":                                   1,
		"func (t) a() {" + lines(maxLines) + "}\nfunc b() {" + lines(99) + "}": 2,
		lines(maxFile - 3): 0,
		lines(maxFile - 2): 1,
	} {
		if got := tooLong(t, "a.go", []byte("package a\n\n"+text+"\n")); len(got) != want {
			t.Errorf("%.20q: %q, want %d", text, got, want)
		}
	}
}

// tooWide are the numbers of lines that are too long and no table's.
func tooWide(t *testing.T, name string, source []byte) (lines []int) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	may := map[int]int{} // characters by which a line may be longer
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag != nil {
				may[set.Position(n.Tag.Pos()).Line] = 1000
			}
		case *ast.BasicLit:
			if strings.HasPrefix(n.Value, "`") {
				for i, part := range strings.Split(n.Value, "\n") {
					may[set.Position(n.Pos()).Line+i] += utf8.RuneCountInString(part)
				}
			}
		}
		return true
	})
	for i, line := range strings.Split(string(source), "\n") {
		row := strings.TrimSpace(line)
		if (strings.HasPrefix(row, "{") || strings.HasPrefix(row, `"`)) && strings.HasSuffix(row, ",") {
			continue
		}
		if utf8.RuneCountInString(line) > maxWidth+may[i+1] {
			lines = append(lines, i+1)
		}
	}
	return lines
}

func TestATooLongLineIsFound(t *testing.T) {
	long := strings.Repeat("x", maxWidth)
	for text, want := range map[string]int{
		"var a = \"" + long + "\"": 1,
		"// " + long:               1,
		"type a struct {\n\tb int `doc:\"" + long + "\"`\n}":  0,
		"var a = []string{\n\t\"" + long + "\",\n}":           0,
		"var a = `" + long + "\n" + long + "`":                0,
		"var " + long + " = `short`":                          1,
		"var a = `" + long + "` + b(" + long + ") + `" + "x`": 1,
	} {
		if got := tooWide(t, "a.go", []byte("package a\n\n"+text+"\n")); len(got) != want {
			t.Errorf("%.40s: %v, want %d", text, got, want)
		}
	}
}
