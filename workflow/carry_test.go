//lint:file-ignore U1000 fields that nobody reads are what these tests are about

package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

type (
	hidden struct{ n int }
	dashed struct {
		A int `json:"-"`
		B int `json:"-"`
	}
	base  struct{ Name string }
	outer struct {
		base
		N int
	}
	lent       struct{ hidden }
	byPtr      struct{ *base }
	tree       struct{ Left, Right *tree }
	box[T any] struct{ Value T }
	shape      interface{ Area() float64 }
	drawing    struct{ Shapes []shape }
	decoded    struct{ Shape shape }
	value      struct{ n int }
	pointer    struct{ n int }
	half       struct{ n int }
	mixed      struct {
		N  int
		mu sync.Mutex
	}
	left    struct{ Name, ID string }
	bothIDs struct {
		base
		left
	}
	ownName struct {
		base
		left
		Name string
	}
	oneTagged struct {
		N int
		M int `json:"N"`
	}
	keyed  struct{ n int }
	locked struct {
		sync.Mutex
		N int
	}
	nested struct {
		ID     string
		Hidden hidden
	}
	tagged struct {
		base `json:"base"`
	}
)

func (v value) MarshalJSON() ([]byte, error)    { return json.Marshal(v.n) }
func (v *value) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &v.n) }

func (p *pointer) MarshalJSON() ([]byte, error)   { return json.Marshal(p.n) }
func (p *pointer) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &p.n) }

func (h half) MarshalJSON() ([]byte, error) { return json.Marshal(h.n) }

func (d *decoded) UnmarshalJSON([]byte) error { return nil }

func (k keyed) MarshalText() ([]byte, error)     { return fmt.Append(nil, k.n), nil }
func (k *keyed) UnmarshalText(text []byte) error { _, err := fmt.Sscan(string(text), &k.n); return err }

// outputFaults are the faults of a definition with a step that yields a T.
func outputFaults[T any]() string {
	wf := workflow.New[in]("w")
	workflow.Step(wf, "a", func(context.Context, in) (out T, err error) { return out, nil })
	return strings.Join(faults(wf.Plan()), "\n")
}

func TestTypesThatJSONCannotCarryAreFaults(t *testing.T) {
	for want, got := range map[string]string{
		"chan int is a chan":                                    outputFaults[chan int](),
		"box[func()].Value is a func":                           outputFaults[box[func()]](),
		"[][]chan string[][] is a chan":                         outputFaults[[][]chan string](),
		"map[string]complex128[] is a complex128":               outputFaults[map[string]complex128](),
		"error is the interface error":                          outputFaults[error](),
		"drawing.Shapes[] is the interface workflow_test.shape": outputFaults[drawing](),
		"hidden is a struct of which JSON shows no field":       outputFaults[hidden](),
		"dashed is a struct of which JSON shows no field":       outputFaults[dashed](),
		"lent is a struct of which JSON shows no field":         outputFaults[*lent](),
		"nested.Hidden is a struct of which":                    outputFaults[nested](),
		"half is a struct of which JSON shows no field":         outputFaults[half](),
		"byPtr.base is an embedded pointer":                     outputFaults[byPtr](),
		"is a map with keys of type float64":                    outputFaults[map[float64]string](),
		"is a map with keys of type workflow_test.base":         outputFaults[box[map[base]int]](),
		"pointer[] is a struct of which":                        outputFaults[map[string]pointer](),
		".Value[] has several fields that JSON calls":           outputFaults[box[[]bothIDs]](),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the faults are %q, want %q in them", got, want)
		}
	}
}

func TestWhatJSONCarriesIsTaken(t *testing.T) {
	for what, got := range map[string]string{
		"nothing":                       outputFaults[struct{}](),
		"any":                           outputFaults[any](),
		"maps of any":                   outputFaults[map[string]any](),
		"lists of maps of any":          outputFaults[[]map[string]any](),
		"an embedded struct":            outputFaults[outer](),
		"an embedded struct with a tag": outputFaults[tagged](),
		"a type that contains itself":   outputFaults[tree](),
		"a generic type":                outputFaults[box[map[int]*tree]](),
		"a time":                        outputFaults[time.Time](),
		"raw JSON":                      outputFaults[json.RawMessage](),
		"a URL":                         outputFaults[*url.URL](),
		"an address":                    outputFaults[netip.Addr](),
		"a large number":                outputFaults[big.Int](),
		"methods of the value":          outputFaults[map[string]value](),
		"methods of the pointer":        outputFaults[pointer](),
		"a list of those":               outputFaults[[]pointer](),
		"a pointer to a pointer":        outputFaults[**pointer](),
		"an interface with a decoder":   outputFaults[decoded](),
		"keys with a text":              outputFaults[map[keyed]int](),
		"unexported fields beside":      outputFaults[*mixed](),
		"an embedded lock":              outputFaults[*locked](),
		"bytes":                         outputFaults[[]byte](),
		"a field over embedded ones":    outputFaults[ownName](),
		"a field whose tag wins":        outputFaults[oneTagged](),
	} {
		if got != "" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestInputsAndEventsAreKeptAsJSONToo(t *testing.T) {
	wf := workflow.New[chan int]("w")
	workflow.WaitFor(wf, "a", workflow.Event[func()]{Name: "alpha"}, time.Hour)
	workflow.WaitForAny(wf, "b", time.Hour, []workflow.AnyEvent{workflow.Event[int]{Name: "beta"}})
	workflow.WaitFor(wf, "c", workflow.Event[string]{Name: "beta"}, time.Hour)
	got := strings.Join(faults(wf.Plan()), "\n")
	for _, want := range []string{`workflow "w": the input cannot be kept as JSON: chan int is a chan`,
		`step "a": the payload of event "alpha" cannot be kept as JSON: func() is a func`,
		`step "c": the event "beta" has the payload string, and int in an earlier wait`} {
		if !strings.Contains(got, want) {
			t.Errorf("the faults are %q, want %q in them", got, want)
		}
	}
}

func TestOutputsWithMethodsOfTheirPointerAreStored(t *testing.T) {
	wf := workflow.New[in]("w")
	workflow.Step(wf, "a", func(context.Context, in) (pointer, error) { return pointer{7}, nil })
	n, _ := wf.Plan().Node("a")
	if out, err := n.Invoke(t.Context(), workflow.Call{RunID: "run", Attempt: 1, Input: json.RawMessage(`{}`)}); err != nil ||
		string(out) != "7" {
		t.Errorf("the output is %s, %v", out, err)
	}
}
