// Package importlaw proves that every package imports only what its place in the
// tree allows. ARCHITECTURE.md explains the table.
package importlaw

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/liwanag/liwanag/"

// anything allows every third-party module.
const anything = "*"

// row is what one place of the tree may import.
type row struct {
	pkg   string
	ours  []string
	third []string
}

// law says, for each package below the module (a trailing "/..." covers what is
// below it), which of our packages and which third-party modules it may import; ~ is
// cmd/liwanag/internal, where the product lives. A package that no row covers fails
// the test, and so does a right that nothing uses.
var law = inFull([]row{
	{"workflow", nil, nil},
	{"workflow/runapi", []string{"workflow"}, nil},
	{"workflow/workflowtest", []string{"workflow"}, nil},
	{"workflow/runnertest", []string{"workflow"}, nil},
	{"engine/cron", nil, []string{"github.com/netresearch/go-cron"}},
	{"engine/schedule", []string{"workflow"}, nil},
	{"engine/store", []string{"workflow"}, nil},
	{"engine/store/storetest", []string{"workflow", "engine/schedule", "engine/store"}, nil},
	{"engine/store/memory", []string{"workflow", "engine/schedule", "engine/store"}, nil},
	{"engine/store/sqlite", []string{"workflow", "engine/schedule", "engine/store", "internal/opened", "internal/sqlitedb", "internal/migrate"}, nil},
	{"engine/store/postgres", []string{"workflow", "engine/schedule", "engine/store", "internal/opened", "internal/pgdb", "internal/groupcommit", "internal/migrate"}, []string{"github.com/jackc/pgx/v5"}},
	{"engine", []string{"workflow", "engine/schedule", "engine/store"}, nil},
	{"examples/hello", []string{"workflow", "engine", "engine/store/sqlite"}, nil},
	{"examples", []string{"workflow", "engine/cron", "engine/schedule", "engine/store/sqlite"}, nil},
	{"temporalrunner", []string{"workflow"}, []string{"go.temporal.io/sdk", "go.temporal.io/api", "golang.org/x/sync"}},
	{"observe/otel", []string{"workflow"}, []string{"go.opentelemetry.io/otel"}},
	{"fullenrich", nil, nil},
	{"fullenrich/simulator", nil, nil},
	{"~/liwanag", nil, []string{"github.com/google/uuid", "golang.org/x/text", "golang.org/x/net"}},
	{"~/chore", nil, nil},
	{"~/paid", []string{"~/liwanag", "~/datastore", "fullenrich"}, nil},
	{"~/enrichment", []string{"workflow", "~/liwanag", "~/datastore", "~/paid", "~/chore", "fullenrich"}, []string{"github.com/failsafe-go/failsafe-go", "github.com/google/uuid"}},
	{"~/intake/...", []string{"~/liwanag", "~/datastore", "~/enrichment", "~/intake/..."}, []string{"golang.org/x/text", "github.com/google/uuid", "github.com/wlynxg/chardet"}},
	{"~/graceful", nil, nil},
	{"internal/groupcommit", nil, nil},
	{"internal/opened", nil, nil},
	{"internal/migrate", nil, nil},
	{"internal/pgdb", []string{"internal/groupcommit", "internal/migrate"}, []string{"github.com/jackc/pgx/v5", "github.com/jackc/pgerrcode"}},
	{"internal/pgdb/pgtest", nil, []string{"github.com/jackc/pgx/v5"}},
	{"internal/sqlitedb", []string{"internal/groupcommit", "internal/migrate"}, []string{"modernc.org/sqlite", "modernc.org/libc", "golang.org/x/sys"}},
	{"~/datastore/datastoretest", []string{"~/liwanag", "~/datastore", "~/datastore/listing"}, []string{"github.com/google/go-cmp", "pgregory.net/rapid"}},
	{"~/datastore/listing", []string{"~/liwanag"}, nil},
	{"~/datastore", []string{"~/liwanag", "~/datastore/listing"}, []string{"github.com/jackc/pgx/v5"}},
	{"~/datastore/sqlite", []string{"~/liwanag", "~/datastore", "internal/sqlitedb", "internal/migrate"}, nil},
	{"~/datastore/postgres", []string{"~/liwanag", "~/datastore", "internal/pgdb", "internal/migrate"}, []string{"github.com/jackc/pgx/v5"}},
	{"~/journal", []string{"~/liwanag", "~/datastore", "internal/sqlitedb"}, nil},
	{"~/keep", []string{"~/liwanag", "~/datastore", "~/datastore/sqlite", "~/datastore/postgres", "engine/store/postgres", "internal/sqlitedb",
		"internal/pgdb", "internal/migrate"}, []string{"github.com/jackc/pgx/v5"}},
	{"~/live", []string{"workflow", "workflow/runapi"}, nil},
	{"~/throttle", nil, []string{"golang.org/x/time"}},
	{"~/httpapi/door", []string{"~/access", "~/api", "~/graceful", "~/intake", "~/liwanag", "~/throttle", "workflow", "workflow/runapi"},
		[]string{"github.com/danielgtaylor/huma/v2"}},
	{"~/httpapi", []string{"fullenrich", "~/access", "~/api", "~/datastore", "~/enrichment", "~/httpapi/door", "~/intake/...", "~/liwanag", "~/live", "~/notify", "~/why", "workflow", "workflow/runapi"},
		[]string{"github.com/danielgtaylor/huma/v2"}},
	{"~/why", []string{"workflow", "~/api", "~/datastore", "~/liwanag", "~/paid"}, nil},
	{"~/doctor", []string{"fullenrich", "~/api"}, nil},
	{"~/access", []string{"~/liwanag"}, []string{"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2"}},
	{"~/notify", []string{"workflow", "~/liwanag", "~/datastore", "~/chore"}, []string{"code.dny.dev/ssrf"}},
	{"~/telemetry", []string{"workflow", "fullenrich", "observe/otel", "~/liwanag", "internal/groupcommit"},
		[]string{"github.com/prometheus/client_golang", "go.opentelemetry.io/otel"}},
	{"~/api", []string{"workflow/runapi"}, nil},
	{"~/apiclient", []string{"workflow/runapi", "~/api"}, nil},
	{"~/console", []string{"workflow", "workflow/runapi", "~/api", "~/apiclient", "fullenrich"}, []string{"github.com/a-h/templ"}},
	{"~/config", []string{"engine/cron"}, []string{"github.com/alecthomas/kong", "gopkg.in/yaml.v3"}},
	{"~/app", []string{"..."}, []string{anything}},
	{"~/demo", []string{"fullenrich/simulator", "~/app", "~/config", "~/liwanag", "internal/sqlitedb", "~/telemetry"}, nil},
	{"cmd/liwanag/test/process", []string{"fullenrich/simulator", "~/apiclient"}, nil},
	{"cmd/liwanag/test/...", nil, nil},
	{"cmd/liwanag", []string{"workflow", "workflow/runapi", "~/api", "~/app", "~/config", "~/apiclient", "~/demo"},
		[]string{"github.com/alecthomas/kong", "charm.land/lipgloss/v2", "github.com/vbauerster/mpb/v8", "golang.org/x/term"}},
})

func inFull(rows []row) []row {
	const product = "cmd/liwanag/internal/"
	for i := range rows {
		rows[i].pkg = strings.Replace(rows[i].pkg, "~/", product, 1)
		for j := range rows[i].ours {
			rows[i].ours[j] = strings.Replace(rows[i].ours[j], "~/", product, 1)
		}
	}
	return rows
}

// testHelpers never appear in the imports of what is not a test.
var testHelpers = []string{"workflow/workflowtest", "workflow/runnertest", "engine/store/storetest",
	"cmd/liwanag/internal/datastore/datastoretest", "internal/pgdb/pgtest", "cmd/liwanag/test/process"}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
	Module     struct{ Path string }
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,GoFiles,Module", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

func TestEveryPackageImportsOnlyWhatItsPlaceAllows(t *testing.T) {
	all := packages(t)
	if len(all) < 15 {
		t.Fatalf("only %d packages were listed", len(all))
	}
	for _, p := range all {
		rel := strings.TrimPrefix(p.ImportPath, module)
		at := rowOf(rel)
		if at < 0 {
			t.Errorf("%s has no row in the import law: give it one", rel)
			continue
		}
		for _, fault := range check(rel, p.Imports, law[at].ours, law[at].third) {
			t.Error(fault)
		}
	}
}

// The go command lets every module below the root import its internal packages. Only
// the product may: it requires exactly the root that it was built with.
func TestAPublishedModuleImportsWhatTheRootExports(t *testing.T) {
	modules := map[string]bool{}
	for _, p := range packages(t) {
		modules[p.Module.Path] = true
		if at := p.Module.Path + "/"; at == module || at == module+"cmd/liwanag/" {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"internal/") {
				t.Errorf("%s imports %s: only the root and the product may", p.ImportPath, imp)
			}
		}
	}
	if len(modules) < 3 {
		t.Errorf("only these modules were listed: %v", modules)
	}
}

// rowOf is the row that covers a package; -1: none does.
func rowOf(rel string) int {
	return slices.IndexFunc(law, func(r row) bool { return covers(r.pkg, rel) })
}

func TestEveryRightIsUsed(t *testing.T) {
	used := make([][]string, len(law)) // what the packages of a row import
	places := make([]int, len(law))
	for _, p := range packages(t) {
		if at := rowOf(strings.TrimPrefix(p.ImportPath, module)); at >= 0 {
			used[at] = append(used[at], p.Imports...)
			places[at]++
		}
	}
	for i, r := range law {
		if places[i] == 0 {
			t.Errorf("%s: there is no such package", r.pkg)
		}
		for _, fault := range unused(r, used[i]) {
			t.Error(fault)
		}
	}
}

// unused are the rights of a row that none of the imports needs.
func unused(r row, imports []string) (faults []string) {
	for _, right := range r.ours {
		if !slices.ContainsFunc(imports, func(imp string) bool {
			own, isOurs := strings.CutPrefix(imp, module)
			return isOurs && covers(right, own)
		}) {
			faults = append(faults, r.pkg+" imports nothing of "+right+": take the right away")
		}
	}
	for _, right := range r.third {
		if !slices.ContainsFunc(imports, func(imp string) bool {
			return right == anything || imp == right || strings.HasPrefix(imp, right+"/")
		}) {
			faults = append(faults, r.pkg+" imports nothing of "+right+": take the right away")
		}
	}
	return faults
}

func check(rel string, imports, ours, third []string) (faults []string) {
	for _, imp := range imports {
		own, isOurs := strings.CutPrefix(imp, module)
		switch {
		case isOurs && slices.Contains(testHelpers, own) && rel != "workflow/runnertest":
			faults = append(faults, rel+" imports the test helper "+own)
		case isOurs && !slices.ContainsFunc(ours, func(o string) bool { return covers(o, own) }):
			faults = append(faults, rel+" must not import "+own)
		case !isOurs && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !slices.ContainsFunc(third, func(m string) bool {
			return m == anything || imp == m || strings.HasPrefix(imp, m+"/")
		}):
			faults = append(faults, rel+" must not import "+imp)
		}
	}
	return faults
}

// covers says whether a pattern of the law covers a package.
func covers(pattern, rel string) bool {
	if base, ok := strings.CutSuffix(pattern, "..."); ok {
		return rel == strings.TrimSuffix(base, "/") || strings.HasPrefix(rel, base)
	}
	return pattern == rel
}

func TestTheLawRefusesWhatItShould(t *testing.T) {
	for name, tc := range map[string]struct {
		rel     string
		imports []string
		ours    []string
		third   []string
		faults  int
	}{
		"the library never imports the product":  {"workflow", []string{module + "cmd/liwanag/internal/liwanag"}, nil, nil, 1},
		"a driver stands in its place only":      {"engine", []string{"modernc.org/sqlite"}, []string{"workflow"}, nil, 1},
		"a test helper stays in tests":           {"cmd/liwanag/internal/app", []string{module + "engine/store/storetest"}, []string{"..."}, []string{anything}, 1},
		"the standard library is always allowed": {"workflow", []string{"context", "encoding/json"}, nil, nil, 0},
		"what is listed is allowed":              {"engine", []string{module + "workflow"}, []string{"workflow"}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := check(tc.rel, tc.imports, tc.ours, tc.third); len(got) != tc.faults {
				t.Errorf("faults %q, want %d", got, tc.faults)
			}
		})
	}
}

func TestARightThatNothingUsesIsAFault(t *testing.T) {
	r := row{"engine", []string{"workflow", "cmd/liwanag/internal/intake/..."}, []string{"modernc.org/sqlite", "golang.org/x/sync"}}
	got := unused(r, []string{"context", module + "workflow", "golang.org/x/sync/errgroup", "modernc.org/sqlitex"})
	if len(got) != 2 || !strings.Contains(got[0], "cmd/liwanag/internal/intake") || !strings.Contains(got[1], "modernc.org/sqlite:") {
		t.Errorf("%q", got)
	}
}
