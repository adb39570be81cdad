package workflow

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// keeps notes a fault when values of a type do not survive being stored.
func (p *Plan) keeps(node, what string, t reflect.Type) {
	if err := carried(t); err != nil {
		p.fault(node, "%s cannot be kept as JSON: %v: give it MarshalJSON and UnmarshalJSON, or another type", what, err)
	}
}

// carried says why a value of a type would not survive being stored as JSON and read
// back, nil when it does: what no encoder or decoder takes, and what would come back
// empty without a word.
func carried(t reflect.Type) error {
	encode, decode := carrier{seen: map[place]bool{}}, carrier{seen: map[place]bool{}, decoding: true}
	if err := encode.check(t, t.String(), true); err != nil {
		return err
	}
	return decode.check(t, t.String(), true)
}

// carrier walks through a type, on the way of its values into JSON or out of it.
type carrier struct {
	seen     map[place]bool
	decoding bool
}

// place is a type and whether a value of it can be addressed, so that the methods of
// its pointer encode it: elements of maps cannot.
type place struct {
	t           reflect.Type
	addressable bool
}

var (
	encoders = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
	decoders = []reflect.Type{reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
	// userinfo is what a URL keeps a password in: it is left out on purpose.
	userinfo = reflect.TypeFor[url.Userinfo]()
)

func implements(t reflect.Type, any []reflect.Type) bool {
	for _, i := range any {
		if t.Implements(i) {
			return true
		}
	}
	return false
}

// itself says whether a type has methods for the way of the walk.
func (c carrier) itself(p place) bool {
	if c.decoding {
		return p.t.Kind() != reflect.Interface && implements(reflect.PointerTo(p.t), decoders)
	}
	return implements(p.t, encoders) || p.addressable && implements(reflect.PointerTo(p.t), encoders)
}

func (c carrier) check(t reflect.Type, path string, addressable bool) error {
	p := place{t, addressable || c.decoding}
	if c.seen[p] || t == userinfo || c.itself(p) {
		return nil
	}
	c.seen[p] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s is a %s", path, t.Kind())
	case reflect.Interface:
		if c.decoding && t.NumMethod() > 0 {
			return fmt.Errorf("%s is the interface %s, and nothing says what to decode into", path, t)
		}
	case reflect.Pointer:
		return c.check(t.Elem(), path, true)
	case reflect.Slice:
		return c.check(t.Elem(), path+"[]", true)
	case reflect.Array:
		return c.check(t.Elem(), path+"[]", addressable)
	case reflect.Map:
		if !c.key(t.Key()) {
			return fmt.Errorf("%s is a map with keys of type %s, which JSON has no text for", path, t.Key())
		}
		return c.check(t.Elem(), path+"[]", false)
	case reflect.Struct:
		if name := clash(t); name != "" {
			return fmt.Errorf("%s has several fields that JSON calls %q, and shows none of them", path, name)
		}
		return c.fields(p, path)
	}
	return nil
}

// clash is a name that several fields of a struct have in JSON, so that none has it;
// empty without one. Fields of embedded structs hide those that are embedded deeper.
func clash(t reflect.Type) string {
	taken, visited := map[string]bool{}, map[reflect.Type]bool{}
	for level := []reflect.Type{t}; len(level) > 0; {
		var names []string
		var below []reflect.Type
		tagged, all := map[string]int{}, map[string]int{}
		for _, s := range level {
			visited[s] = true
			for i := range s.NumField() {
				f := s.Field(i)
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				inner := structOf(f)
				switch {
				case f.Tag.Get("json") == "-", !f.IsExported() && inner == nil:
				case inner != nil && name == "":
					if !visited[inner] {
						below = append(below, inner)
					}
				case name != "":
					names = append(names, name)
					tagged[name]++
					all[name]++
				default:
					names = append(names, f.Name)
					all[f.Name]++
				}
			}
		}
		for _, name := range names {
			if !taken[name] && all[name] > 1 && tagged[name] != 1 {
				return name
			}
		}
		for _, name := range names {
			taken[name] = true
		}
		level = below
	}
	return ""
}

// key says whether values of a type can be the keys of an object.
func (c carrier) key(t reflect.Type) bool {
	switch k := t.Kind(); {
	case k == reflect.String, k >= reflect.Int && k <= reflect.Uintptr:
		return true
	case c.decoding:
		return reflect.PointerTo(t).Implements(decoders[1])
	}
	return t.Implements(encoders[1])
}

// errBare is a struct of which JSON shows no field although it has some.
var errBare = errors.New("is a struct of which JSON shows no field")

func (c carrier) fields(p place, path string) error {
	shown, hidden := false, false
	for i := range p.t.NumField() {
		f := p.t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := structOf(f)
		var err error
		switch {
		case f.Tag.Get("json") == "-", !f.IsExported() && inner == nil:
			hidden = hidden || f.Name != "_" && f.Type.Size() > 0
			continue
		case inner != nil && f.Type.Kind() == reflect.Pointer && !f.IsExported() && c.decoding:
			return fmt.Errorf("%s.%s is an embedded pointer to a type that is not exported, which no decoder can set", path, f.Name)
		case inner != nil && name == "": // its fields are those of the struct around it
			within := place{inner, p.addressable || f.Type.Kind() == reflect.Pointer}
			if c.seen[within] {
				continue
			}
			c.seen[within] = true
			if err = c.fields(within, path); errors.Is(err, errBare) {
				hidden = true
				continue
			}
		default:
			err = c.check(f.Type, path+"."+f.Name, p.addressable)
		}
		if err != nil {
			return err
		}
		shown = true
	}
	if hidden && !shown {
		return fmt.Errorf("%s %w", path, errBare)
	}
	return nil
}

// structOf is the struct that a field embeds, by value or by pointer; nil of other
// fields.
func structOf(f reflect.StructField) reflect.Type {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !f.Anonymous || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}
