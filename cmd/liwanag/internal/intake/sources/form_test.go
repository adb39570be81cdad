package sources

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestAGenericSourceTakesForms(t *testing.T) {
	s := reader(t)
	multi := "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\njose@gmail.com\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"firstName\"\r\n\r\nJos\xe9\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"cv\"; filename=\"cv.pdf\"\r\n\r\n%PDF\r\n--b--\r\n"
	const mapped = `{"proof":"path","fields":{"email":"/contact/mail","firstName":"/contact/name","tags":"/list"}}`
	for name, c := range map[string]struct{ settings, body, tags, metadata string }{
		"UTF-8":              {body: "email=jose%40gmail.com&firstName=Jos%C3%A9"},
		"Latin-1":            {body: "email=jose%40gmail.com&firstName=Jos%E9"},
		"Latin-1, unescaped": {body: "email=jose@gmail.com&firstName=Jos\xe9"},
		"Latin-1 and UTF-8":  {body: "email=jose@gmail.com&firstName=Jos%E9&x=%C3%A9", metadata: `{"x":"é"}`},
		"Windows-1252":       {body: "email=jose@gmail.com&firstName=Jos%E9&note=%80", metadata: `{"note":"€"}`},
		"no escapes":         {body: "email=jose@gmail.com&firstName=José&off=100%", metadata: `{"off":"100%"}`},
		"a byte order mark":  {body: "\xef\xbb\xbfemail=jose@gmail.com&firstName=Jos%E9\r\n"},
		"multipart":          {body: multi},
		"several tags":       {body: "tags=a&tags=b&email=jose@gmail.com&firstName=Jos%E9", tags: "a b"},
		"a list of tags":     {body: "tags[]=a&email=jose@gmail.com&email=jose@gmail.com&firstName=Jos%E9", tags: "a"},
		"brackets, mapped": {settings: mapped, tags: "a b",
			body: "contact[mail]=jose@gmail.com&contact%5Bname%5D=Jos%E9&list=a,b"},
		"an empty value": {body: "email=jose@gmail.com&firstName=&firstName=Jos%E9&lastName=&utm"},
	} {
		if c.settings == "" {
			c.settings = `{"proof":"path"}`
		}
		by := setUpOf(t, s, liwanag.SourceGeneric, c.settings)
		all, _, fault := s.understand(by, webhook{body: []byte(c.body)})
		if fault != nil || len(all) != 1 {
			t.Errorf("%s: %+v, %v", name, all, fault)
			continue
		}
		row := all[0].row
		if row.Email != "jose@gmail.com" || row.Stated.FirstName != "José" || strings.Join(row.Tags, " ") != c.tags {
			t.Errorf("%s: %+v", name, row)
		}
		if c.metadata != "" && string(row.Metadata) != c.metadata {
			t.Errorf("%s: metadata %s, want %s", name, row.Metadata, c.metadata)
		}
	}
}

func TestAFormCanSayThatSomebodyLeft(t *testing.T) {
	s := reader(t)
	by := setUpOf(t, s, liwanag.SourceGeneric, `{"proof":"path"}`)
	all, _, fault := s.understand(by, webhook{body: []byte("email=ann%40gmail.com&status=unsubscribed")})
	if fault != nil || all[0].what != Unsubscribed {
		t.Errorf("%+v, %v", all, fault)
	}
}

func TestNoValueOfAFormCostsThePerson(t *testing.T) {
	s := reader(t)
	for kind, body := range map[liwanag.SourceKind]string{
		liwanag.SourceGeneric:   "email=ann%40gmail.com&firstName=%zz&a[b][c]=1&a=2&x=%00&tags[k]=1",
		liwanag.SourceMailchimp: "type=subscribe&data[email]=ann%40gmail.com&data[merges][FNAME]=Ren%E9&data[merges][X]=%zz",
	} {
		settings := ""
		if kind == liwanag.SourceGeneric {
			settings = `{"proof":"path"}`
		}
		all, _, fault := s.understand(setUpOf(t, s, kind, settings), webhook{body: []byte(body)})
		if fault != nil || len(all) != 1 || all[0].row.Email != "ann@gmail.com" {
			t.Errorf("%s: %+v, %v", kind, all, fault)
		}
	}
}
