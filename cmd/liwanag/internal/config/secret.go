package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
)

const redacted = "[redacted]"

// Secret is a key or password. Printing, logging or marshaling it gives
// "[redacted]"; only [Secret.Reveal] gives the value.
type Secret struct{ value string }

// NewSecret makes a secret of a text; empty means none.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value itself, empty when there is none.
func (s Secret) Reveal() string { return s.value }

// IsSet says whether there is a value.
func (s Secret) IsSet() bool { return s.value != "" }

// Format prints "[redacted]" for every verb, nothing for no value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// String returns "[redacted]", or nothing for no value.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return redacted
}

// MarshalText returns what String does, for JSON as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Decode takes the value of a setting; kong calls it.
func (s *Secret) Decode(ctx *kong.DecodeContext) error {
	return ctx.Scan.PopValueInto("secret", &s.value)
}

// SecretFile is the path of a file that holds a secret: one line, readable by
// its owner or group only.
type SecretFile string

// maxSecret bounds a secret, in bytes.
const maxSecret = 64 << 10

// Read returns the secret in the file, without the line's end.
func (f SecretFile) Read() (Secret, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return Secret{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Secret{}, err
	}
	if err := refuseReadable(string(f), info); err != nil {
		return Secret{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return Secret{}, err
	}
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return Secret{}, fmt.Errorf("%s is empty", f)
	case len(raw) > maxSecret:
		return Secret{}, fmt.Errorf("%s is larger than %d bytes", f, maxSecret)
	case bytes.ContainsAny(raw, "\r\n\x00"):
		return Secret{}, fmt.Errorf("%s holds more than one line", f)
	}
	return Secret{string(raw)}, nil
}

// refuseReadable refuses a file with secrets that everybody on the machine may
// read, or that others than its owner may change.
func refuseReadable(path string, info os.FileInfo) error {
	if info.Mode().IsRegular() && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others on this machine may change %s\n  Try: chmod 600 %s", path, path)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		return fmt.Errorf("everybody on this machine may read %s\n  Try: chmod 600 %s", path, path)
	}
	return nil
}

// take reads the twin of a secret, if it names a file.
func (s *Secret) take(name, env string, file SecretFile) error {
	if file == "" {
		return nil
	}
	read, err := file.Read()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name+"-file", err)
	case s.value != "" && s.value != read.value:
		return errors.New(name + " and " + name + "-file are both set\n  Try: unset " + env + " or " + env + "_FILE")
	}
	*s = read
	return nil
}
