package sources

import (
	"bytes"
	"io"
	"maps"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxFormFields is more than a Mailchimp audience has merge fields.
const maxFormFields = 1000

// readForm reads a form, in either of HTML's encodings, as the tree that the brackets
// of its names make. Its bytes tell that it is one: what a sender calls its body is
// not kept for a replay.
func readForm(body []byte) (map[string]any, bool) {
	form := url.Values{}
	add := func(name, value string) {
		if name = readable(name); name != "" {
			form[name] = append(form[name], readable(value))
		}
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	switch {
	case bytes.HasPrefix(body, []byte("--")):
		if !readParts(body, add) {
			return nil, false
		}
	case bytes.IndexByte(body, '=') > 0 && !bytes.ContainsAny(body[:1], `{["<`):
		for pair := range strings.SplitSeq(string(body), "&") {
			name, value, _ := strings.Cut(pair, "=")
			add(unescaped(name), unescaped(value))
		}
	}
	return tree(form), len(form) > 0 && len(form) <= maxFormFields
}

// readParts reads the fields of a multipart form; its files are none.
func readParts(body []byte, add func(name, value string)) bool {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	in := multipart.NewReader(bytes.NewReader(body), strings.TrimSpace(string(line[2:])))
	for n := 0; n <= maxFormFields; n++ {
		part, err := in.NextPart()
		if err != nil {
			return err == io.EOF
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return false
		}
		if part.FileName() == "" {
			add(part.FormName(), string(value))
		}
	}
	return false
}

// unescaped is a text as it is where its escapes are none.
func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// readable is a text in UTF-8: browsers of old pages send Windows-1252, which they
// call Latin-1.
func readable(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out, err := charmap.Windows1252.NewDecoder().String(text)
	if err != nil {
		return strings.ToValidUTF8(text, "")
	}
	return out
}

// tree makes data[merges][FNAME]=Ann the text Ann at /data/merges/FNAME, and a name
// that ends in [] or comes with several values a list. What does not fit in, such as
// a text below a text, is left out.
func tree(form url.Values) map[string]any {
	root := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.DeleteFunc(slices.Clone(form[name]), func(v string) bool { return v == "" })
		plain, isList := strings.CutSuffix(name, "[]")
		path := strings.Split(strings.ReplaceAll(plain, "]", ""), "[")
		if len(path) > 8 || len(values) == 0 {
			continue
		}
		node := root
		for _, step := range path[:len(path)-1] {
			if node[step] == nil {
				node[step] = map[string]any{}
			}
			if node, _ = node[step].(map[string]any); node == nil {
				break
			}
		}
		if last := path[len(path)-1]; node != nil && node[last] == nil {
			node[last] = valueOf(values, isList)
		}
	}
	return root
}

// valueOf is a text, or the list of several.
func valueOf(values []string, isList bool) any {
	if slices.Sort(values); !isList {
		if values = slices.Compact(values); len(values) == 1 {
			return values[0]
		}
	}
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = value
	}
	return list
}
