package app

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory is what the process may have, in bytes: GOMEMLIMIT, or else nine tenths
// of what its control group has, which becomes the limit of the collector. 0: none.
func LimitMemory() int64 {
	if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 {
		return set
	}
	limit := groupMemory("/proc/self/cgroup", "/sys/fs/cgroup") / 10 * 9
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// groupMemory is the least that the process's control group and those above it may
// have, of version 2 or 1; 0: there is no limit, or no group.
func groupMemory(groups, mounted string) (least int64) {
	named, err := os.ReadFile(groups) // #nosec G304 -- a file of the kernel
	if err != nil {
		return 0 // another system
	}
	for _, line := range strings.Split(string(named), "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, group, ok := strings.Cut(rest, ":")
		root, file := mounted, "memory.max"
		switch {
		case !ok || controllers != "" && controllers != "memory":
			continue
		case controllers == "memory":
			root, file = path.Join(mounted, "memory"), "memory.limit_in_bytes"
		}
		for {
			if limit := readLimit(path.Join(root, group, file)); limit > 0 && (least == 0 || limit < least) {
				least = limit
			}
			if group == "/" || group == "." || group == "" {
				break
			}
			group = path.Dir(group)
		}
	}
	return least
}

// unlimited is about what version 1 says where there is no limit.
const unlimited = 1 << 60

func readLimit(file string) int64 {
	raw, err := os.ReadFile(file) // #nosec G304 G703 -- the kernel says the path, and a number is all that is read
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
	if err != nil || n >= unlimited {
		return 0 // "max"
	}
	return n
}
