// Command snapshot makes what a release has, as .goreleaser.yaml says, read by GoReleaser's
// own configuration, packed by its own packager: programs, archives, lists of what they are
// made of, packages and checksums. GoReleaser itself makes those of a tag; here it would be
// 1,800 packages to compile for the same files.
package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/goreleaser/fileglob"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers itself
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers itself
)

func main() {
	s := snapshot{}
	flag.StringVar(&s.version, "version", "0.0.0-snapshot", "of the release")
	flag.StringVar(&s.dist, "dist", "dist", "where to put it")
	only := flag.String("only", "", "the platforms, such as linux/amd64,windows/arm64; empty: all")
	flag.Parse()
	if err := s.make(*only); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		os.Exit(1)
	}
}

// snapshot is a release in the making.
type snapshot struct {
	config.Project
	version, dist string
	made          []string // files of the release, by name
}

// platform is what a program is for; templates name its fields.
type platform struct{ Version, Os, Arch string }

// say fills a template of the configuration in.
func (p platform) say(text string) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p)
	return b.String(), err
}

func (s *snapshot) make(only string) (err error) {
	if s.Project, err = config.Load(".goreleaser.yaml"); err != nil {
		return fmt.Errorf(".goreleaser.yaml: %w", err)
	}
	if len(s.Builds) != 1 || len(s.Archives) != 1 || len(s.SBOMs) != 1 || len(s.NFPMs) != 1 {
		return fmt.Errorf(".goreleaser.yaml has %d builds, %d archives, %d SBOMs and %d packages: one of each is known here",
			len(s.Builds), len(s.Archives), len(s.SBOMs), len(s.NFPMs))
	}
	if err := os.MkdirAll(s.dist, 0o750); err != nil {
		return err
	}
	for _, system := range s.Builds[0].Goos {
		for _, arch := range s.Builds[0].Goarch {
			if only != "" && !slices.Contains(strings.Split(only, ","), system+"/"+arch) {
				continue
			}
			if err := s.platform(platform{s.version, system, arch}); err != nil {
				return fmt.Errorf("%s/%s: %w", system, arch, err)
			}
		}
	}
	return s.checksums()
}

func (s *snapshot) platform(p platform) error {
	program, err := s.build(p)
	if err != nil {
		return err
	}
	if err := s.archive(p, program); err != nil {
		return err
	}
	if err := s.sbom(p, program); err != nil {
		return err
	}
	if p.Os != "linux" {
		return nil
	}
	for _, format := range s.NFPMs[0].Formats {
		if err := s.pack(p, program, format); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

func run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func (s *snapshot) build(p platform) (program string, err error) {
	b := s.Builds[0]
	program = filepath.Join(s.dist, p.Os+"_"+p.Arch, b.Binary)
	if p.Os == "windows" {
		program += ".exe"
	}
	flags, err := p.say(strings.Join(b.Ldflags, " "))
	if err != nil {
		return "", err
	}
	args := append([]string{"build", "-o", program, "-ldflags", flags}, b.Flags...)
	return program, run(append([]string{"GOOS=" + p.Os, "GOARCH=" + p.Arch, "GOFLAGS="}, b.Env...), "go", append(args, b.Main)...)
}

// file is a new one of the release.
func (s *snapshot) file(p platform, name string) (*os.File, error) {
	name, err := p.say(name)
	if err != nil {
		return nil, err
	}
	s.made = append(s.made, name)
	return os.Create(filepath.Join(s.dist, name))
}

func (s *snapshot) archive(p platform, program string) error {
	a := s.Archives[0]
	format := a.Formats[0]
	for _, o := range a.FormatOverrides {
		if o.Goos == p.Os {
			format = o.Formats[0]
		}
	}
	out, err := s.file(p, a.NameTemplate+"."+format)
	if err != nil {
		return err
	}
	defer out.Close()
	put, end := tarred(out)
	if format == "zip" {
		put, end = zipped(out)
	}
	for _, glob := range a.Files {
		found, err := fileglob.Glob(glob.Source)
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%s: %d files, %w", glob.Source, len(found), err)
		}
		for _, name := range found {
			if err := put(name, filepath.ToSlash(name), 0o644); err != nil {
				return err
			}
		}
	}
	if err := put(program, filepath.Base(program), 0o755); err != nil {
		return err
	}
	return end()
}

// tarred and zipped write archives: put adds a file under a name.
func tarred(out io.Writer) (put func(file, name string, mode int64) error, end func() error) {
	compressed := gzip.NewWriter(out)
	w := tar.NewWriter(compressed)
	put = func(file, name string, mode int64) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	return put, func() error {
		if err := w.Close(); err != nil {
			return err
		}
		return compressed.Close()
	}
}

func zipped(out io.Writer) (put func(file, name string, mode int64) error, end func() error) {
	w := zip.NewWriter(out)
	return func(file, name string, _ int64) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		to, err := w.Create(name)
		if err != nil {
			return err
		}
		_, err = to.Write(content)
		return err
	}, w.Close
}

func (s *snapshot) sbom(p platform, program string) error {
	out, err := s.file(p, s.SBOMs[0].Documents[0])
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	args := make([]string, len(s.SBOMs[0].Args))
	for i, arg := range s.SBOMs[0].Args {
		if args[i], err = p.say(strings.NewReplacer("$document", out.Name(), "$artifact", program).Replace(arg)); err != nil {
			return err
		}
	}
	return run(nil, s.SBOMs[0].Cmd, args...)
}

func (s *snapshot) pack(p platform, program, format string) error {
	n := s.NFPMs[0]
	out, err := s.file(p, n.FileNameTemplate+"."+format)
	if err != nil {
		return err
	}
	defer out.Close()
	info := nfpm.WithDefaults(&nfpm.Info{Name: n.PackageName, Arch: p.Arch, Platform: p.Os, Version: p.Version, Section: n.Section,
		Maintainer: n.Maintainer, Description: n.Description, Vendor: n.Vendor, Homepage: n.Homepage, License: n.License,
		Overridables: nfpm.Overridables{Scripts: nfpm.Scripts{PostInstall: n.Scripts.PostInstall, PreRemove: n.Scripts.PreRemove}}})
	info.Contents = files.Contents{{Source: program, Destination: n.Bindir + "/" + filepath.Base(program),
		FileInfo: &files.ContentFileInfo{Mode: 0o755}}}
	for _, c := range n.Contents {
		info.Contents = append(info.Contents, &files.Content{Source: c.Source, Destination: c.Destination, Type: c.Type,
			FileInfo: &files.ContentFileInfo{Mode: c.FileInfo.Mode}})
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	return packager.Package(info, out)
}

func (s *snapshot) checksums() error {
	var list strings.Builder
	for _, name := range s.made {
		content, err := os.ReadFile(filepath.Join(s.dist, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), name)
	}
	return os.WriteFile(filepath.Join(s.dist, s.Checksum.NameTemplate), []byte(list.String()), 0o600)
}
