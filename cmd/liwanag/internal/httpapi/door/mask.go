package door

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// address is what looks like an e-mail address in a text, also in one of a URL.
var address = regexp.MustCompile("[^\\s\"'<>(),;:/?&=@]+(@|%40)([^\\s\"'<>(),;:/?&=@]+)")

// hidden stands for the part of an address before its domain.
const hidden = "•••"

// masked is an answer without e-mail addresses, wherever in it they are: a field that
// is added tomorrow tells none either.
func masked(v any) (any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("httpapi: an answer cannot be encoded: %w", err)
	}
	var all any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("httpapi: an answer cannot be read again: %w", err)
	}
	return maskedIn(all), nil
}

func maskedIn(v any) any {
	switch one := v.(type) {
	case string:
		return address.ReplaceAllString(one, hidden+"$1$2")
	case []any:
		for i := range one {
			one[i] = maskedIn(one[i])
		}
	case map[string]any:
		shown := make(map[string]any, len(one))
		for name, value := range one {
			shown[address.ReplaceAllString(name, hidden+"$1$2")] = maskedIn(value)
		}
		return shown
	}
	return v
}
