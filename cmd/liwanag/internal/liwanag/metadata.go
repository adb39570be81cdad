package liwanag

import "encoding/json"

// MergeMetadata puts the members of the object b into the object a, at the top
// level; either may be empty. An error of class Invalid when one is no object.
func MergeMetadata(a, b json.RawMessage) (json.RawMessage, error) {
	switch {
	case len(b) == 0:
		return a, nil
	case len(a) == 0:
		return b, nil
	}
	merged := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{a, b} {
		if err := json.Unmarshal(object, &merged); err != nil {
			return nil, NewError(Invalid, "invalid_metadata", "metadata is not a JSON object")
		}
	}
	return json.Marshal(merged)
}
