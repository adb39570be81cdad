package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// world is a server of releases, and a machine to install on.
type world struct {
	*testing.T
	files map[string][]byte // by path
	url   string
	home  string
	tools string // all that the script finds in PATH
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, files: map[string][]byte{}, home: t.TempDir(), tools: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, ok := w.files[r.URL.Path]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write(body)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	for _, tool := range []string{"sh", "curl", "sha256sum", "tar", "gzip", "mktemp", "rm", "mkdir", "cp", "mv", "chmod", "grep", "cut"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		w.must(os.Symlink(path, filepath.Join(w.tools, tool)))
	}
	w.machine("Linux", "x86_64")
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// tool is a script that the machine has.
func (w *world) tool(name, does string) {
	w.Helper()
	path := filepath.Join(w.tools, name)
	_ = os.Remove(path) // it may not be there
	w.must(os.WriteFile(path, []byte("#!/bin/sh\n"+does), 0o700))
}

// machine is what the machine says that it is.
func (w *world) machine(system, processor string) {
	w.Helper()
	w.tool("uname", fmt.Sprintf("case $1 in -s) echo %s ;; -m) echo %s ;; esac\n", system, processor))
}

// release serves one, whose program says who it is, and returns the path of its archive.
func (w *world) release(at, version, platform string) string {
	w.Helper()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	files := tar.NewWriter(zipped)
	program := "#!/bin/sh\necho \"liwanag " + version + " for " + platform + "\"\n"
	for name, text := range map[string]string{"README.md": "read me", "liwanag": program} {
		w.must(files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}))
		_, err := files.Write([]byte(text))
		w.must(err)
	}
	w.must(files.Close())
	w.must(zipped.Close())
	name := "liwanag_" + version + "_" + platform + ".tar.gz"
	w.files[at+"/"+name] = archive.Bytes()
	sums := fmt.Sprintf("%x  %s\n", sha256.Sum256(archive.Bytes()), name)
	w.files[at+"/checksums.txt"] = append(w.files[at+"/checksums.txt"], sums...)
	return at + "/" + name
}

// install runs the script.
func (w *world) install(env ...string) (said string, err error) {
	w.Helper()
	script, err := filepath.Abs(filepath.Join("..", "..", "..", "..", "install.sh"))
	w.must(err)
	cmd := exec.Command(filepath.Join(w.tools, "sh"), script)
	cmd.Env = append([]string{"PATH=" + w.tools, "HOME=" + w.home, "TMPDIR=" + w.TempDir(), "LIWANAG_RELEASES=" + w.url,
		"LIWANAG_BIN=" + w.bin()}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *world) bin() string { return filepath.Join(w.home, "bin") }

// installed is what the program that is there says; empty: there is none.
func (w *world) installed() string {
	out, _ := exec.Command(filepath.Join(w.bin(), "liwanag")).Output() // it may not be there
	return strings.TrimSpace(string(out))
}

func TestTheLatestReleaseIsInstalledForThisMachine(t *testing.T) {
	for machine, platform := range map[[2]string]string{{"Linux", "x86_64"}: "linux_amd64", {"Linux", "aarch64"}: "linux_arm64",
		{"Darwin", "arm64"}: "darwin_arm64", {"Darwin", "x86_64"}: "darwin_amd64"} {
		w := newWorld(t)
		w.machine(machine[0], machine[1])
		for _, one := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"} {
			w.release("/latest/download", "0.2.0", one)
			w.release("/download/v0.1.0", "0.1.0", one)
		}
		said, err := w.install()
		if want := "liwanag 0.2.0 for " + platform; err != nil || w.installed() != want || !strings.Contains(said, want) {
			t.Errorf("%v: %v, installed %q\n%s", machine, err, w.installed(), said)
		}
		for _, told := range []string{"Its checksum is right", w.bin() + "/liwanag", "is not in PATH"} {
			if !strings.Contains(said, told) {
				t.Errorf("it does not say %q:\n%s", told, said)
			}
		}
		for _, version := range []string{"0.1.0", "v0.1.0"} { // over the one that is there
			if said, err := w.install("LIWANAG_VERSION=" + version); err != nil || w.installed() != "liwanag 0.1.0 for "+platform {
				t.Errorf("%s: %v, installed %q\n%s", version, err, w.installed(), said)
			}
		}
		if left, err := os.ReadDir(w.bin()); err != nil || len(left) != 1 {
			t.Errorf("it leaves %v, %v", left, err)
		}
	}
}

func TestWhatCannotBeInstalledLeavesWhatIsThere(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world, archive string)
		env    string
		want   string
	}{
		"another archive": {func(w *world, archive string) { w.files[archive] = append(w.files[archive], 0) }, "", "it is not installed"},
		"half an archive": {func(w *world, archive string) { w.files[archive] = w.files[archive][:50] }, "", "it is not installed"},
		"no archive":      {func(w *world, archive string) { delete(w.files, archive) }, "", "cannot be fetched"},
		"no checksums":    {func(w *world, _ string) { delete(w.files, "/latest/download/checksums.txt") }, "", "cannot be fetched"},
		"no version":      {func(*world, string) {}, "LIWANAG_VERSION=9.9.9", "/download/v9.9.9/checksums.txt cannot be fetched"},
		"another system":  {func(w *world, _ string) { w.machine("FreeBSD", "x86_64") }, "", "no archive for FreeBSD"},
		"another machine": {func(w *world, _ string) { w.machine("Linux", "riscv64") }, "", "go install"},
		"not built":       {func(w *world, _ string) { w.machine("Darwin", "arm64") }, "", "the release has no archive for darwin on arm64"},
		"no sums":         {func(w *world, _ string) { w.must(os.Remove(filepath.Join(w.tools, "sha256sum"))) }, "", "nothing can be checked"},
		"no curl":         {func(w *world, _ string) { w.must(os.Remove(filepath.Join(w.tools, "curl"))) }, "", "neither curl nor wget"},
	} {
		w := newWorld(t)
		w.must(os.MkdirAll(w.bin(), 0o700))
		w.must(os.WriteFile(filepath.Join(w.bin(), "liwanag"), []byte("#!/bin/sh\necho before\n"), 0o700))
		tc.change(w, w.release("/latest/download", "0.2.0", "linux_amd64"))
		said, err := w.install(tc.env)
		if err == nil || !strings.Contains(said, tc.want) || !strings.Contains(said, "Try: ") || w.installed() != "before" {
			t.Errorf("%s: %v, installed %q\n%s", name, err, w.installed(), said)
		}
	}
}

func TestWgetAndShasumDoAsWell(t *testing.T) {
	w := newWorld(t)
	w.release("/latest/download", "0.2.0", "linux_amd64")
	curl, err := exec.LookPath("curl")
	w.must(err)
	sums, err := exec.LookPath("sha256sum")
	w.must(err)
	w.must(os.Remove(filepath.Join(w.tools, "curl")))
	w.must(os.Remove(filepath.Join(w.tools, "sha256sum")))
	w.tool("wget", "[ \"$1 $2\" = '-q -O' ] || exit 2\nexec "+curl+" -fsS -o \"$3\" \"$4\"\n")
	w.tool("shasum", "[ \"$1 $2\" = '-a 256' ] || exit 2\nexec "+sums+" \"$3\"\n")
	if said, err := w.install(); err != nil || w.installed() != "liwanag 0.2.0 for linux_amd64" {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestHalfTheScriptDoesNothing(t *testing.T) {
	w := newWorld(t)
	w.release("/latest/download", "0.2.0", "linux_amd64")
	script, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "install.sh"))
	w.must(err)
	for at := 100; at < len(script)-len("main \"$@\"\n"); at += 397 {
		cmd := exec.Command(filepath.Join(w.tools, "sh"), "-s")
		cmd.Stdin = bytes.NewReader(script[:at])
		cmd.Env = []string{"PATH=" + w.tools, "HOME=" + w.home, "LIWANAG_RELEASES=" + w.url, "LIWANAG_BIN=" + w.bin()}
		_ = cmd.Run() // most of them are no script
		if _, err := os.Stat(w.bin()); err == nil {
			t.Fatalf("%d bytes of it install something", at)
		}
	}
}
