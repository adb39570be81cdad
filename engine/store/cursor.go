package store

import (
	"encoding/base64"
	"encoding/binary"
)

// Cursor stands for the place behind the last run of a page: when that was created, and
// its packed id.
func Cursor(last Run) string {
	var micros int64
	if !last.CreatedAt.IsZero() {
		micros = last.CreatedAt.UnixMicro()
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(micros))
	return base64.RawURLEncoding.EncodeToString(append(b, PackID(last.ID)...))
}

// ParseCursor is the inverse of Cursor: when the last run was created, in microseconds
// since 1970, and its packed id. ErrCursor.
func ParseCursor(cursor string) (at int64, id []byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 9 {
		return 0, nil, ErrCursor
	}
	return int64(binary.BigEndian.Uint64(b)), b[8:], nil // #nosec G115 -- the bits come back as they went
}
