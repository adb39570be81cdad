package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// Scheme describes how a sender signs its webhooks: HMAC over a template of
// what it sends. A sender is one value of this type; there is no code of its
// own for any.
type Scheme struct {
	Name string
	// SignatureHeader carries elements parted by ElementSeparator, each a key and
	// a value parted by KeySeparator; an empty KeySeparator means values alone.
	// Elements whose key is SignatureKey are signatures, and any one that fits is
	// enough; the others are ignored.
	SignatureHeader  string
	ElementSeparator string
	KeySeparator     string
	SignatureKey     string
	// Hash and Decode say what a signature is: a MAC with this hash, written in
	// this encoding.
	Hash   func() hash.Hash
	Decode func(string) ([]byte, error)
	// TimestampHeader, or the element TimestampKey of the signature header,
	// carries the time of sending in TimeUnits since 1970. TimeUnit 0: none.
	TimestampHeader string
	TimestampKey    string
	TimeUnit        time.Duration
	// IDHeader carries the webhook's id; empty: none.
	IDHeader string
	// Signed is what is signed: text with {id}, {timestamp} and {body}.
	Signed string
	// Key makes the key of the secret that a person enters.
	Key func(secret string) ([]byte, error)
}

// StandardWebhooks is the scheme of https://www.standardwebhooks.com.
func StandardWebhooks() Scheme {
	return Scheme{
		Name:             "standard-webhooks",
		SignatureHeader:  "webhook-signature",
		ElementSeparator: " ",
		KeySeparator:     ",",
		SignatureKey:     "v1",
		Hash:             sha256.New,
		Decode:           base64.StdEncoding.Strict().DecodeString,
		TimestampHeader:  "webhook-timestamp",
		TimeUnit:         time.Second,
		IDHeader:         "webhook-id",
		Signed:           "{id}.{timestamp}.{body}",
		Key:              standardKey,
	}
}

// minStandardKey is the least the Standard Webhooks specification allows.
const minStandardKey = 24

// standardKey decodes whsec_<base64>.
func standardKey(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, errors.New("it is not of the form whsec_<base64>")
	}
	if len(key) < minStandardKey {
		return nil, fmt.Errorf("its key is shorter than %d bytes; make one with: echo whsec_$(openssl rand -base64 32)", minStandardKey)
	}
	return key, nil
}

const (
	// SignatureTolerance is how far the time of sending may lie from ours, either
	// way.
	SignatureTolerance = 5 * time.Minute
	maxWebhookID       = 256
	maxSignatures      = 32
)

// Why a webhook was refused.
var (
	// ErrNoSecret: no secret is configured, so nothing can be verified.
	ErrNoSecret = liwanag.NewError(liwanag.Unavailable, "secret_missing", "no secret is configured for this endpoint")
	// ErrUnsigned: a header that the scheme needs is missing, there twice, or not
	// of its form.
	ErrUnsigned = liwanag.NewError(liwanag.Unauthorized, "signature_missing", "the signature headers are missing or malformed")
	// ErrBadSignature: no signature fits.
	ErrBadSignature = liwanag.NewError(liwanag.Unauthorized, "signature_wrong", "the signature does not fit")
	// ErrStale: the signature fits, but the time of sending is too far away.
	ErrStale = liwanag.NewError(liwanag.Unauthorized, "signature_stale", "the webhook was signed more than five minutes away from now: check the sender's clock")
)

// Verifier checks signatures of one scheme. It is safe for concurrent use.
type Verifier struct {
	scheme Scheme
	keys   [][]byte
	now    func() time.Time
}

// Proof is what a valid signature vouches for besides the body.
type Proof struct {
	ID string    // empty when the scheme has none
	At time.Time // zero when the scheme has none
}

// NewVerifier takes all secrets that are valid at present, several while they
// are rotated. Without any, the verifier refuses everything with ErrNoSecret.
// now is the wall clock, nil means time.Now.
func NewVerifier(scheme Scheme, secrets []string, now func() time.Time) (*Verifier, error) {
	if now == nil {
		now = time.Now
	}
	v := &Verifier{scheme: scheme, now: now}
	for i, secret := range secrets {
		key, err := scheme.Key(strings.TrimSpace(secret))
		if err != nil {
			return nil, fmt.Errorf("%s secret %d: %w", scheme.Name, i+1, err)
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// Verify checks the signature over the body's bytes as they came, before
// anything is parsed. The error is one of this file's sentinels.
func (v *Verifier) Verify(header http.Header, body []byte) (Proof, error) {
	if len(v.keys) == 0 {
		return Proof{}, ErrNoSecret
	}
	proof, timestamp, signatures, ok := v.read(header)
	if !ok {
		return Proof{}, ErrUnsigned
	}
	if !v.anyFits(signatures, proof.ID, timestamp, body) {
		return Proof{}, ErrBadSignature
	}
	if age := v.now().Sub(proof.At); v.scheme.TimeUnit > 0 && (age > SignatureTolerance || age < -SignatureTolerance) {
		return Proof{}, ErrStale
	}
	return proof, nil
}

func (v *Verifier) anyFits(signatures [][]byte, id, timestamp string, body []byte) bool {
	fits := false
	for _, key := range v.keys {
		mac := hmac.New(v.scheme.Hash, key)
		writeSigned(mac, v.scheme.Signed, id, timestamp, body)
		sum := mac.Sum(nil)
		for _, signature := range signatures {
			fits = hmac.Equal(signature, sum) || fits
		}
	}
	return fits
}

// writeSigned writes the template with its values; values are never searched
// for placeholders.
func writeSigned(mac hash.Hash, template, id, timestamp string, body []byte) {
	for template != "" {
		text, rest, found := strings.Cut(template, "{")
		mac.Write([]byte(text))
		if !found {
			return
		}
		var name string
		name, template, _ = strings.Cut(rest, "}")
		switch name {
		case "id":
			mac.Write([]byte(id))
		case "timestamp":
			mac.Write([]byte(timestamp))
		case "body":
			mac.Write(body)
		}
	}
}

// read takes the headers apart.
func (v *Verifier) read(header http.Header) (proof Proof, timestamp string, signatures [][]byte, ok bool) {
	elements, ok := single(header, v.scheme.SignatureHeader)
	if !ok {
		return Proof{}, "", nil, false
	}
	for element := range strings.SplitSeq(elements, v.scheme.ElementSeparator) {
		key, value := "", strings.TrimSpace(element)
		if v.scheme.KeySeparator != "" {
			key, value, _ = strings.Cut(value, v.scheme.KeySeparator)
		}
		switch {
		case key == v.scheme.SignatureKey && len(signatures) < maxSignatures:
			if signature, err := v.scheme.Decode(value); err == nil {
				signatures = append(signatures, signature)
			}
		case key == v.scheme.TimestampKey && v.scheme.TimestampKey != "":
			timestamp = value
		}
	}
	if v.scheme.IDHeader != "" {
		if proof.ID, ok = single(header, v.scheme.IDHeader); !ok || len(proof.ID) > maxWebhookID {
			return Proof{}, "", nil, false
		}
	}
	if v.scheme.TimestampHeader != "" {
		if timestamp, ok = single(header, v.scheme.TimestampHeader); !ok {
			return Proof{}, "", nil, false
		}
	}
	if v.scheme.TimeUnit > 0 {
		if proof.At, ok = parseTimestamp(timestamp, v.scheme.TimeUnit); !ok {
			return Proof{}, "", nil, false
		}
	}
	return proof, timestamp, signatures, len(signatures) > 0
}

// parseTimestamp accepts only the one way to write a number, within the years
// that time.Duration arithmetic can tell apart.
func parseTimestamp(text string, unit time.Duration) (time.Time, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	perSecond := int64(time.Second / unit)
	if err != nil || strconv.FormatInt(n, 10) != text || n < 0 || n/perSecond > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC(), true
}

// single is a header's value if it is there exactly once and not empty.
func single(header http.Header, name string) (string, bool) {
	values := header.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}
