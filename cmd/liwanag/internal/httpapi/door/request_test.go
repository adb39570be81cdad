package door

import (
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

func TestAnIntegerWithoutBoundsIsRefusedForWhatItIs(t *testing.T) {
	ten := 10.0
	for name, c := range map[string]struct {
		schema      huma.Schema
		value, want string
	}{
		"no number":         {huma.Schema{}, "x", "it is no number from -9007199254740991 to 9007199254740991"},
		"beyond exact ones": {huma.Schema{}, "9007199254740993", "it is no number from -9007199254740991 to 9007199254740991"},
		"one bound":         {huma.Schema{Minimum: &ten}, "9", "it is no number from 10 to 9007199254740991"},
		"fine":              {huma.Schema{Maximum: &ten}, "-3", ""},
	} {
		c.schema.Type = huma.TypeInteger
		if got := checkValue(&c.schema, c.value); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
