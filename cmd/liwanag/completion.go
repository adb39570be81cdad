package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints a completion script.
func (c *completionCommand) Run(p *program) error {
	parser, err := newParser(&grammar{}, p)
	if err != nil {
		return err
	}
	paths := map[string][]string{}
	collect(parser.Model.Node, "", paths)
	_, err = fmt.Fprint(p.out, completionScript(c.Shell, paths))
	return err
}

// collect gathers what may follow each path of commands.
func collect(n *kong.Node, path string, paths map[string][]string) {
	var words []string
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			words = append(words, child.Name)
			collect(child, strings.TrimSpace(path+" "+child.Name), paths)
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, flag := range group {
			words = append(words, "--"+flag.Name)
		}
	}
	paths[path] = words
}

// completionScript is a function that walks the words typed so far along the
// commands, then offers what may follow.
func completionScript(shell string, paths map[string][]string) string {
	names := slices.Sorted(maps.Keys(paths))
	var commands []string
	for _, path := range names {
		if path != "" {
			commands = append(commands, `"`+path+`"`)
		}
	}
	switch shell {
	case "fish":
		return fishScript(names, commands, paths)
	case "zsh":
		return "#compdef liwanag\n# Try: liwanag completion zsh > \"${fpath[1]}/_liwanag\"\n" +
			shScript(`"${(@)words[2,CURRENT-1]}"`, `compadd -- %s || _files`, names, commands, paths) +
			"if [ \"$funcstack[1]\" = \"_liwanag\" ]; then _liwanag \"$@\"; else compdef _liwanag liwanag; fi\n"
	}
	return "# Try: liwanag completion bash > ~/.local/share/bash-completion/completions/liwanag\n" +
		shScript(`"${COMP_WORDS[@]:1:COMP_CWORD-1}"`, `COMPREPLY=($(compgen -W "%s" -- "${COMP_WORDS[COMP_CWORD]}"))`, names, commands, paths) +
		"complete -o default -F _liwanag liwanag\n"
}

// shScript is the function for bash and zsh; typed are the words before the
// cursor, offer takes what may follow.
func shScript(typed, offer string, names, commands []string, paths map[string][]string) string {
	var b strings.Builder
	b.WriteString("_liwanag() {\n  local at=\"\" word\n")
	fmt.Fprintf(&b, "  for word in %s; do\n", typed)
	b.WriteString("    case \"${at:+$at }$word\" in\n")
	fmt.Fprintf(&b, "      %s) at=\"${at:+$at }$word\" ;;\n", strings.Join(commands, "|"))
	b.WriteString("    esac\n  done\n  case \"$at\" in\n")
	for _, path := range names {
		fmt.Fprintf(&b, "    \"%s\") "+offer+" ;;\n", path, strings.Join(paths[path], " "))
	}
	b.WriteString("  esac\n}\n")
	return b.String()
}

func fishScript(names, commands []string, paths map[string][]string) string {
	var b strings.Builder
	b.WriteString(`# Try: liwanag completion fish > ~/.config/fish/completions/liwanag.fish
function __liwanag_words
    set -l at
    set -l words (commandline -opc)
    set -e words[1]
    for word in $words
        set -l longer (string trim -- "$at $word")
`)
	fmt.Fprintf(&b, "        contains -- $longer %s; and set at $longer\n", strings.Join(commands, " "))
	b.WriteString("    end\n    switch \"$at\"\n")
	for _, path := range names {
		fmt.Fprintf(&b, "        case \"%s\"\n            printf '%%s\\n' %s\n", path, strings.Join(paths[path], " "))
	}
	b.WriteString("    end\nend\ncomplete -c liwanag -a '(__liwanag_words)'\n")
	return b.String()
}
