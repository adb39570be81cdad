package sources

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestOfTwoEventsOfOneSecondLeavingCounts(t *testing.T) {
	const weekly = `[{"id":"n1","name":"Weekly","status":"active"}]`
	ghost := func(email, newsletters, previous, at string) string {
		return fmt.Sprintf(`{"member":{"current":{"id":"1","email":%q,"subscribed":%t,"newsletters":%s,"updated_at":%q},"previous":%s}}`,
			email, newsletters != "[]", newsletters, at, previous)
	}
	const noon, later = "2026-01-02T12:00:00.000Z", "2026-01-02T12:00:01.000Z"
	in := ghost("ann@gmail.com", weekly, `{"newsletters":[]}`, noon)
	out := ghost("ann@gmail.com", "[]", `{"newsletters":`+weekly+`}`, noon)
	mail := func(kind, at string) string {
		return "type=" + kind + "&fired_at=2026-01-02+12%3A00%3A" + at + "&data%5Bid%5D=1&data%5Bemail%5D=ann%40gmail.com"
	}
	for name, c := range map[string]struct {
		kind   liwanag.SourceKind
		bodies []string
		in     bool
	}{
		"ghost: out, then in":             {liwanag.SourceGhost, []string{in, out, ghost("ann@gmail.com", weekly, `{"newsletters":[],"name":"A"}`, noon)}, false},
		"ghost: in again a second later":  {liwanag.SourceGhost, []string{in, out, ghost("ann@gmail.com", weekly, `{"newsletters":[]}`, later)}, true},
		"ghost: two edits of one second":  {liwanag.SourceGhost, []string{ghost("ann@gmail.com", weekly, `{}`, noon), ghost("ann@gmail.com", weekly, `{"name":"A"}`, noon), out}, false},
		"ghost: all lists are archived":   {liwanag.SourceGhost, []string{in, ghost("ann@gmail.com", `[{"id":"n1","status":"archived"}]`, `{"newsletters":[]}`, later)}, false},
		"mailchimp: in and out at once":   {liwanag.SourceMailchimp, []string{mail("subscribe", "00"), mail("unsubscribe", "00")}, false},
		"mailchimp: the other way round":  {liwanag.SourceMailchimp, []string{mail("profile", "00"), mail("unsubscribe", "00"), mail("subscribe", "00")}, false},
		"mailchimp: cleaned, comes later": {liwanag.SourceMailchimp, []string{mail("subscribe", "00"), mail("cleaned", "00"), mail("subscribe", "01")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			made, token := w.create(c.kind, "")
			for _, body := range c.bodies {
				header := http.Header{}
				if c.kind == liwanag.SourceGhost {
					at := fmt.Sprint(w.now().UnixMilli())
					mac := hmac.New(sha256.New, []byte(made.Secret))
					mac.Write([]byte(body + at))
					header.Set("X-Ghost-Signature", fmt.Sprintf("sha256=%x, t=%s", mac.Sum(nil), at))
				}
				_, err := w.service.Receive(t.Context(), c.kind, token, header, []byte(body))
				w.must(err)
			}
			if p := w.person("ann@gmail.com"); p.SuppressedAt.IsZero() != c.in {
				t.Errorf("left at %v, want them in: %t", p.SuppressedAt, c.in)
			}
		})
	}
}

func TestAPayloadThatSaysSomebodyLeftIsBelieved(t *testing.T) {
	for name, c := range map[string]struct{ settings, come, gone string }{
		"our own names": {`{"proof":"path"}`, `{"email":"ann@gmail.com"}`, `{"email":"ann@gmail.com","subscribed":false}`},
		"a status":      {`{"proof":"path"}`, `{"email":"ann@gmail.com","status":"active"}`, `{"email":"ann@gmail.com","status":"unsubscribed"}`},
		"mapped":        {`{"proof":"path","fields":{"email":"/e"}}`, `{"e":"ann@gmail.com","subscribed_to_emails":true}`, `{"e":"ann@gmail.com","subscribed_to_emails":"false"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, token := w.create(liwanag.SourceGeneric, c.settings)
			w.send(token, c.come)
			if p := w.person("ann@gmail.com"); !p.SuppressedAt.IsZero() || p.EnrichmentStatus == "" {
				t.Errorf("who came: %+v", p)
			}
			w.send(token, c.gone)
			if p := w.person("ann@gmail.com"); p.SuppressedAt.IsZero() {
				t.Errorf("who left is looked up: %+v", p)
			}
		})
	}
}
