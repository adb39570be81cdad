package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Shown is a setting as people may see it.
type Shown struct {
	Name, Variable, Value, Help string
	Default                     bool // it has the value that it has when nobody sets it
}

// Show lists all settings in the order of the code; of secrets, and of URLs that hold a
// password, only whether they are set.
func (s Settings) Show() (all []Shown) {
	v := reflect.ValueOf(s)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		text := shown(v.FieldByIndex(f.Index))
		given := f.Tag.Get("default")
		all = append(all, Shown{Name: f.Tag.Get("name"), Variable: f.Tag.Get("env"), Value: text, Help: f.Tag.Get("help"),
			Default: text == given || sameTime(v.FieldByIndex(f.Index), given)})
	}
	return all
}

func shown(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Secret:
		if value.IsSet() {
			return "set"
		}
		return ""
	case []time.Duration:
		texts := make([]string, len(value))
		for i, d := range value {
			texts[i] = short(d)
		}
		return strings.Join(texts, ",")
	case time.Duration:
		return short(value)
	case *int64:
		if value == nil {
			return ""
		}
		return fmt.Sprint(*value)
	}
	text := fmt.Sprint(v.Interface())
	if holdsPassword(text) {
		return "set"
	}
	return text
}

// short is a duration as it is written in settings: 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func sameTime(v reflect.Value, given string) bool {
	d, ok := v.Interface().(time.Duration)
	want, err := time.ParseDuration(given)
	return ok && err == nil && d == want
}
