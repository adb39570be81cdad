package intake

import (
	"cmp"
	"crypto/hmac"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Scheme describes how a sender proves that a webhook is its own: an HMAC over a
// template of what it sends, the secret itself, or nothing but the address it
// sends to. A sender is one value of this type; there is no code of its own for
// any.
type Scheme struct {
	Name string
	// SignatureHeader carries elements parted by any of ElementSeparators (empty: a
	// single one). Those that begin with SignaturePrefix are signatures, and any one that
	// fits is enough; the others are ignored. Empty: the sender proves nothing, the
	// address it knows must do.
	SignatureHeader   string
	ElementSeparators string
	SignaturePrefix   string
	// Hash and Decode say what a signature is: a MAC with this hash, written in
	// this encoding. Hash nil: the secret itself, behind an authentication scheme's
	// name in SignaturePrefix.
	Hash   func() hash.Hash
	Decode func(string) ([]byte, error)
	// TimestampHeader, or the element of the signature header that begins with
	// TimestampPrefix, carries the time of sending, which ParseTime reads. It may lie
	// Tolerance from ours, either way (0: SignatureTolerance). ParseTime nil: there is
	// no time.
	TimestampHeader string
	TimestampPrefix string
	ParseTime       func(string) (time.Time, bool)
	Tolerance       time.Duration
	// IDHeader carries the webhook's id; empty: none.
	IDHeader string
	// Signed is what is signed: text with {id}, {timestamp} and {body}.
	Signed string
	// Key makes the key of the secret that a person enters.
	Key func(secret string) ([]byte, error)
}

const (
	// SignatureTolerance is how far the time of sending may lie from ours, either
	// way, where a scheme says nothing else.
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
	ErrStale = liwanag.NewError(liwanag.Unauthorized, "signature_stale",
		"the webhook was signed too long ago, or ahead of our clock: check the sender's clock")
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
	scheme.Tolerance = cmp.Or(scheme.Tolerance, SignatureTolerance)
	v := &Verifier{scheme: scheme, now: now}
	if scheme.SignatureHeader == "" {
		return v, nil
	}
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
	if v.scheme.SignatureHeader == "" {
		return Proof{}, nil
	}
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
	if age := v.now().Sub(proof.At); v.scheme.ParseTime != nil && (age > v.scheme.Tolerance || age < -v.scheme.Tolerance) {
		return Proof{}, ErrStale
	}
	return proof, nil
}

func (v *Verifier) anyFits(signatures [][]byte, id, timestamp string, body []byte) bool {
	fits := false
	for _, key := range v.keys {
		sum := v.expected(key, id, timestamp, body)
		for _, signature := range signatures {
			fits = hmac.Equal(signature, sum) || fits
		}
	}
	return fits
}

// expected is the signature that a key makes.
func (v *Verifier) expected(key []byte, id, timestamp string, body []byte) []byte {
	if v.scheme.Hash == nil {
		return key
	}
	mac := hmac.New(v.scheme.Hash, key)
	writeSigned(mac, v.scheme.Signed, id, timestamp, body)
	return mac.Sum(nil)
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
	for _, element := range v.elements(elements) {
		element = strings.TrimSpace(element)
		if value, found := strings.CutPrefix(element, v.scheme.TimestampPrefix); found && v.scheme.TimestampPrefix != "" {
			timestamp = value
		} else if value, found := v.cutSignaturePrefix(element); found && len(signatures) < maxSignatures {
			if signature, err := v.scheme.Decode(value); err == nil && len(signature) > 0 {
				signatures = append(signatures, signature)
			}
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
	if v.scheme.ParseTime != nil {
		if proof.At, ok = v.scheme.ParseTime(timestamp); !ok {
			return Proof{}, "", nil, false
		}
	}
	return proof, timestamp, signatures, len(signatures) > 0
}

func (v *Verifier) elements(header string) []string {
	return strings.FieldsFunc(header, func(r rune) bool { return strings.ContainsRune(v.scheme.ElementSeparators, r) })
}

// cutSignaturePrefix ignores case where HTTP does, in the name of an
// authentication scheme.
func (v *Verifier) cutSignaturePrefix(element string) (value string, found bool) {
	prefix := v.scheme.SignaturePrefix
	if v.scheme.Hash == nil && len(element) >= len(prefix) && strings.EqualFold(element[:len(prefix)], prefix) {
		return element[len(prefix):], true
	}
	return strings.CutPrefix(element, prefix)
}

// sinceEpoch reads units since 1970. It accepts only the one way to write a number,
// within the years that time.Duration arithmetic can tell apart.
func sinceEpoch(unit time.Duration) func(string) (time.Time, bool) {
	return func(text string) (time.Time, bool) {
		n, err := strconv.ParseInt(text, 10, 64)
		perSecond := int64(time.Second / unit)
		if err != nil || strconv.FormatInt(n, 10) != text || n < 0 || n/perSecond > 1<<40 {
			return time.Time{}, false
		}
		return time.Unix(n/perSecond, n%perSecond*int64(unit)).UTC(), true
	}
}

// maxUnixSeconds is in the year 5138; as milliseconds it is in 1973.
const maxUnixSeconds = 100_000_000_000

// anyTime reads seconds or smaller units since 1970, RFC 3339, and HTTP's dates.
func anyTime(text string) (time.Time, bool) {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond} {
		if at, ok := sinceEpoch(unit)(text); ok && at.Unix() < maxUnixSeconds {
			return at, true
		}
	}
	for _, layout := range []string{time.RFC3339, time.RFC1123Z} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	at, err := http.ParseTime(text)
	return at.UTC(), err == nil
}

// single is a header's value if it is there exactly once and not empty.
func single(header http.Header, name string) (string, bool) {
	values := header.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}
