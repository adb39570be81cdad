package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var update = flag.Bool("update", false, "rewrite golden files")

// reader is a service that can only read.
func reader(t testing.TB) *Service {
	t.Helper()
	people, err := intake.NewSignUps(nil, nil, intake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return New(nil, people, nil, Config{PublicURL: "https://news.example/"})
}

// setUpOf is a source of a kind with settings, empty: the defaults.
func setUpOf(t testing.TB, s *Service, kind liwanag.SourceKind, settings string) setUp {
	t.Helper()
	by, err := s.setUp(liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), Name: "Blog", Kind: kind, Settings: json.RawMessage(settings)})
	if err != nil {
		t.Fatal(err)
	}
	return by
}

// TestWhatEachSenderSendsIsRead writes down what each file of testdata is read as.
func TestWhatEachSenderSendsIsRead(t *testing.T) {
	s := reader(t)
	files, err := filepath.Glob("testdata/*-*.*")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, ".settings.json") {
			continue
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".settings.json")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(filepath.Base(file), "-")
		by := setUpOf(t, s, liwanag.SourceKind(kind), string(settings))
		read, err := by.kind.read(by.settings, webhook{body: body})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		fmt.Fprintf(&got, "%s\n  key %q\n", filepath.Base(file), read.key)
		for i, e := range s.check(by, read.events) {
			if e.err != nil {
				fmt.Fprintf(&got, "  %d %s: %v\n", i, e.what, e.err)
				continue
			}
			row := e.row
			fmt.Fprintf(&got, "  %d %s %s", i, e.what, row.Email)
			for _, f := range [][2]string{{"event", e.id}, {"source", row.Source}, {"first", row.Stated.FirstName}, {"last", row.Stated.LastName},
				{"full", row.Stated.FullName}, {"company", row.Stated.CompanyName}, {"domain", row.Stated.CompanyDomain},
				{"tags", strings.Join(row.Tags, ", ")},
				{"signed up", timeText(row.SignedUpAt)}, {"metadata", string(row.Metadata)}} {
				if f[1] != "" {
					fmt.Fprintf(&got, "\n      %-8s %s", f[0], f[1])
				}
			}
			got.WriteByte('\n')
		}
	}
	if *update {
		if err := os.WriteFile("testdata/read.golden", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/read.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
}

func TestBodiesOfAnotherShapeAreFaults(t *testing.T) {
	s := reader(t)
	open := strings.Repeat(`[`, 100_000)
	for _, c := range []struct {
		kind       liwanag.SourceKind
		body, code string
	}{
		{liwanag.SourceGhost, `{`, "unreadable_body"}, {liwanag.SourceGhost, `[]`, "unexpected_shape"}, {liwanag.SourceGhost, `{"member":{"current":{},"previous":{}}}`, "unexpected_shape"},
		{liwanag.SourceGhost, `{"member":7}`, "unexpected_shape"}, {liwanag.SourceKit, `{"subscriber":{}}`, "unexpected_shape"}, {liwanag.SourceKit, `{} {}`, "unreadable_body"},
		{liwanag.SourceKit, `{"events":[` + strings.Repeat(`{},`, 100) + `{}]}`, "too_many_items"},
		{liwanag.SourceMailchimp, `{"email":"ann@gmail.com"}`, "unreadable_body"},
		{liwanag.SourceMailchimp, "type=subscribe", "unexpected_shape"}, {liwanag.SourceMailchimp, "type=subscribe&data=7&data[email]=ann@gmail.com", "unexpected_shape"},
		{liwanag.SourceMailchimp, "", "unreadable_body"}, {liwanag.SourceGeneric, `<a b="c">`, "unreadable_body"}, {liwanag.SourceGeneric, "--x", "unreadable_body"},
		{liwanag.SourceGeneric, `"ann@gmail.com"`, "no_items"}, {liwanag.SourceGeneric, "{\"email\":\"\xff\"}", "unreadable_body"}, {liwanag.SourceGeneric, open, "unreadable_body"},
		{liwanag.SourceGeneric, `[` + strings.Repeat(`{},`, 500) + `{}]`, "too_many_items"}, {liwanag.SourceGeneric, ``, "unreadable_body"},
	} {
		by := setUpOf(t, s, c.kind, "")
		_, err := by.kind.read(by.settings, webhook{body: []byte(c.body)})
		if liwanag.CodeOf(err) != c.code || liwanag.ClassOf(err) != liwanag.Invalid {
			t.Errorf("%s %.40q: %v, want %s", c.kind, c.body, err, c.code)
		}
	}
}

func TestNoValueOfAGenericBodyCostsThePerson(t *testing.T) {
	s := reader(t)
	deep := strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000)
	for _, settings := range []string{`{"proof":"path"}`,
		`{"proof":"path","fields":{"email":"/email","tags":"/tags","firstName":"/firstName","timestamp":"/timestamp"},"keep":["/*"]}`} {
		by := setUpOf(t, s, liwanag.SourceGeneric, settings)
		for _, fields := range []string{`"tags":["x"` + strings.Repeat(`,"x"`, 100) + `]`, `"tags":["` +
			strings.Repeat("x", 501) + `"]`, `"note":"a\u0000b"`,
			`"note":"` + strings.Repeat("x", 70_000) + `"`, `"deep":` + deep, `"firstName":["x"]`, `"timestamp":""`, `"tags":7`, `"metadata":7`} {
			all, _, fault := s.understand(by, webhook{body: []byte("\xef\xbb\xbf" + `[{"email":"ann@gmail.com",` + fields + `}]`)})
			if fault != nil || len(all) != 1 || all[0].row.Email != "ann@gmail.com" {
				t.Errorf("%.60s: %+v, %v", fields, all, fault)
			}
		}
	}
}

func TestAPointerLeadsWhereRFC6901Says(t *testing.T) {
	doc, err := readJSON([]byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"m~n":8,"deep":{"list":[{"x":"y"}]},"null":null}`))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{"/foo/0": "bar", "/foo/1": "baz", "/": "0", "/a~1b": "1", "/c%d": "2",
		"/m~0n": "8", "/deep/list/0/x": "y",
		"/foo": "", "/foo/2": "", "/foo/-": "", "/foo/00": "", "/foo/-1": "", "/foo/0/x": "", "/null": "", "/null/x": "", "/nothing": ""} {
		if got := intake.Text(find(doc, pointer)); got != want {
			t.Errorf("%q: %q, want %q", pointer, got, want)
		}
		if fault := pointerFault(pointer); fault != "" {
			t.Errorf("%q: %s", pointer, fault)
		}
	}
	for _, pointer := range []string{"data/email", "/a~2", "/a~", "/" + strings.Repeat("x", 500), "/\xff"} {
		if pointerFault(pointer) == "" {
			t.Errorf("%q was taken for a pointer", pointer)
		}
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	for settings, want := range map[string]string{
		`[]`: "one JSON object", `{"fields":7}`: "fields", `{"colour":"red"}`: `"colour"`, `{}{}`: "one JSON object",
		`{"proof":"trust me"}`: "proof is none of", `{"proof":"hmac"}`: "hmac belongs",
		`{"proof":"bearer","hmac":{"header":"X-S"}}`: "hmac belongs",
		`{"proof":"hmac","hmac":{"header":"X S"}}`:   "hmac: header",
		`{"fields":{"firstName":"/n"}}`:              "email is missing",
		`{"fields":{"email":"mail"}}`:                "fields.email: a JSON pointer begins with /",
		`{"fields":{"email":"/e","shoeSize":"/s"}}`:  `no field "shoeSize"`, `{"fields":{"email":[]}}`: "fields.email",
		`{"items":"data"}`: "items: a JSON pointer", `{"event":{"at":"/type"}}`: "event needs",
		`{"event":{"at":"type","subscribed":["x"]}}`: "event.at",
		`{"keep":["/a"]}`: "keep needs fields", `{"fields":{"email":"/e"},"keep":[""]}`: "keep has",
		`{"fields":{"email":"/e"},"keep":["x"]}`:                                                          "keep: a JSON pointer",
		`{"fields":{"email":"/e"},"event":{"at":"/t","updated":["` + strings.Repeat("x", 64<<10) + `"]}}`: "64 KiB",
		`{"signsBodyAlone":true}`:                                                                         "Ghost's",
		`{"eventId":"id"}`:                                                                                "eventId",
	} {
		k, _ := kindOf(liwanag.SourceGeneric)
		if _, err := readSettings(k, json.RawMessage(settings)); liwanag.CodeOf(err) != codeInvalidSettings ||
			!strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
	for _, settings := range []string{`{"proof":"path"}`, `{"items":"/data"}`, `{"eventId":"/id"}`} {
		k, _ := kindOf(liwanag.SourceKit)
		if _, err := readSettings(k, json.RawMessage(settings)); !strings.Contains(fmt.Sprint(err), "a setting of generic sources") {
			t.Errorf("Kit with %s: %v", settings, err)
		}
	}
}

func TestTheDefaultsOfEachKindAreSettingsOfIt(t *testing.T) {
	all, err := Kinds()
	if err != nil || len(all) != 4 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, described := range all {
		k, known := kindOf(described.Kind)
		if !known || described.Title == "" || described.Help == "" || MaxBody(described.Kind) < maxOne {
			t.Errorf("%+v", described)
		}
		read, err := readSettings(k, described.Defaults)
		if err != nil {
			t.Errorf("%s: %v", described.Kind, err)
		}
		if again, err := json.Marshal(read); err != nil || !bytes.Equal(again, described.Defaults) {
			t.Errorf("%s: %s, want %s", described.Kind, again, described.Defaults)
		}
	}
	if MaxBody("substack") != 0 {
		t.Error("a body of an unknown kind is read")
	}
}

// Whatever comes, reading it neither panics nor makes an event without a word.
func FuzzBodiesOfEveryKind(f *testing.F) {
	files, err := filepath.Glob("testdata/*-*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for which := range kinds {
			f.Add(byte(which), body)
		}
	}
	s := reader(f)
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		k := kinds[int(which)%len(kinds)]
		by := setUpOf(t, s, k.kind, "")
		read, err := k.read(by.settings, webhook{body: body})
		if err != nil && liwanag.ClassOf(err) != liwanag.Invalid {
			t.Fatal(err)
		}
		for _, i := range s.check(by, read.events) {
			if i.err == nil && i.what != Ignored && (i.row.EmailKey == "" || i.what == "") {
				t.Fatalf("%+v", i)
			}
		}
	})
}

// TestTheExampleOfTheDocumentsWorks reads the body and the mapping that
// docs/webhooks.md shows.
func TestTheExampleOfTheDocumentsWorks(t *testing.T) {
	page, err := os.ReadFile("../../../../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of JSON", len(blocks))
	}
	s := reader(t)
	by := setUpOf(t, s, liwanag.SourceGeneric, string(blocks[1][1]))
	read, err := by.kind.read(by.settings, webhook{body: blocks[0][1]})
	all := s.check(by, read.events)
	if err != nil || len(all) != 1 || all[0].err != nil || all[0].what != Subscribed {
		t.Fatalf("%+v, %v", all, err)
	}
	row := all[0].row
	if row.Email != "ann@gmail.com" || row.Source != "spring" || row.Stated.FirstName != "Ann" || row.Stated.CompanyName != "Acme" ||
		string(row.Metadata) != `{"id":"11","tier":"gold"}` {
		t.Errorf("%+v %s", row, row.Metadata)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); !bytes.Contains(page, []byte("`"+name)) &&
			!bytes.Contains(page, []byte(`"`+name+`"`)) {
			t.Errorf("docs/webhooks.md does not name the setting %s", name)
		}
	}
	for _, field := range mappable {
		if !bytes.Contains(page, []byte("`"+field+"`")) {
			t.Errorf("docs/webhooks.md does not name the field %s", field)
		}
	}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
