package telemetry

import (
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"regexp"
	"time"
)

// LogConfig configures a log. The zero value of every field but Out works.
type LogConfig struct {
	Out      io.Writer
	Level    string // debug, info (default), warn or error
	Format   string // text, json, or auto (default): text on a terminal, else json
	Terminal bool   // Out is one
}

// NewLogger returns the log. What it prints is chosen by type: numbers, texts,
// times, errors, words such as states, and types that write themselves as text (ids, addresses of
// machines); anything else, a subscriber or a raw body, is printed as the name of
// its type. Secrets print themselves as redacted. E-mail addresses within texts
// and errors are replaced as well. It fails for an unknown level or format.
func NewLogger(c LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if c.Level != "" {
		if err := level.UnmarshalText([]byte(c.Level)); err != nil {
			return nil, fmt.Errorf("log level %q: debug, info, warn or error", c.Level)
		}
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	switch c.Format {
	case "text":
		return slog.New(slog.NewTextHandler(c.Out, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.Out, options)), nil
	case "auto", "":
		if c.Terminal {
			return slog.New(slog.NewTextHandler(c.Out, options)), nil
		}
		return slog.New(slog.NewJSONHandler(c.Out, options)), nil
	}
	return nil, fmt.Errorf("log format %q: text, json or auto", c.Format)
}

// redact is the one place that decides what a log may hold.
func redact(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		return a
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(withoutAddresses(a.Value.String()))
	case slog.KindAny:
		a.Value = printable(a.Value.Any())
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}

func printable(value any) slog.Value {
	switch v := value.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(withoutAddresses(v.Error()))
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return slog.StringValue(fmt.Sprintf("[unprintable %T]", value))
		}
		return slog.StringValue(withoutAddresses(string(text)))
	}
	if word := reflect.ValueOf(value); word.Kind() == reflect.String { // a state or a reason
		return slog.StringValue(withoutAddresses(word.String()))
	}
	return slog.StringValue(fmt.Sprintf("[redacted %T]", value))
}

// address matches what looks like an e-mail address, in whatever alphabet.
var address = regexp.MustCompile(`[^\s"'<>()\[\]:,;@/=]+@[^\s"'<>()\[\]:,;@/=]+\.[^\s"'<>()\[\]:,;@/=]+`)

func withoutAddresses(text string) string { return address.ReplaceAllString(text, "[address]") }
