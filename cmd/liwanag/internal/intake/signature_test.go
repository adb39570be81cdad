package intake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

var sentAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// signed is what a Standard Webhooks sender sends, as its own library writes it.
func signed(t testing.TB, secret, id string, at time.Time, body []byte) http.Header {
	t.Helper()
	oracle, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := oracle.Sign(id, at, body)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return h
}

func verifier(t testing.TB, now time.Time, secrets ...string) *Verifier {
	t.Helper()
	v, err := NewVerifier(StandardWebhooks(), secrets, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifierAcceptsTheSpecificationsExample(t *testing.T) {
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	proof, err := verifier(t, time.Unix(1614265330, 0), secretA).Verify(h, []byte(`{"test": 2432232314}`))
	if err != nil || proof.ID != "msg_p5jXN8AQM9LWM0D4loKWxJek" || proof.At.Unix() != 1614265330 {
		t.Errorf("%v, %v", proof, err)
	}
}

func TestVerifierAgreesWithTheOracle(t *testing.T) {
	now := time.Now()
	rapid.Check(t, func(rt *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		id := rapid.StringMatching(`[!-~]{1,40}`).Draw(rt, "id")
		at := now.Add(time.Duration(rapid.IntRange(-290, 290).Draw(rt, "seconds")) * time.Second)
		h := signed(t, secretA, id, at, body)
		extra := rapid.SampledFrom([]string{"", "v1,", "v1a,AAAA ", "v2,AAAA ", "v1,AAAA ", "garbage ", "v1,!!! "}).Draw(rt, "extra")
		h.Set("webhook-signature", extra+h.Get("webhook-signature"))
		oracle, err := standardwebhooks.NewWebhook(secretA)
		if err != nil {
			rt.Fatal(err)
		}
		theirs := oracle.Verify(body, h)
		_, ours := verifier(t, now, secretA).Verify(h, body)
		if (ours == nil) != (theirs == nil) {
			rt.Fatalf("ours %v, theirs %v for %q", ours, theirs, h.Get("webhook-signature"))
		}
	})
}

func TestAnyFlippedBitIsRefused(t *testing.T) {
	v := verifier(t, sentAt, secretA)
	rapid.Check(t, func(rt *rapid.T) {
		parts := map[string][]byte{"body": rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "body"), "id": []byte("msg_1234567890")}
		h := signed(t, secretA, string(parts["id"]), sentAt, parts["body"])
		if _, err := v.Verify(h, parts["body"]); err != nil {
			rt.Fatal(err)
		}
		parts["timestamp"] = []byte(h.Get("webhook-timestamp"))
		signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.Get("webhook-signature"), "v1,"))
		if err != nil {
			rt.Fatal(err)
		}
		parts["signature"] = signature
		name := rapid.SampledFrom([]string{"body", "id", "timestamp", "signature"}).Draw(rt, "part")
		bit := rapid.IntRange(0, len(parts[name])*8-1).Draw(rt, "bit")
		parts[name][bit/8] ^= 1 << (bit % 8)
		h["Webhook-Id"] = []string{string(parts["id"])}
		h["Webhook-Timestamp"] = []string{string(parts["timestamp"])}
		h["Webhook-Signature"] = []string{"v1," + base64.StdEncoding.EncodeToString(parts["signature"])}
		if _, err := v.Verify(h, parts["body"]); err == nil {
			rt.Fatalf("accepted with bit %d of the %s flipped", bit, name)
		}
	})
}

func TestEveryCharacterOfTheSignatureCounts(t *testing.T) {
	body := []byte("{}")
	h := signed(t, secretA, "msg_1", sentAt, body)
	good := h.Get("webhook-signature")
	for i := range good {
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			h["Webhook-Signature"] = []string{string(b)}
			if _, err := verifier(t, sentAt, secretA).Verify(h, body); err == nil {
				t.Errorf("accepted %q", b)
			}
		}
	}
}

func TestSignatureWindowIsFiveMinutesBothWays(t *testing.T) {
	body := []byte("{}")
	for offset, want := range map[time.Duration]error{
		0: nil, 5 * time.Minute: nil, -5 * time.Minute: nil,
		5*time.Minute + time.Second: ErrStale, -5*time.Minute - time.Second: ErrStale, 24 * time.Hour: ErrStale,
	} {
		_, err := verifier(t, sentAt.Add(offset), secretA).Verify(signed(t, secretA, "msg_1", sentAt, body), body)
		if !errors.Is(err, want) {
			t.Errorf("%s after sending: %v, want %v", offset, err, want)
		}
	}
}

func TestRotationAcceptsEveryConfiguredSecret(t *testing.T) {
	body := []byte("{}")
	fromA, fromB := signed(t, secretA, "msg_1", sentAt, body), signed(t, secretB, "msg_1", sentAt, body)
	both := fromA.Clone()
	both.Set("webhook-signature", fromA.Get("webhook-signature")+" "+fromB.Get("webhook-signature"))
	cases := []struct {
		name    string
		header  http.Header
		secrets []string
		want    error
	}{
		{"the receiver knows both, the sender uses the old", fromA, []string{secretB, secretA}, nil},
		{"the receiver knows both, the sender uses the new", fromB, []string{secretB, secretA}, nil},
		{"the sender signs with both, the receiver knows the new", both, []string{secretB}, nil},
		{"the sender signs with both, the receiver knows the old", both, []string{secretA}, nil},
		{"the old one has gone", fromA, []string{secretB}, ErrBadSignature},
		{"no secret", fromA, nil, ErrNoSecret},
	}
	for _, c := range cases {
		if _, err := verifier(t, sentAt, c.secrets...).Verify(c.header, body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if liwanag.ClassOf(ErrNoSecret) != liwanag.Unavailable || liwanag.ClassOf(ErrBadSignature) != liwanag.Unauthorized {
		t.Error("a missing secret is our fault, a wrong signature the sender's")
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	body := []byte("{}")
	for name, change := range map[string]func(http.Header){
		"no id":               func(h http.Header) { h.Del("webhook-id") },
		"no timestamp":        func(h http.Header) { h.Del("webhook-timestamp") },
		"no signature":        func(h http.Header) { h.Del("webhook-signature") },
		"empty id":            func(h http.Header) { h.Set("webhook-id", "") },
		"two ids":             func(h http.Header) { h.Add("webhook-id", "msg_2") },
		"two timestamps":      func(h http.Header) { h.Add("webhook-timestamp", "1") },
		"long id":             func(h http.Header) { h.Set("webhook-id", strings.Repeat("x", maxWebhookID+1)) },
		"timestamp with sign": func(h http.Header) { h.Set("webhook-timestamp", "+"+h.Get("webhook-timestamp")) },
		"timestamp in words":  func(h http.Header) { h.Set("webhook-timestamp", "now") },
		"negative timestamp":  func(h http.Header) { h.Set("webhook-timestamp", "-1") },
		"huge timestamp":      func(h http.Header) { h.Set("webhook-timestamp", "9223372036854775807") },
		"other version": func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(h.Get("webhook-signature"), "v1", "v2", 1))
		},
		"no version": func(h http.Header) { h.Set("webhook-signature", strings.TrimPrefix(h.Get("webhook-signature"), "v1,")) },
		"not base64": func(h http.Header) { h.Set("webhook-signature", "v1,***") },
	} {
		h := signed(t, secretA, "msg_1", sentAt, body)
		change(h)
		if _, err := verifier(t, sentAt, secretA).Verify(h, body); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsAreCheckedWithoutBeingRepeated(t *testing.T) {
	for _, secret := range []string{"", "whsec_", "whsec_???", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23))} {
		if _, err := NewVerifier(StandardWebhooks(), []string{secretA, secret}, nil); err == nil || !strings.Contains(err.Error(), "secret 2") {
			t.Errorf("%q: %v", secret, err)
		} else if len(secret) > 10 && strings.Contains(err.Error(), secret[6:]) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

func FuzzSignatureHeaders(f *testing.F) {
	body := []byte(`{"email":"a@x.com"}`)
	h := signed(f, secretA, "msg_1", sentAt, body)
	f.Add(h.Get("webhook-id"), h.Get("webhook-timestamp"), h.Get("webhook-signature"), body)
	f.Add("", "-0", "v1, v1,, ,v1", body)
	v := verifier(f, sentAt, secretA)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, content []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		_, err := v.Verify(h, content)
		if err != nil {
			return
		}
		want := hmac.New(sha256.New, v.keys[0])
		want.Write([]byte(id + "." + timestamp + "."))
		want.Write(content)
		for part := range strings.SplitSeq(signature, " ") {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(part), "v1,"))
			if err == nil && bytes.Equal(raw, want.Sum(nil)) {
				return
			}
		}
		t.Fatalf("accepted %q %q %q", id, timestamp, signature)
	})
}
