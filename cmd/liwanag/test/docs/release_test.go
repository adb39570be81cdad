package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// released is what the test looks at of .goreleaser.yaml.
type released struct {
	Builds []struct {
		Main, Binary         string
		Env, Ldflags         []string
		Goos, Goarch, Ignore []string
	}
	Archives []struct {
		Name  string `yaml:"name_template"`
		Files []string
	}
	NFPMs []struct {
		Formats  []string
		Contents []struct{ Src string }
		Scripts  map[string]string
	} `yaml:"nfpms"`
	SBOMs []struct {
		Artifacts, Cmd string
	} `yaml:"sboms"`
	Checksum struct {
		Name string `yaml:"name_template"`
	}
	Release struct {
		Files []struct{ Glob string } `yaml:"extra_files"`
	}
}

func TestAReleaseHasWhatTheREADMEPromises(t *testing.T) {
	var r released
	if err := yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Builds) != 1 || len(r.Archives) != 1 || len(r.NFPMs) != 1 || len(r.SBOMs) != 1 {
		t.Fatalf("%+v", r)
	}
	b := r.Builds[0]
	if !slices.Equal(b.Goos, []string{"linux", "darwin", "windows"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) ||
		len(b.Ignore) > 0 || !slices.Contains(b.Env, "CGO_ENABLED=0") {
		t.Errorf("it is built for %v on %v with %v", b.Goos, b.Goarch, b.Env)
	}
	if !slices.Equal(r.NFPMs[0].Formats, []string{"deb", "rpm"}) || r.SBOMs[0].Cmd != "cyclonedx-gomod" || r.SBOMs[0].Artifacts != "binary" {
		t.Errorf("packages %v, lists of modules %v", r.NFPMs[0].Formats, r.SBOMs)
	}
	stamp := strings.Join(b.Ldflags, " ")
	if name, ok := strings.CutPrefix(stamp[strings.Index(stamp, "-X "):], "-X github.com/liwanag/liwanag/cmd/liwanag/internal/app."); !ok ||
		!strings.Contains(read(t, "cmd/liwanag/internal/app/version.go"), "var "+strings.Split(name, "=")[0]+" string") {
		t.Errorf("%q stamps no variable", stamp)
	}
	there := slices.Clone(r.Archives[0].Files)
	for _, c := range r.NFPMs[0].Contents {
		there = append(there, c.Src)
	}
	for _, script := range r.NFPMs[0].Scripts {
		there = append(there, script)
	}
	for _, f := range r.Release.Files {
		there = append(there, f.Glob)
	}
	for _, pattern := range there {
		found, err := filepath.Glob(filepath.Join(root, strings.ReplaceAll(pattern, "**", "*")))
		if err != nil || pattern != "" && len(found) == 0 {
			t.Errorf("%s is not there: %v", pattern, err)
		}
	}
	// What install.sh looks for, and where README says that it is.
	install := read(t, "install.sh")
	if !strings.Contains(install, "/"+r.Checksum.Name) || !strings.HasSuffix(r.Archives[0].Name, "_{{ .Os }}_{{ .Arch }}") ||
		!strings.Contains(install, `_${os}_$arch\\.tar\\.gz`) || !strings.Contains(read(t, "README.md"), "/releases/latest/download/install.sh") {
		t.Errorf("install.sh does not find %s of %s", r.Archives[0].Name, r.Checksum.Name)
	}
}

func TestTheHostRunsWhatCIRuns(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		var flow struct {
			On   map[string]any
			Jobs map[string]struct {
				Steps []struct{ Run, Uses string }
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &flow); err != nil || len(flow.On) == 0 {
			t.Errorf("%s: %v, on %v", file, err, flow.On)
		}
		runs := 0
		for _, job := range flow.Jobs {
			for _, step := range job.Steps {
				if step.Run == ".ci/run" {
					runs++
				}
			}
		}
		if runs != 1 {
			t.Errorf("%s runs .ci/run %d times", filepath.Base(file), runs)
		}
	}
	if check := read(t, "Makefile"); !strings.Contains(check, "\ncheck: test race lint verify test-temporal ##") {
		t.Error("make check is not what it was: release-check is apart from it")
	}
}
