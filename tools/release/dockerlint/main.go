// Command dockerlint parses a Dockerfile and checks it with the rules of BuildKit, as
// docker build --check does, without a daemon and without asking a registry.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// anyImage answers that every image is there and says nothing of itself.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"os":"linux","architecture":"amd64","config":{"Env":["PATH=/usr/local/go/bin:/usr/bin:/bin"]}}`), nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerlint DOCKERFILE")
		os.Exit(2)
	}
	faults, err := lint(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "dockerlint:", err)
		os.Exit(1)
	}
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, fault)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
	fmt.Println(os.Args[1], "is parsed, and breaks no rule of BuildKit")
}

// lint is what is wrong with a file.
func lint(name string) (faults []string, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	source := llb.NewSourceMap(nil, name, "Dockerfile", text)
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(context.Background(), text, dockerfile2llb.ConvertOpt{
		MetaResolver: anyImage{}, SourceMap: source,
		Config: dockerui.Config{BuildArgs: map[string]string{}, BuildPlatforms: []ocispecs.Platform{{OS: "linux", Architecture: "amd64"}},
			TargetPlatforms: []ocispecs.Platform{{OS: "linux", Architecture: "amd64"}}},
	})
	if err != nil {
		return nil, err
	}
	if results.Error != nil {
		faults = append(faults, fmt.Sprintf("%s:%d: %s", name, line(&results.Error.Location), results.Error.Message))
	}
	for _, w := range results.Warnings {
		faults = append(faults, fmt.Sprintf("%s:%d: %s: %s", name, line(w.Location), w.RuleName, w.Detail))
	}
	return faults, nil
}

func line(at *pb.Location) int32 {
	if at == nil || len(at.Ranges) == 0 {
		return 0
	}
	return at.Ranges[0].Start.Line
}
