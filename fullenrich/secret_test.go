package fullenrich

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsNeverPrint(t *testing.T) {
	const hidden = "hunter2"
	client, err := New(Config{Key: hidden})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Key: hidden}
	values := map[string]any{
		"secret": Secret(hidden), "pointer": &config.Key, "list": []Secret{hidden}, "map": map[string]Secret{"k": hidden},
		"config": config, "config pointer": &config, "client": client, "client value": *client,
		"private": Private(hidden), "error": &Error{Answer: Private(hidden)}, "error value": Error{Answer: Private(hidden)},
		"holder": struct{ C *Client }{client},
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s"} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, hidden) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", hidden)) {
				t.Errorf("%s with %s: %s", name, verb, text)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", value)
		encoded, _ := json.Marshal(value)
		// The JSON of bytes would be base64.
		for _, form := range []string{hidden, "aHVudGVyMg"} {
			if strings.Contains(log.String()+string(encoded), form) {
				t.Errorf("%s: logged %s, encoded %s", name, log.String(), encoded)
			}
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s %q", config.Key, config.Key, config.Key, config.Key,
		config.Key); got != strings.TrimSpace(strings.Repeat(redacted+" ", 5)) {
		t.Errorf("printed %s", got)
	}
	if config.Key.Reveal() != hidden || string(Private(hidden)) != hidden {
		t.Error("the value itself is gone")
	}
}
