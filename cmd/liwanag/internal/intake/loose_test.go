package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// loosely reads one sign-up as a webhook's.
func loosely(t testing.TB, body string) (liwanag.SignUp, map[string]any) {
	t.Helper()
	items, _, err := DecodeSignUps([]byte(body), false)
	if err != nil || len(items) != 1 || items[0].Err != nil {
		t.Fatalf("%.100q: %v, %v", body, items, err)
	}
	row, err := (normalizer{domains: liwanag.BuiltinDomains(), lenient: true}).normalize(items[0].SignUp)
	if err != nil {
		t.Fatalf("%.100q: %v", body, err)
	}
	var metadata map[string]any
	if row.Metadata != nil {
		if err := json.Unmarshal(row.Metadata, &metadata); err != nil {
			t.Fatal(err)
		}
	}
	if len(row.Metadata) > maxMetadataBytes || strings.Contains(string(row.Metadata), `\u0000`) {
		t.Errorf("%.100q: metadata that cannot be stored: %d bytes", body, len(row.Metadata))
	}
	return row, metadata
}

func TestAWrongTypeIsKeptOrDroppedAndNeverCostsTheSignUp(t *testing.T) {
	for fields, want := range map[string]string{
		`"firstName":{"x":1}`: `{"firstName":{"x":1}}`, `"firstName":["Ann"]`: `{"firstName":["Ann"]}`, `"id":42`: `{"id":"42"}`,
		`"id":12345678901234567890`:                                     `{"id":"12345678901234567890"}`,
		`"firstName":null,"tags":null,"metadata":null,"timestamp":null`: ``, `"tags":[]`: ``, `"tags":"a, b"`: `a b`,
		`"tags":[1,null,{"name":"x"},["y"],""]`: `1 x`,
		`"tags":{"vip":true}`:                   `{"tags":{"vip":true}}`, `"metadata":"text"`: `{"metadata":"text"}`,
		`"metadata":[1]`: `{"metadata":[1]}`,
		`"timestamp":""`: ``, `"timestamp":"yesterday"`: `{"timestamp":"yesterday"}`, `"timestamp":1700000000`: `2023-11-14T22:13:20Z`,
		`"timestamp":"14 Nov 2023 22:13:20"`: `2023-11-14T22:13:20Z`, `"timestamp":17`: `{"timestamp":17}`,
		`"timestamp":"2024-13-45T00:00:00Z"`: `{"timestamp":"2024-13-45T00:00:00Z"}`,
		`"timestamp":"2024-01-02T03:04:05Z"`: `2024-01-02T03:04:05Z`, `"note":"a\u0000b","k\u0000":1`: `{"k":1,"note":"ab"}`,
		`"companyDomain":7`: `{"companyDomain":"7"}`,
	} {
		row, _ := loosely(t, `{"email":"ann@gmail.com",`+fields+`}`)
		if got := string(row.Metadata) + strings.Join(row.Tags, " ") + timeText(row.SignedUpAt); got != want || row.Email != "ann@gmail.com" {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
	for _, email := range []string{"mailto:ann@gmail.com", "\u200bann@gmail.com", "Ann <ann@gmail.com>", "ann@firm.example, ann@gmail.com"} {
		raw, err := json.Marshal(email)
		if err != nil {
			t.Fatal(err)
		}
		if row, _ := loosely(t, `{"email":`+string(raw)+`}`); row.Email != "ann@gmail.com" {
			t.Errorf("%q: %q", email, row.Email)
		}
	}
	for _, email := range []string{`7`, `null`, `""`, `["ann@gmail.com"]`, `"nobody"`} {
		items, _, err := DecodeSignUps([]byte(`{"email":`+email+`}`), false)
		if err != nil {
			t.Fatal(err)
		}
		if items[0].Err == nil {
			_, items[0].Err = normalizer{domains: liwanag.BuiltinDomains(), lenient: true}.normalize(items[0].SignUp)
		}
		if liwanag.CodeOf(items[0].Err) != liwanag.CodeInvalidEmail {
			t.Errorf("%s: %v", email, items[0].Err)
		}
	}
}

func TestALimitCutsAValueAndNeverThePerson(t *testing.T) {
	tags := make([]string, maxTags+1)
	for i := range tags {
		tags[i] = fmt.Sprintf("t%d", i)
	}
	list, err := json.Marshal(tags)
	if err != nil {
		t.Fatal(err)
	}
	if row, _ := loosely(t, `{"email":"a@x.com","tags":`+string(list)+`}`); len(row.Tags) != maxTags {
		t.Errorf("%d tags", len(row.Tags))
	}
	if row, _ := loosely(t, `{"email":"a@x.com","tags":["`+strings.Repeat("é", 300)+
		`","b"]}`); row.Tags[0] != strings.Repeat("é", 250) || row.Tags[1] != "b" {
		t.Errorf("%.50v", row.Tags)
	}
	_, m := loosely(t, `{"email":"a@x.com","plan":"pro","note":"`+strings.Repeat("é<", 30_000)+`","list":[`+
		strings.Repeat(`"x",`, 30_000)+`1],"id":"7"}`)
	note, _ := m["note"].(string)
	kept, _ := m["list"].([]any)
	if m["plan"] != "pro" || m["id"] != "7" || len(note)+4*len(kept) < 10_000 {
		t.Errorf("%d bytes of the note, %d of the list, %v %v", len(note), len(kept), m["plan"], m["id"])
	}
	if row, m := loosely(t, `{"email":"a@x.com","note":"`+strings.Repeat("x", 70_000)+`"}`); len(row.Metadata) < maxMetadataBytes-1 ||
		m["note"] == nil {
		t.Errorf("a long note has %d bytes", len(row.Metadata))
	}
	if _, m := loosely(t, `{"email":"a@x.com","`+strings.Repeat("k", 70_000)+`":1,"in":{"a":1,"b":"`+
		strings.Repeat("x", 70_000)+`"}}`); len(m) != 1 || m["in"].(map[string]any)["a"] != 1.0 {
		t.Error("a member in an object is not kept beside one that is cut")
	}
	deep := strings.Repeat(`{"]\"":[`, 200) + `"}"` + strings.Repeat(`]}`, 200)
	if _, m := loosely(t, `{"email":"a@x.com","deep":`+deep+`,"after":1}`); m["deep"] == nil || m["after"] != 1.0 {
		t.Errorf("%.100v", m)
	}
	if got := fitMetadata(map[string]any{"nan": math.NaN(), "plan": "pro"}); len(got) != 1 || got["plan"] != "pro" {
		t.Errorf("a value that is no JSON: %v", got)
	}
}

func TestWhatIsCutFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String()))
		value := map[string]any{}
		for name, list := range texts.Draw(rt, "metadata") {
			elements := make([]any, len(list))
			for i, text := range list {
				elements[i] = text
			}
			value[name] = elements
		}
		room := rapid.IntRange(2, 500).Draw(rt, "room")
		fitted, size := fit(value, room)
		raw, err := json.Marshal(fitted)
		if err != nil || len(raw) != size || size > room || !utf8.Valid(raw) {
			rt.Fatalf("%s: %d of %d bytes in %d, %v", raw, size, len(raw), room, err)
		}
	})
}

func TestJSONBehindAByteOrderMarkIsRead(t *testing.T) {
	body := `{"email":"zoë@gmail.com","firstName":"Zoë"}`
	little, big := "\xff\xfe", "\xfe\xff"
	for _, unit := range utf16.Encode([]rune(body)) {
		little += string([]byte{byte(unit), byte(unit >> 8)})
		big += string([]byte{byte(unit >> 8), byte(unit)})
	}
	for name, body := range map[string]string{"UTF-8": "\xef\xbb\xbf" + body, "white space": "\xef\xbb\xbf\n " + body,
		"UTF-16LE": little, "UTF-16BE": big} {
		items, array, err := DecodeSignUps([]byte(body), false)
		if err != nil || array || items[0].SignUp.FirstName != "Zoë" {
			t.Errorf("%s: %+v, %v", name, items, err)
		}
	}
	if _, array, err := DecodeSignUps([]byte("\xef\xbb\xbf[{}]"), false); err != nil || !array {
		t.Errorf("an array: %v", err)
	}
	if _, _, err := DecodeSignUps([]byte("\xef\xbb\xbf\xef\xbb\xbf{}"), false); !errors.Is(err, ErrMalformed) {
		t.Errorf("two marks: %v", err)
	}
}
