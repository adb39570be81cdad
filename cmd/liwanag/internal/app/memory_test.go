package app

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryFollowsTheControlGroup(t *testing.T) {
	for name, tc := range map[string]struct {
		groups string
		files  map[string]string
		want   int64
	}{
		"none":              {"0::/\n", nil, 0},
		"version 2":         {"0::/a/b\n", map[string]string{"a/b/memory.max": "200\n", "a/memory.max": "max\n"}, 200},
		"a group above":     {"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "150\n"}, 150},
		"in a container":    {"0::/\n", map[string]string{"memory.max": "100\n"}, 100},
		"version 1":         {"9:memory:/x\n8:pids:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "300\n"}, 300},
		"version 1 without": {"9:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"another's":         {"8:pids:/x\n", map[string]string{"memory/x/memory.limit_in_bytes": "300\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range tc.files {
				at := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			groups := filepath.Join(dir, "groups")
			if err := os.WriteFile(groups, []byte(tc.groups), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := groupMemory(groups, dir); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
	if got := groupMemory("/does/not/exist", t.TempDir()); got != 0 {
		t.Errorf("without groups: %d", got)
	}
}
