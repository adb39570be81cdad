package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Bounds of attributes.
const (
	MaxAttributes     = 16  // of a run
	MaxAttributeKey   = 64  // bytes
	MaxAttributeValue = 200 // bytes
	// MaxAttributeFilters is how many attributes a [Query] may name.
	MaxAttributeFilters = 3
)

// ErrAttribute: an attribute that no runner takes.
var ErrAttribute = errors.New("workflow: an invalid attribute")

// ErrNoAttributes: the runner keeps attributes, and cannot find runs by them.
var ErrNoAttributes = errors.New("workflow: runs cannot be found by their attributes")

// Attributes are short facts by which runs are found, by key: an upload, a source, a
// customer's number. They are given at the start, as a [StartOption], or set by a step with
// [SetAttributes]. Never put personal data into them: they are shown in lists, are not
// encoded by a codec, and stay while the run is kept.
//
// A run has at most [MaxAttributes]. A key is 1 to [MaxAttributeKey] bytes without "=", a
// value 1 to [MaxAttributeValue]; both are UTF-8 without control characters.
type Attributes map[string]string

// StartOption is something that a run is started with beside its input: [Attributes].
type StartOption interface{ startWith(r *StartRequest) }

func (a Attributes) startWith(r *StartRequest) {
	if r.Attributes == nil {
		r.Attributes = Attributes{}
	}
	maps.Copy(r.Attributes, a)
}

// Validate says which attribute no runner takes: [ErrAttribute]. More than [MaxAttributes]
// are [ErrTooLarge].
func (a Attributes) Validate() error {
	if len(a) == 0 {
		return nil
	}
	for _, key := range a.Keys() {
		switch value := a[key]; {
		case !validID(key, MaxAttributeKey) || strings.Contains(key, "="):
			return fmt.Errorf("%w: the key %.80q: 1 to %d bytes of UTF-8 without = and control characters are needed", ErrAttribute,
				key, MaxAttributeKey)
		case !validID(value, MaxAttributeValue):
			return fmt.Errorf("%w: the value %.80q of %s: 1 to %d bytes of UTF-8 without control characters are needed", ErrAttribute,
				value, key, MaxAttributeValue)
		}
	}
	if len(a) > MaxAttributes {
		return fmt.Errorf("%w: a run has at most %d attributes, not %d", ErrTooLarge, MaxAttributes, len(a))
	}
	return nil
}

// Keys are the keys, sorted.
func (a Attributes) Keys() []string { return slices.Sorted(maps.Keys(a)) }

// Have says whether others are among the attributes.
func (a Attributes) Have(others Attributes) bool {
	for key, value := range others {
		if got, ok := a[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// ParseAttribute reads "key=value".
func ParseAttribute(text string) (key, value string, err error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", fmt.Errorf("%w: %.80q\n  Try: key=value", ErrAttribute, text)
	}
	return key, value, Attributes{key: value}.Validate()
}

// Setting is what attempts of a run set, for runners.
type Setting struct {
	mu  sync.Mutex
	set Attributes
}

// Take returns what was set since the last call; nil: nothing.
func (s *Setting) Take() Attributes {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set
	s.set = nil
	return set
}

// SetAttributes sets attributes of the run, in the commit of the outcome of the step that
// calls it: an attempt that fails sets none. One that the run has gets the new value. In a
// sub-run they are those of the sub-run. [ErrAttribute]; a step after which the run would
// have more than [MaxAttributes] fails with [CodeTooLarge].
func SetAttributes(ctx context.Context, a Attributes) error {
	c := callFrom(ctx)
	if c == nil || c.Setting == nil {
		return errors.New("workflow: attributes are set in a step")
	}
	if err := a.Validate(); err != nil {
		return err
	}
	c.Setting.mu.Lock()
	defer c.Setting.mu.Unlock()
	if c.Setting.set == nil {
		c.Setting.set = make(Attributes, len(a))
	}
	maps.Copy(c.Setting.set, a)
	return nil
}

// With are the attributes with others over them; an error with [CodeTooLarge] when they
// are too many for a run.
func (a Attributes) With(others Attributes) (Attributes, error) {
	all := maps.Clone(a)
	if all == nil {
		all = Attributes{}
	}
	maps.Copy(all, others)
	if len(all) > MaxAttributes {
		return nil, tooLarge("the run would have %d attributes, %d are allowed", len(all), MaxAttributes)
	}
	return all, nil
}

// ValidateFilters refuses a query by more attributes than a runner takes, or by such as
// no run has.
func (q Query) ValidateFilters() error {
	if len(q.Attributes) > MaxAttributeFilters {
		return fmt.Errorf("%w: runs are found by at most %d attributes, not %d", ErrAttribute, MaxAttributeFilters, len(q.Attributes))
	}
	return q.Attributes.Validate()
}
