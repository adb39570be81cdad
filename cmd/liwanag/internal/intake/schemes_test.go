package intake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// vector is a webhook as another implementation signed it; signatures.mjs beside
// it makes them.
type vector struct {
	Scheme  string
	Profile *HMACProfile
	Secret  string
	Headers map[string]string
	Body    string
	At      string // Unix milliseconds
	ID      string
}

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/signatures.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]vector
	if err := json.Unmarshal(raw, &all); err != nil || len(all) < 10 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	return all
}

func (v vector) scheme(t testing.TB) Scheme {
	t.Helper()
	if v.Profile != nil {
		s, err := v.Profile.Scheme()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, s := range map[string]Scheme{"standard-webhooks": StandardWebhooks(), "svix": Svix(),
		"ghost": Ghost(false), "ghost-body": Ghost(true),
		"kit": Kit(), "bearer": Bearer()} {
		if name == v.Scheme {
			return s
		}
	}
	t.Fatalf("no scheme %q", v.Scheme)
	return Scheme{}
}

func (v vector) at(t testing.TB) time.Time {
	t.Helper()
	if v.At == "" {
		return time.Time{}
	}
	millis, err := strconv.ParseInt(v.At, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(millis).UTC()
}

func (v vector) header() http.Header {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return h
}

// verifier knows the given secrets, at a time so long after the webhook was sent.
func (v vector) verifier(t testing.TB, after time.Duration, secrets ...string) *Verifier {
	t.Helper()
	made, err := NewVerifier(v.scheme(t), secrets, func() time.Time { return v.at(t).Add(after) })
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestWhatOtherImplementationsSignedIsAccepted(t *testing.T) {
	for name, v := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			proof, err := v.verifier(t, 0, v.Secret).Verify(v.header(), []byte(v.Body))
			if err != nil || proof.ID != v.ID || !proof.At.Equal(v.at(t)) {
				t.Errorf("%+v, %v, want %q %s", proof, err, v.ID, v.at(t))
			}
		})
	}
}

// another is a secret that nothing here is signed with, in the form of either kind.
const another = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

func TestEverySchemeTakesTheSecondSecretAndNoWrongOne(t *testing.T) {
	for name, v := range vectors(t) {
		for _, c := range []struct {
			secrets []string
			want    error
		}{{[]string{another, v.Secret}, nil}, {[]string{v.Secret, another}, nil}, {[]string{another}, ErrBadSignature}, {nil, ErrNoSecret}} {
			if _, err := v.verifier(t, 0, c.secrets...).Verify(v.header(), []byte(v.Body)); !errors.Is(err, c.want) {
				t.Errorf("%s with %q: %v, want %v", name, c.secrets, err, c.want)
			}
		}
		none := v.header()
		none.Del(v.scheme(t).SignatureHeader)
		twice := v.header()
		twice.Add(v.scheme(t).SignatureHeader, twice.Get(v.scheme(t).SignatureHeader))
		for _, h := range []http.Header{none, twice} {
			if _, err := v.verifier(t, 0, v.Secret).Verify(h, []byte(v.Body)); !errors.Is(err, ErrUnsigned) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAReplayOutsideOfItsWindowIsRefused(t *testing.T) {
	timed := 0
	for name, v := range vectors(t) {
		s := v.scheme(t)
		if s.ParseTime == nil {
			if _, err := v.verifier(t, 1000*time.Hour, v.Secret).Verify(v.header(), []byte(v.Body)); err != nil {
				t.Errorf("%s has no time: %v", name, err)
			}
			continue
		}
		timed++
		window := SignatureTolerance
		if v.Profile != nil && v.Profile.ToleranceSeconds > 0 {
			window = time.Duration(v.Profile.ToleranceSeconds) * time.Second
		}
		for after, want := range map[time.Duration]error{window: nil, -window: nil, window + time.Millisecond: ErrStale,
			-window - time.Millisecond: ErrStale} {
			if _, err := v.verifier(t, after, v.Secret).Verify(v.header(), []byte(v.Body)); !errors.Is(err, want) {
				t.Errorf("%s, %s after it was sent: %v, want %v", name, after, err, want)
			}
		}
	}
	if timed < 6 {
		t.Errorf("only %d schemes have a time", timed)
	}
}

func TestAnyFlippedBitOfAnySchemeIsRefused(t *testing.T) {
	all := vectors(t)
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "vector")
		v := all[name]
		s := v.scheme(t)
		parts := append(slices.Sorted(maps.Keys(v.Headers)), "")
		part := rapid.SampledFrom(parts).Draw(rt, "part")
		whole := []byte(v.Body)
		if part != "" {
			whole = []byte(v.Headers[part])
		}
		bit := rapid.IntRange(0, len(whole)*8-1).Draw(rt, "bit")
		flipped := slices.Clone(whole)
		flipped[bit/8] ^= 1 << (bit % 8)
		switch {
		case part == "" && s.Hash == nil, // a bearer's secret says nothing of the body
			part != "" && s.Decode != nil && strings.EqualFold(string(whole), string(flipped)) && !isBase64(s),
			part != "" && v.Scheme == "ghost-body", // its time is not signed
			strings.Contains(name, "rotated") && part != "" && bytes.Contains(flipped, whole[len(whole)-64:]):
			return // nothing that is signed has changed
		}
		header, body := v.header(), []byte(v.Body)
		if part == "" {
			body = flipped
		} else {
			header[http.CanonicalHeaderKey(part)] = []string{string(flipped)}
		}
		if _, err := v.verifier(t, 0, v.Secret).Verify(header, body); err == nil {
			rt.Fatalf("%s: accepted with bit %d of %q flipped", name, bit, part)
		}
	})
}

func isBase64(s Scheme) bool {
	_, err := s.Decode("Ab+/")
	return err == nil && s.Hash != nil
}

func TestAPathAloneProvesNothingAndNeedsNoSecret(t *testing.T) {
	v, err := NewVerifier(PathOnly(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := v.Verify(http.Header{}, nil); err != nil || proof != (Proof{}) {
		t.Errorf("%+v, %v", proof, err)
	}
}

func TestTheNameOfTheBearerSchemeIgnoresCase(t *testing.T) {
	v := vectors(t)["bearer"]
	for value, want := range map[string]error{"bearer " + v.Secret: nil, "BEARER  " + v.Secret: nil, "Basic " +
		v.Secret: ErrUnsigned, "Bearer ": ErrUnsigned,
		"Bearer": ErrUnsigned, v.Secret: ErrUnsigned, "Bearer " + v.Secret[1:]: ErrBadSignature, "Bearer " + v.Secret + "x": ErrBadSignature} {
		if _, err := v.verifier(t, 0, v.Secret).Verify(http.Header{"Authorization": {value}}, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
}

func TestATimeIsReadHoweverItIsWritten(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	profile := HMACProfile{Header: "X-S", Signed: "{timestamp}.{body}", TimestampHeader: "X-T"}
	scheme, err := profile.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	sent := func(text string) http.Header {
		mac := hmac.New(sha256.New, []byte(another))
		mac.Write([]byte(text + ".{}"))
		return http.Header{"X-S": {hex.EncodeToString(mac.Sum(nil))}, "X-T": {text}}
	}
	for _, text := range []string{"1795348800", "1795348800000", "1795348800000000", "1795348800000000000",
		"2026-11-22T12:00:00Z", "2026-11-22T12:00:00.000Z",
		"2026-11-22T13:00:00+01:00", "Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:00:00 +0000", "Sunday, 22-Nov-26 12:00:00 GMT",
		"Sun Nov 22 12:00:00 2026"} {
		for age, want := range map[time.Duration]error{0: nil, 5 * time.Minute: nil, -5 * time.Minute: nil, 5*time.Minute +
			time.Second: ErrStale, -5*time.Minute - time.Second: ErrStale} {
			v, err := NewVerifier(scheme, []string{another}, func() time.Time { return at.Add(age) })
			if err != nil {
				t.Fatal(err)
			}
			if proof, err := v.Verify(sent(text), []byte("{}")); !errors.Is(err, want) || err == nil && !proof.At.Equal(at) {
				t.Errorf("%q at an age of %s: %v, %v, want %v", text, age, proof.At, err, want)
			}
		}
	}
	v, err := NewVerifier(scheme, []string{another}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"now", "+1795348800", "-1", "01795348800", "1795348800.0", "2026-11-22",
		"2026-11-22 12:00:00", "99999999999999999999", " 1795348800"} {
		if _, err := v.Verify(sent(text), []byte("{}")); !errors.Is(err, ErrUnsigned) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAProfileThatVerifiesNothingIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		profile HMACProfile
		want    string
	}{
		"no header":                       {HMACProfile{}, "header is not"},
		"a header with a space":           {HMACProfile{Header: "X Signature"}, "header is not"},
		"an unknown hash":                 {HMACProfile{Header: "X-S", Hash: "md5"}, "hash is none"},
		"an unknown encoding":             {HMACProfile{Header: "X-S", Encoding: "utf8"}, "encoding is neither"},
		"the body is not signed":          {HMACProfile{Header: "X-S", TimestampHeader: "X-T", Signed: "{timestamp}"}, "lacks {body}"},
		"a time that is not signed":       {HMACProfile{Header: "X-S", TimestampHeader: "X-T"}, "timestampHeader is not signed"},
		"a time that does not come":       {HMACProfile{Header: "X-S", Signed: "{timestamp}{body}"}, "no timestampHeader"},
		"an id that does not come":        {HMACProfile{Header: "X-S", Signed: "{id}{body}"}, "no idHeader"},
		"a placeholder that is none":      {HMACProfile{Header: "X-S", Signed: "{url}{body}"}, "holds a brace"},
		"a placeholder without its end":   {HMACProfile{Header: "X-S", Signed: "{body}{"}, "holds a brace"},
		"a window of a day":               {HMACProfile{Header: "X-S", ToleranceSeconds: 86400}, "toleranceSeconds"},
		"the name of a header in the way": {HMACProfile{Header: "X-S", IDHeader: "a:b"}, "idHeader is not"},
		"a prefix of no time":             {HMACProfile{Header: "X-S", TimestampPrefix: "t="}, "timestampPrefix needs"},
		"one prefix for two things":       {HMACProfile{Header: "X-S", Prefix: "t=", TimestampHeader: "x-s", Signed: "{timestamp}{body}"}, "prefix begins as"},
		"a prefix that never comes":       {HMACProfile{Header: "X-S", Prefix: " sha256="}, "prefix is"},
	} {
		if _, err := c.profile.Scheme(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestASecretThatCanBeGuessedIsRefused(t *testing.T) {
	for _, scheme := range []Scheme{Ghost(false), Kit(), Bearer()} {
		for secret, ok := range map[string]bool{"": false, "secret": false, strings.Repeat("x", 15): false,
			strings.Repeat("x", 16): true, strings.Repeat("x", 501): false} {
			if _, err := NewVerifier(scheme, []string{secret}, nil); (err == nil) != ok {
				t.Errorf("%s, %d characters: %v", scheme.Name, len(secret), err)
			}
		}
	}
}

// What is accepted carries the signature that a second way of making it gives.
func FuzzSignatureHeadersOfEveryScheme(f *testing.F) {
	all := vectors(f)
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		v := all[name]
		s := v.scheme(f)
		f.Add(byte(i), v.Headers[s.SignatureHeader], v.Headers[s.TimestampHeader], v.ID, v.Body)
	}
	f.Add(byte(2), "sha256=, t=,t=-1,sha256=zz", "", "", "")
	f.Fuzz(func(t *testing.T, which byte, signature, timestamp, id, body string) {
		v := all[names[int(which)%len(names)]]
		s := v.scheme(t)
		h := http.Header{}
		for name, value := range map[string]string{s.SignatureHeader: signature, s.TimestampHeader: timestamp, s.IDHeader: id} {
			if name != "" {
				h[http.CanonicalHeaderKey(name)] = []string{value}
			}
		}
		verifier := v.verifier(t, 0, v.Secret)
		proof, err := verifier.Verify(h, []byte(body))
		if err != nil {
			return
		}
		want := []byte(v.Secret)
		if s.Hash != nil {
			if s.TimestampPrefix != "" {
				for _, element := range verifier.elements(signature) {
					if text, found := strings.CutPrefix(strings.TrimSpace(element), s.TimestampPrefix); found {
						timestamp = text
					}
				}
			}
			mac := hmac.New(s.Hash, verifier.keys[0])
			mac.Write([]byte(strings.NewReplacer("{id}", proof.ID, "{timestamp}", timestamp, "{body}", body).Replace(s.Signed)))
			want = mac.Sum(nil)
		}
		for _, written := range []string{hex.EncodeToString(want), base64.RawStdEncoding.EncodeToString(want),
			base64.RawURLEncoding.EncodeToString(want), string(want)} {
			if strings.Contains(strings.ToLower(signature), strings.ToLower(written)) {
				return
			}
		}
		t.Fatalf("%s accepted %q", v.Scheme, h)
	})
}

func TestABearerSecretIsKeptAsItsHash(t *testing.T) {
	const secret = "a-secret-of-a-sender-0123456789"
	scheme := Bearer()
	kept := scheme.Kept(secret)
	if strings.Contains(kept, secret) || !scheme.IsKept(kept) || scheme.IsKept(secret) {
		t.Fatalf("kept: %s", kept)
	}
	for name, stored := range map[string]string{"its hash": kept, "as an older release kept it": secret} {
		v, err := NewVerifier(scheme, []string{stored}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(http.Header{"Authorization": {"bearer " + secret}}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, wrong := range []string{kept, strings.TrimPrefix(kept, "sha256:"), "wrong", ""} {
			if _, err := v.Verify(http.Header{"Authorization": {"Bearer " + wrong}}, nil); err == nil {
				t.Errorf("%s: %q is taken", name, wrong)
			}
		}
	}
	if signs := StandardWebhooks(); signs.Kept("whsec_x") != "whsec_x" {
		t.Error("a secret that signs is not kept whole")
	}
}
