package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestVendoredFilesAreThoseOfTheManifest(t *testing.T) {
	raw, err := embedded.ReadFile("assets/vendor/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest []struct {
		Name, Version, License, Source string
		Files                          []struct{ File, Path, SHA256 string }
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	known := []string{"manifest.json"}
	for _, p := range manifest {
		if p.Name == "" || p.License == "" || !strings.HasPrefix(p.Source, "https://registry.npmjs.org/"+p.Name+"/-/") ||
			!strings.HasSuffix(p.Source, "-"+p.Version+".tgz") {
			t.Errorf("%+v: name, version, license and source on the npm registry belong together", p)
		}
		for _, f := range p.Files {
			known = append(known, f.File)
			content, err := embedded.ReadFile("assets/vendor/" + f.File)
			if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is not what the manifest says: %x %v\n  Try: make assets", f.File, sum, err)
			}
		}
	}
	files, err := embedded.ReadDir("assets/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(known, f.Name()) {
			t.Errorf("%s is not in the manifest", f.Name())
		}
	}
}

func TestAssetsAreCachedForEverUnderTheirVersion(t *testing.T) {
	site := served(t, newAPI(t, nil))
	for target, want := range map[string][3]string{
		asset("app.css"):                   {"200", "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		asset("app.js"):                    {"200", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/assets/old/app.js":               {"200", "text/javascript; charset=utf-8", "no-store"},
		asset("vendor/htmx.min.js"):        {"200", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		asset("nothing.js"):                {"404", "text/html; charset=utf-8", "no-store"},
		asset("..%2f..%2fconsole.go"):      {"404", "text/html; charset=utf-8", "no-store"},
		asset("vendor/%2e%2e/%2e%2e/x.go"): {"404", "text/html; charset=utf-8", "no-store"},
	} {
		w := visitPage(t, site, "GET", target, "")
		if got := [3]string{w.Result().Status[:3], w.Header().Get("Content-Type"), w.Header().Get("Cache-Control")}; got != want &&
			w.Code != 307 && w.Code != 301 {
			t.Errorf("%s: %q", target, got)
		}
	}
}

// What pages name must be there: a wrong name would only be seen in a browser.
func TestScriptsImportOnlyFilesThatAreThere(t *testing.T) {
	scripts, err := fs.Glob(embedded, "assets/*.js")
	if err != nil || len(scripts) < 5 {
		t.Fatal(scripts, err)
	}
	for _, file := range scripts {
		content, _ := embedded.ReadFile(file)
		for line := range strings.Lines(string(content)) {
			_, from, ok := strings.Cut(line, `from "./`)
			if !ok {
				continue
			}
			name, _, _ := strings.Cut(from, `"`)
			if _, err := embedded.Open(path.Join("assets", name)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	site := served(t, newAPI(t, answers()))
	for _, n := range elements(read(t, visitPage(t, site, "GET", "/", "").Body.String())) {
		for _, name := range []string{"src", "href"} {
			if target := attribute(n, name); strings.HasPrefix(target, "/assets/") && visitPage(t, site, "GET", target, "").Code != 200 {
				t.Errorf("%s is not there", target)
			}
		}
	}
}
