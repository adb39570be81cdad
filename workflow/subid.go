package workflow

import (
	"strconv"
	"strings"
)

// SubRunID is the id of a sub-run: that of the run around it, a slash, the step, behind a
// tilde how often what stands before the step was done anew, if it was, and the index in
// brackets: order-1/load[3]. It names a run wherever an id does.
func SubRunID(parent, step string, generation, index int) string {
	return parent + "/" + SubRunKey(step, generation) + "[" + strconv.Itoa(index) + "]"
}

// The characters that part an id are escaped in the names of steps.
var (
	stepParts   = strings.NewReplacer("%", "%25", "/", "%2F", "[", "%5B", "~", "%7E")
	stepUnparts = strings.NewReplacer("%25", "%", "%2F", "/", "%5B", "[", "%7E", "~")
)

// SubRunKey is what the ids of a step's sub-runs have between slash and bracket.
func SubRunKey(step string, generation int) string {
	key := stepParts.Replace(step)
	if generation > 0 {
		key += "~" + strconv.Itoa(generation)
	}
	return key
}

// SplitRunID is the inverse of SubRunID; ok is false of an id that is of no sub-run. No
// run can be started with the id of a sub-run.
func SplitRunID(id string) (parent, step string, generation, index int, ok bool) {
	open := strings.LastIndexByte(id, '[')
	slash := strings.LastIndexByte(id[:max(open, 0)], '/')
	if slash <= 0 || slash+1 == open || id[len(id)-1] != ']' {
		return "", "", 0, 0, false
	}
	index, ok = number(id[open+1 : len(id)-1])
	step, behind, again := strings.Cut(id[slash+1:open], "~")
	if again && ok {
		generation, ok = number(behind)
		ok = ok && generation > 0
	}
	if !ok || step == "" {
		return "", "", 0, 0, false
	}
	return id[:slash], stepUnparts.Replace(step), generation, index, true
}

// number is a number as SubRunID writes it.
func number(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= 1<<31-1 && strconv.Itoa(n) == text
}
