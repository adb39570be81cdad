package fullenrich

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is an API key. Printing, logging or marshaling it gives "[redacted]";
// only [Secret.Reveal] gives the key.
//
// Two things are beyond a type's reach: fmt calls no methods on unexported
// struct fields, so keep a Secret in an exported field or inside a closure, as
// [Client] does; and encoding/json none on the keys of a map.
type Secret string

// Reveal returns the key itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format prints "[redacted]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns "[redacted]", for JSON as well.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Private is data as FullEnrich sent it, which may name people. It prints as
// "[redacted]"; convert it to []byte to read it.
type Private []byte

// String returns "[redacted]".
func (Private) String() string { return redacted }

// GoString returns "[redacted]".
func (Private) GoString() string { return redacted }

// Format prints "[redacted]" for every verb.
func (Private) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns "[redacted]", for JSON as well.
func (Private) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (Private) LogValue() slog.Value { return slog.StringValue(redacted) }
