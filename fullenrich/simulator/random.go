package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// random returns a source that depends on the seed and the words alone, so
// that the same address always gives the same person, in any order of calls.
func random(seed int64, words ...string) *rand.Rand {
	sum := digest(seed, words)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}

// uuid is a version 4 UUID made of the seed and the words.
func uuid(seed int64, words ...string) string {
	sum := digest(seed, words)
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func digest(seed int64, words []string) [sha256.Size]byte {
	text := strconv.AppendInt(nil, seed, 10)
	for _, word := range words {
		text = append(append(text, 0), word...)
	}
	return sha256.Sum256(text)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
