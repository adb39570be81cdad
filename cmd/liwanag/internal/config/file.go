package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// File is the flag that names the configuration file: YAML whose keys are the
// long names of flags, without the hyphens before them.
//
//	Config config.File `name:"config" env:"LIWANAG_CONFIG" placeholder:"FILE" help:"…"`
type File string

// BeforeResolve reads the file; kong calls it.
func (f File) BeforeResolve(_ *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(File)
	if path == "" {
		return nil
	}
	values, err := readFile(string(path))
	if err != nil {
		return err
	}
	ctx.AddResolver(values)
	return nil
}

// Options make kong refuse secrets among the arguments, where everybody on the
// machine can see them.
func Options() []kong.Option { return []kong.Option{kong.WithAfterApply(refuseSecretFlags)} }

func refuseSecretFlags(ctx *kong.Context) error {
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Resolved || p.Flag.Target.Type() != reflect.TypeFor[Secret]() && !holdsPassword(p.Flag.Target.String()) {
			continue
		}
		return fmt.Errorf("--%s on the command line can be seen by everybody on this machine\n  Try: %s, or --%s-file",
			p.Flag.Name, strings.Join(p.Flag.Envs, " or "), p.Flag.Name)
	}
	return nil
}

// values are the settings of a file by name, as text.
type values map[string]string

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

func readFile(path string) (values, error) {
	file, err := os.Open(path) // #nosec G304 -- the file that the operator names
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("config %s: the file is larger than %d bytes", path, maxFile)
	}
	found, secret, err := parse(raw)
	if err == nil && secret {
		err = refuseReadable(path, info)
	}
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", path, err)
	}
	return found, nil
}

// parse reads all settings or names every fault; secret says whether a secret is
// among them. A fault never repeats a value.
func parse(raw []byte) (found values, secret bool, err error) {
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(raw, &nodes); err != nil {
		return nil, false, errors.New("the file is not a YAML mapping of settings\n  Try: lines of the form batch-size: 100")
	}
	kinds := settingKinds()
	found = values{}
	var faults []error
	for name, node := range nodes {
		kind, known := kinds[name]
		text, scalar := textOf(node)
		switch {
		case !known:
			faults = append(faults, unknownKey(name, node.Line, kinds))
		case !scalar:
			faults = append(faults, fmt.Errorf("line %d: %s needs one value", node.Line, name))
		default:
			found[name] = text
			secret = secret || kind == reflect.TypeFor[Secret]() && text != "" || holdsPassword(text)
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return found, secret, errors.Join(faults...)
}

// textOf is a scalar as it is written, or a list of them joined by commas.
func textOf(node yaml.Node) (string, bool) {
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", true
		}
		return node.Value, true
	case yaml.SequenceNode:
		var parts []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

func unknownKey(name string, line int, kinds map[string]reflect.Type) error {
	try := "liwanag serve --help lists the settings"
	plain := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
	for _, candidate := range []string{plain, strings.TrimPrefix(plain, "liwanag-")} {
		if _, ok := kinds[candidate]; ok {
			try = candidate
		}
	}
	return fmt.Errorf("line %d: unknown setting %q\n  Try: %s", line, name, try)
}

// settingKinds are the names of all settings, with their types.
func settingKinds() map[string]reflect.Type {
	kinds := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if !field.Anonymous {
			kinds[field.Tag.Get("name")] = field.Type
		}
	}
	return kinds
}

// Validate accepts every grammar: the file may hold settings of other commands.
func (values) Validate(*kong.Application) error { return nil }

// Resolve gives a flag's value, unless the environment has one: that wins.
func (v values) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	text, ok := v[flag.Name]
	if !ok || text == "" {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	return text, nil
}
