package store

// packRoot is the stored form of the ID of a run that belongs to no other. An ID of the form prefix_UUID, with the
// prefix that stores know by heart ("run"), takes 16 bytes; any other is its
// text behind a zero byte, so that time-ordered IDs stay ordered and short and a
// library's user may still name runs as they like.
func packRoot(id string) []byte {
	if b, ok := packUUID(id); ok {
		return b
	}
	b := append([]byte{0}, id...)
	if len(b) == 16 {
		b = append(b, 0)
	}
	return b
}

// unpackRoot is the inverse of packRoot.
func unpackRoot(b []byte) string {
	if len(b) == 16 {
		return unpackUUID(b)
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) == 17 && b[16] == 0 {
		b = b[:16]
	}
	return string(b[1:])
}

const (
	idPrefix = "run_"
	hexits   = "0123456789abcdef"
)

func packUUID(id string) ([]byte, bool) {
	if len(id) != len(idPrefix)+36 || id[:len(idPrefix)] != idPrefix {
		return nil, false
	}
	text := id[len(idPrefix):]
	b := make([]byte, 0, 16)
	for i := 0; i < len(text); {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return nil, false
			}
			i++
			continue
		}
		hi, lo := unhex(text[i]), unhex(text[i+1])
		if hi > 15 || lo > 15 {
			return nil, false
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return b, len(b) == 16
}

func unpackUUID(b []byte) string {
	out := make([]byte, 0, len(idPrefix)+36)
	out = append(out, idPrefix...)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexits[c>>4], hexits[c&15])
	}
	return string(out)
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
