package fullenrich

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A webhook signed with a made-up key, computed by another implementation.
const (
	signedBody = `{"id":"0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11","name":"lw-01JB8Z","status":"FINISHED","cost":{"credits":1},"data":[]}`
	signature  = "ae5c9f29321a7e4e04a541337dfb2b140828abaf"
)

func TestSignMatchesTheKnownVector(t *testing.T) {
	if got := Sign(testKey, []byte(signedBody)); got != signature {
		t.Errorf("Sign = %s, want %s", got, signature)
	}
}

func TestVerify(t *testing.T) {
	var reordered bytes.Buffer
	if err := json.Indent(&reordered, []byte(signedBody), "", " "); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, body, header string
		keys               []Secret
		want               bool
	}{
		{"the key", signedBody, signature, []Secret{testKey}, true},
		{"the same in upper case", signedBody, strings.ToUpper(signature), []Secret{testKey}, true},
		{"the previous key", signedBody, signature, []Secret{"new", testKey}, true},
		{"a key before the last", signedBody, signature, []Secret{testKey, "older"}, true},
		{"another key", signedBody, signature, []Secret{"other"}, false},
		{"no keys", signedBody, signature, nil, false},
		{"an empty key", signedBody, Sign("", []byte(signedBody)), []Secret{""}, false},
		{"an empty key among others", signedBody, Sign("", []byte(signedBody)), []Secret{testKey, ""}, false},
		{"no header", signedBody, "", []Secret{testKey}, false},
		{"too short", signedBody, signature[:38], []Secret{testKey}, false},
		{"too long", signedBody, signature + "00", []Secret{testKey}, false},
		{"not hexadecimal", signedBody, "z" + signature[1:], []Secret{testKey}, false},
		{"with a prefix", signedBody, "sha1=" + signature, []Secret{testKey}, false},
		{"with a space", signedBody, " " + signature[1:], []Secret{testKey}, false},
		{"body written anew", reordered.String(), signature, []Secret{testKey}, false},
		{"body in upper case", strings.ToUpper(signedBody), signature, []Secret{testKey}, false},
		{"empty body", "", signature, []Secret{testKey}, false},
	} {
		if got := Verify([]byte(test.body), test.header, test.keys...); got != test.want {
			t.Errorf("%s: Verify = %v", test.name, got)
		}
	}
}

func TestVerifyNoticesEveryFlippedBit(t *testing.T) {
	flip := func(t *rapid.T, data []byte, what string) []byte {
		bit := rapid.IntRange(0, len(data)*8-1).Draw(t, what)
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		return flipped
	}
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "body")
		key := []byte(rapid.StringN(1, 40, -1).Draw(t, "key"))
		header := []byte(Sign(Secret(key), body))
		if !Verify(body, string(header), Secret(key)) {
			t.Fatal("a true signature is refused")
		}
		if Verify(flip(t, body, "bit of the body"), string(header), Secret(key)) {
			t.Error("another body is accepted")
		}
		if Verify(body, string(header), Secret(flip(t, key, "bit of the key"))) {
			t.Error("another key is accepted")
		}
		other := flip(t, header, "bit of the header")
		if Verify(body, string(other), Secret(key)) && !strings.EqualFold(string(other), string(header)) {
			t.Error("another signature is accepted")
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(signedBody), signature, testKey.Reveal())
	f.Add([]byte{}, "", "")
	f.Add([]byte("{}"), strings.Repeat("0", 40), "k")
	f.Fuzz(func(t *testing.T, body []byte, header, key string) {
		if Verify(body, header, Secret(key)) != (key != "" && strings.EqualFold(header, Sign(Secret(key), body))) {
			t.Errorf("Verify(%q, %q) is not what Sign says", body, header)
		}
	})
}
