package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Shape is what of a plan decides where a run stands and what its stored values mean:
// the names, kinds and order of nodes, what conditions read, their labels, the events,
// and the types of inputs, outputs and payloads as JSON shows them. Functions, retries,
// timeouts and schedules are no part of it. Two definitions of one name and version with
// one shape are one to the runs that are under way.
type Shape struct {
	Input  string            `json:"input"`
	Nodes  []NodeShape       `json:"nodes"` // in order, handlers last
	Events map[string]string `json:"events,omitempty"`
}

// NodeShape is the part of a [Shape] that is a node.
type NodeShape struct {
	Name   string   `json:"name"`
	Kind   Kind     `json:"kind"`
	On     string   `json:"on,omitempty"` // the step whose output the condition sees
	Label  string   `json:"label,omitempty"`
	Test   string   `json:"test,omitempty"`  // what a condition asks, of one that is no If
	Until  string   `json:"until,omitempty"` // the step whose output gives a wait or sleep its end
	Events []string `json:"events,omitempty"`
	All    bool     `json:"all,omitempty"`
	Output string   `json:"output,omitempty"`
	// FailsWith is the code of an early end that fails the run.
	FailsWith string `json:"failsWith,omitempty"`
	// Over is the step whose output a map goes over, and Bodies are what sub-runs are of.
	Over   string      `json:"over,omitempty"`
	Bodies []BodyShape `json:"bodies,omitempty"`
}

// BodyShape is the part of a [Shape] that is a body of a node.
type BodyShape struct {
	Branch string `json:"branch,omitempty"` // its name
	Child  string `json:"child,omitempty"`  // of a definition of its own: which; else its shape
	Shape  *Shape `json:"shape,omitempty"`
}

// bodies are the shapes of a node's bodies.
func (s *Sub) bodies() (all []BodyShape) {
	for i, b := range s.Bodies {
		one := BodyShape{}
		if i < len(s.Branches) {
			one.Branch = s.Branches[i]
		}
		if s.Own {
			one.Child = fmt.Sprintf("%s version %d", b.Name, b.Version)
		} else {
			shape := b.Shape()
			one.Shape = &shape
		}
		all = append(all, one)
	}
	return all
}

// differs says what is another in the bodies of a node.
func (n NodeShape) differs(before NodeShape) (words []string) {
	if len(n.Bodies) != len(before.Bodies) {
		return []string{fmt.Sprintf("%q had %d bodies and has %d", n.Name, len(before.Bodies), len(n.Bodies))}
	}
	for i, b := range n.Bodies {
		old, where := before.Bodies[i], fmt.Sprintf("the body of %q", n.Name)
		if b.Branch != "" {
			where = fmt.Sprintf("the branch %q of %q", b.Branch, n.Name)
		}
		switch {
		case b.Branch != old.Branch:
			words = append(words, fmt.Sprintf("%s was %q", where, old.Branch))
		case b.Child != old.Child || (b.Shape == nil) != (old.Shape == nil):
			words = append(words, fmt.Sprintf("%s was %q and is %q", where, old.Child, b.Child))
		case b.Shape != nil:
			for _, w := range b.Shape.Differs(*old.Shape) {
				words = append(words, "in "+where+" "+w)
			}
		}
	}
	return words
}

// shapeOf is what conditions read, are called and ask: several in order.
func shapeOf(conditions []*Condition) (on, label, test string) {
	var ons, labels, tests []string
	for _, c := range conditions {
		ons, labels, tests = append(ons, c.On), append(labels, c.Label), append(tests, c.Test)
	}
	return strings.Join(ons, "; "), strings.Join(labels, "; "), strings.Trim(strings.Join(tests, ";"), ";")
}

// Shape is the shape of the plan.
func (p *Plan) Shape() Shape {
	s := Shape{Input: typeShape(p.input, nil), Events: map[string]string{}}
	for _, n := range append(slices.Clip(p.Nodes), p.Handlers()...) {
		shape := NodeShape{Name: n.Name, Kind: n.Kind, All: n.All}
		shape.On, shape.Label, shape.Test = shapeOf(n.Conditions)
		shape.FailsWith = n.FailsWith
		if n.until != nil {
			shape.Until = n.until.on
		}
		if n.Sub != nil && !n.Undoes() {
			shape.Over, shape.Bodies = n.Sub.Over, n.Sub.bodies()
		}
		if n.yields != nil && n.Kind != KindWait { // which yields its events
			shape.Output = typeShape(n.yields, nil)
		}
		for _, e := range n.Events {
			shape.Events = append(shape.Events, e.EventName())
			s.Events[e.EventName()] = "any"
			if t, typed := p.payloads[e.EventName()]; typed {
				s.Events[e.EventName()] = typeShape(t, nil)
			}
		}
		s.Nodes = append(s.Nodes, shape)
	}
	return s
}

// Differs says in words what is another in the shape than in the one before; nil when
// they are one.
func (s Shape) Differs(before Shape) (words []string) {
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	was := func(what, before, now string) {
		if before != now {
			say("%s was %.200s and is %.200s", what, before, now)
		}
	}
	was("the input", before.Input, s.Input)
	var kept, keeps []string
	for _, n := range before.Nodes {
		if _, ok := s.node(n.Name); !ok {
			say("%s %q is gone", n.Kind, n.Name)
			continue
		}
		kept = append(kept, n.Name)
	}
	for _, n := range s.Nodes {
		old, ok := before.node(n.Name)
		if !ok {
			say("%s %q is new", n.Kind, n.Name)
			continue
		}
		keeps = append(keeps, n.Name)
		was(fmt.Sprintf("%q", n.Name), "a "+string(old.Kind), "a "+string(n.Kind))
		was(fmt.Sprintf("the condition of %q", n.Name), old.condition(), n.condition())
		was(fmt.Sprintf("what %q waits for", n.Name), old.waits(), n.waits())
		was(fmt.Sprintf("what %q lasts until", n.Name), old.Until, n.Until)
		was(fmt.Sprintf("the code that %q fails with", n.Name), old.FailsWith, n.FailsWith)
		was(fmt.Sprintf("the output of %q", n.Name), old.Output, n.Output)
		was(fmt.Sprintf("what %q goes over", n.Name), old.Over, n.Over)
		words = append(words, n.differs(old)...)
	}
	for i := range kept {
		if kept[i] != keeps[i] {
			say("the order is %q and was %q", keeps, kept)
			break
		}
	}
	for _, event := range slices.Sorted(maps.Keys(s.Events)) {
		if old, known := before.Events[event]; known {
			was(fmt.Sprintf("the event %q", event), old, s.Events[event])
		}
	}
	return words
}

func (s Shape) node(name string) (n NodeShape, ok bool) {
	i := slices.IndexFunc(s.Nodes, func(n NodeShape) bool { return n.Name == name })
	if i < 0 {
		return n, false
	}
	return s.Nodes[i], true
}

func (n NodeShape) condition() string {
	if n.On == "" && n.Label == "" {
		return "none"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %q on %q", n.Test, n.Label, n.On))
}

func (n NodeShape) waits() string {
	how := "any of "
	if n.All {
		how = "all of "
	}
	return how + strings.Join(n.Events, ", ")
}

// typeShape is how JSON shows a type. One that encodes or decodes itself has its name,
// since nobody can tell what it makes; so has one inside of itself.
func typeShape(t reflect.Type, around []reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return typeShape(t.Elem(), around)
	}
	itself := carrier{}.itself(place{t, true}) || carrier{decoding: true}.itself(place{t, true})
	switch k := t.Kind(); {
	case t == reflect.TypeFor[json.RawMessage](), k == reflect.Interface:
		return "any"
	case t == reflect.TypeFor[json.Number](), k == reflect.Float32, k == reflect.Float64:
		return "number"
	case itself, slices.Contains(around, t):
		return t.String()
	case k == reflect.Bool, k == reflect.String:
		return k.String()
	case k >= reflect.Int && k <= reflect.Uintptr:
		return "integer"
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	case k == reflect.Slice:
		return "[" + typeShape(t.Elem(), append(around, t)) + "]"
	case k == reflect.Array: // of a shorter one the rest would be lost unsaid
		return fmt.Sprintf("[%d of %s]", t.Len(), typeShape(t.Elem(), append(around, t)))
	case k == reflect.Map:
		return "{*: " + typeShape(t.Elem(), append(around, t)) + "}"
	case k == reflect.Struct:
		fields := map[string]string{}
		fieldShapes(t, append(around[:len(around):len(around)], t), fields)
		var shown []string
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			shown = append(shown, name+": "+fields[name])
		}
		return "{" + strings.Join(shown, ", ") + "}"
	}
	return t.String()
}

// fieldShapes are the shapes of a struct's fields by name, those of embedded structs
// among them; an outer field hides an inner one.
func fieldShapes(t reflect.Type, around []reflect.Type, fields map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := structOf(f)
		switch {
		case f.Tag.Get("json") == "-", !f.IsExported() && inner == nil, inner != nil && name == "":
		default:
			if name == "" {
				name = f.Name
			}
			fields[name] = typeShape(f.Type, around)
			if slices.Contains(strings.Split(options, ","), "string") {
				fields[name] = "string"
			}
		}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := structOf(f)
		if inner == nil || name != "" || slices.Contains(around, inner) {
			continue
		}
		hidden := map[string]string{}
		fieldShapes(inner, append(around[:len(around):len(around)], inner), hidden)
		for name, shape := range hidden {
			if _, taken := fields[name]; !taken {
				fields[name] = shape
			}
		}
	}
}
