package sources

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// dialect is a signature of its own: a profile, and how a sender writes it. Of
// what is signed and of the header, {body}, {t}, {hex} and {base64} stand for what
// they name.
type dialect struct {
	profile, signed, time string
	header                map[string]string
}

const inOneHeader = `{"header":"X-Sig","prefix":"v1=","timestampHeader":"X-Sig","signed":"{timestamp}.{body}"}`

var dialects = map[string]dialect{
	"time and signature in one header": {inOneHeader,
		"{t}.{body}", "seconds", map[string]string{"X-Sig": "t={t},v1={hex}"}},
	"the same in milliseconds, with spaces": {inOneHeader,
		"{t}.{body}", "milliseconds", map[string]string{"X-Sig": "t={t}, v0=00, v1={hex}"}},
	"several in one header, the second is right": {inOneHeader,
		"{t}.{body}", "seconds", map[string]string{"X-Sig": "t={t},v1=" + strings.Repeat("0", 64) + ",v1={hex}"}},
	"several in one header, the first is right": {`{"header":"X-Sig","prefix":"sha256="}`,
		"{body}", "", map[string]string{"X-Sig": "sha256={hex} sha256=" + strings.Repeat("0", 64)}},
	"milliseconds": {`{"header":"X-Sig","timestampHeader":"X-T","signed":"{timestamp}{body}"}`,
		"{t}{body}", "milliseconds", map[string]string{"X-Sig": "{hex}", "X-T": "{t}"}},
	"a date of HTTP": {`{"header":"X-Sig","timestampHeader":"X-T","signed":"{body}{timestamp}"}`,
		"{body}{t}", "http", map[string]string{"X-Sig": "{hex}", "X-T": "{t}"}},
	"a date in RFC 3339": {`{"header":"X-Sig","timestampHeader":"X-T","signed":"{timestamp}|{body}"}`,
		"{t}|{body}", "rfc3339", map[string]string{"X-Sig": "{hex}", "X-T": "{t}"}},
	"unpadded base64": {`{"header":"X-Sig","prefix":"sha256=","encoding":"base64"}`,
		"{body}", "", map[string]string{"X-Sig": "sha256={base64}"}},
}

// sign is the header of a body that a sender signs with a secret at a time.
func (d dialect) sign(secret, body string, at time.Time) http.Header {
	t := map[string]string{"seconds": fmt.Sprint(at.Unix()), "milliseconds": fmt.Sprint(at.UnixMilli()),
		"http": at.UTC().Format(http.TimeFormat), "rfc3339": at.UTC().Format(time.RFC3339Nano)}[d.time]
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strings.NewReplacer("{t}", t, "{body}", body).Replace(d.signed)))
	sum := mac.Sum(nil)
	fill := strings.NewReplacer("{t}", t, "{hex}", hex.EncodeToString(sum),
		"{base64}", base64.RawStdEncoding.EncodeToString(sum))
	header := http.Header{}
	for name, value := range d.header {
		header.Set(name, fill.Replace(value))
	}
	return header
}

func TestASignatureOfTheSendersOwnIsTakenAndAWrongOneRefused(t *testing.T) {
	const secret, other = "a-secret-of-a-sender-0123456789", "another-one-of-them-0123456789"
	const body, altered = `{"email":"ann@gmail.com"}`, `{"email":"eve@gmail.com"}`
	w := newWorld(t)
	for name, d := range dialects {
		made, err := w.service.Create(t.Context(), Draft{Name: name, Kind: liwanag.SourceGeneric, Secret: secret,
			Settings: []byte(`{"proof":"hmac","hmac":` + d.profile + `}`)})
		w.must(err)
		token := made.URL[strings.LastIndexByte(made.URL, '/')+1:]
		for _, c := range []struct {
			what   string
			header http.Header
			body   string
			want   error
		}{
			{"right", d.sign(secret, body, w.now()), body, nil},
			{"another body", d.sign(secret, body, w.now()), altered, intake.ErrBadSignature},
			{"another secret", d.sign(other, body, w.now()), body, intake.ErrBadSignature},
			{"no signature", http.Header{}, body, intake.ErrUnsigned},
		} {
			_, err := w.service.Receive(t.Context(), liwanag.SourceGeneric, token, c.header, []byte(c.body))
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, c.what, err, c.want)
			}
		}
		late := d.sign(secret, body, w.now().Add(-time.Hour))
		_, err = w.service.Receive(t.Context(), liwanag.SourceGeneric, token, late, []byte(body))
		if stale := errors.Is(err, intake.ErrStale); stale != (d.time != "") {
			t.Errorf("%s, an hour old: %v", name, err)
		}
	}
	if w.person("eve@gmail.com").Email != "" {
		t.Error("somebody came in without a proof")
	}
}

func TestASourceThatLacksItsSecretSaysSo(t *testing.T) {
	w := newWorld(t)
	const sendersOwn = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	signed := `{"proof":"hmac","hmac":{"header":"X-Sig"}}`
	for _, c := range []struct {
		kind     liwanag.SourceKind
		settings string
		want     bool
	}{
		{liwanag.SourceKit, "", true}, {liwanag.SourceGeneric, signed, true},
		{liwanag.SourceGeneric, `{"proof":"svix"}`, true}, {liwanag.SourceGeneric, `{"proof":"bearer"}`, false},
		{liwanag.SourceGeneric, "", false}, {liwanag.SourceGhost, "", false},
		{liwanag.SourceMailchimp, "", false}, {liwanag.SourceGeneric, `{"proof":"path"}`, false},
	} {
		made, token := w.create(c.kind, c.settings)
		if got := LacksSecret(made.Source); got != c.want {
			t.Errorf("%s %s: %v", c.kind, c.settings, got)
		}
		if !c.want {
			continue
		}
		if _, err := w.service.Receive(t.Context(), c.kind, token, http.Header{}, []byte("{}")); !errors.Is(err, intake.ErrNoSecret) {
			t.Errorf("%s %s: %v", c.kind, c.settings, err)
		}
		after, err := w.service.Rotate(t.Context(), made.ID, Rotation{Secret: sendersOwn})
		if err != nil || LacksSecret(after.Source) {
			t.Errorf("%s %s still lacks it: %v", c.kind, c.settings, err)
		}
	}
}
