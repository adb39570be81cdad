package store

import (
	"encoding/binary"
	"strconv"

	"github.com/liwanag/liwanag/workflow"
)

// levelEnd ends a root and each name in a packed id of a sub-run; no id has such a byte.
const levelEnd = 1

// PackID is the stored form of a run ID: of a root (see packRoot), then, of a sub-run,
// the depth, and of each level the step and the index. So the sub-runs of a step are one
// range, in order and with nothing between, a run stands before all that are below it,
// and all below a root are one range.
func PackID(id string) []byte {
	parent, step, generation, index, ok := workflow.SplitRunID(id)
	if !ok {
		return packRoot(id)
	}
	b := binary.BigEndian.AppendUint32(subPrefix(parent, step, generation), uint32(index)) // #nosec G115 -- see workflow.SplitRunID
	if len(b) == 16 {                                                                      // which is how long those of a UUID are
		b = append(b, 0)
	}
	return b
}

// subPrefix is what the packed ids of a step's sub-runs begin with.
func subPrefix(parent, step string, generation int) []byte {
	root, depth, path := pathOf(parent)
	b := append(root, levelEnd, byte(depth+1)) // #nosec G115 -- at most maxDepth
	b = append(b, path...)
	b = append(b, workflow.SubRunKey(step, generation)...)
	return append(b, levelEnd)
}

// pathOf takes an id apart: the packed root, the depth, and the packed levels.
func pathOf(id string) (root []byte, depth int, path []byte) {
	parent, step, generation, index, ok := workflow.SplitRunID(id)
	if !ok {
		return packRoot(id), 0, nil
	}
	root, depth, path = pathOf(parent)
	path = append(append(path, workflow.SubRunKey(step, generation)...), levelEnd)
	return root, depth + 1, binary.BigEndian.AppendUint32(path, uint32(index)) // #nosec G115 -- see workflow.SplitRunID
}

// RootOf is the packed id of the run that a run belongs to in the end: its own, of one
// that belongs to none.
func RootOf(id string) []byte {
	root, _, _ := pathOf(id)
	return root
}

// SubRange are the packed ids of a step's sub-runs from an index on: From is one of
// them, To is none.
func SubRange(parent, step string, generation, index int) (from, to []byte) {
	prefix := subPrefix(parent, step, generation)
	first := append([]byte(nil), prefix...)
	return binary.BigEndian.AppendUint32(first, uint32(index)), after(prefix) // #nosec G115 -- see workflow.SplitRunID
}

// ChildRange holds the packed ids of a run's sub-runs, those of its steps one after the
// other, and none that is further below.
func ChildRange(id string) (from, to []byte) {
	root, depth, path := pathOf(id)
	from = append(append(root, levelEnd, byte(depth+1)), path...) // #nosec G115 -- at most maxDepth
	return from, after(from)
}

// maxDepth is how deep sub-runs may lie.
const maxDepth = 8

// Below are the ranges of the packed ids of all that is below a run: one of a root, of a
// sub-run one a level.
func Below(id string) (ranges [][2][]byte) {
	root, depth, path := pathOf(id)
	if depth == 0 {
		from := append(root, levelEnd)
		return [][2][]byte{{from, after(from)}}
	}
	for d := depth + 1; d <= maxDepth; d++ {
		// #nosec G115 -- at most maxDepth
		from := append(append(root[:len(root):len(root)], levelEnd, byte(d)), path...)
		ranges = append(ranges, [2][]byte{from, after(from)})
	}
	return ranges
}

// after is the first key that does not begin with the prefix.
func after(prefix []byte) []byte {
	b := append([]byte(nil), prefix...)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return b
}

// UnpackID is the inverse of PackID.
func UnpackID(b []byte) string {
	n := 16 // where the root ends
	if len(b) < 16 || b[0] == 0 && len(b) != 16 {
		for n = 1; n < len(b) && b[n] != levelEnd; n++ {
		}
	}
	if n >= len(b) || b[n] != levelEnd {
		return unpackRoot(b)
	}
	id := unpackRoot(b[:n])
	for b = b[min(n+2, len(b)):]; len(b) > 0; {
		end := 0
		for end < len(b) && b[end] != levelEnd {
			end++
		}
		if len(b) < end+5 {
			return id
		}
		id += "/" + string(b[:end]) + "[" + strconv.Itoa(int(binary.BigEndian.Uint32(b[end+1:]))) + "]"
		b = b[end+5:]
	}
	return id
}
