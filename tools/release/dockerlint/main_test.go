package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatBreaksARuleIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"FROM golang:1.26 AS build\nFROM scratch\nCOPY --from=build /bin/true /true\nENTRYPOINT [\"/true\"]\n": "",
		"from golang:1.26 AS build\nRUN true\n":                         "ConsistentInstructionCasing",
		"FROM golang:1.26 AS build\nENTRYPOINT liwanag serve\n":         "JSONArgsRecommended",
		"FROM golang:1.26 AS build\nENV API_KEY=secret\n":               "SecretsUsedInArgOrEnv",
		"FROM golang:1.26 AS build\nCOPY --from=nowhere /x /y\nNO\n":    "unknown instruction",
		"FROM golang:1.26 AS build\nRUN --mount=type=nonsense,x true\n": "unsupported mount type",
	} {
		name := filepath.Join(t.TempDir(), "Dockerfile")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		faults, err := lint(name)
		if all := strings.Join(faults, "\n"); err != nil || (want == "") != (len(faults) == 0) || !strings.Contains(all, want) {
			t.Errorf("%q: %v, %q, want %q", text, err, all, want)
		}
	}
}
