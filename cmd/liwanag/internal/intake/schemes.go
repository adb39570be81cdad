package intake

import (
	"cmp"
	"crypto/sha1" // #nosec G505 -- HMAC with SHA-1 is what some senders sign with, and HMAC is sound with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strings"
	"time"
)

// StandardWebhooks is the scheme of https://www.standardwebhooks.com.
func StandardWebhooks() Scheme {
	return Scheme{
		Name:              "standard-webhooks",
		SignatureHeader:   "webhook-signature",
		ElementSeparators: " ",
		SignaturePrefix:   "v1,",
		Hash:              sha256.New,
		Decode:            strictBase64,
		TimestampHeader:   "webhook-timestamp",
		ParseTime:         sinceEpoch(time.Second),
		IDHeader:          "webhook-id",
		Signed:            "{id}.{timestamp}.{body}",
		Key:               standardKey,
	}
}

// Svix is StandardWebhooks under the header names of Svix's senders.
func Svix() Scheme {
	s := StandardWebhooks()
	s.Name, s.SignatureHeader, s.TimestampHeader, s.IDHeader = "svix", "svix-signature", "svix-timestamp", "svix-id"
	return s
}

// Ghost is the scheme of Ghost's webhooks: milliseconds, and nothing between
// body and time. Releases that sign the body alone leave the time unproven.
func Ghost(bodyAlone bool) Scheme {
	s := Scheme{
		Name:              "ghost",
		SignatureHeader:   "X-Ghost-Signature",
		ElementSeparators: ",",
		SignaturePrefix:   "sha256=",
		Hash:              sha256.New,
		Decode:            hex.DecodeString,
		TimestampPrefix:   "t=",
		ParseTime:         sinceEpoch(time.Millisecond),
		Signed:            "{body}{timestamp}",
		Key:               plainKey,
	}
	if bodyAlone {
		s.Signed = "{body}"
	}
	return s
}

// Kit is the scheme of Kit's webhook endpoints: several signatures while its
// secret is rotated.
func Kit() Scheme {
	return Scheme{
		Name:              "kit",
		SignatureHeader:   "X-Kit-Signature",
		ElementSeparators: ",",
		SignaturePrefix:   "v1=",
		Hash:              sha256.New,
		Decode:            hex.DecodeString,
		TimestampPrefix:   "t=",
		ParseTime:         sinceEpoch(time.Second),
		Signed:            "{timestamp}.{body}",
		Key:               plainKey,
	}
}

// Bearer is a secret that is sent as it is: Authorization: Bearer <secret>. Its hash is
// all that has to be kept, see Scheme.Kept.
func Bearer() Scheme {
	return Scheme{
		Name:            "bearer",
		SignatureHeader: "Authorization",
		SignaturePrefix: "Bearer ",
		Decode: func(s string) ([]byte, error) {
			sum := sha256.Sum256([]byte(strings.TrimSpace(s)))
			return sum[:], nil
		},
		Key: hashedKey,
	}
}

// hashedPrefix marks the hash of a secret, in hex, in place of the secret.
const hashedPrefix = "sha256:"

// hashedKey reads a secret, or its hash.
func hashedKey(secret string) ([]byte, error) {
	if sum, hashed := strings.CutPrefix(secret, hashedPrefix); hashed {
		if raw, err := hex.DecodeString(sum); err == nil && len(raw) == sha256.Size {
			return raw, nil
		}
	}
	key, err := plainKey(secret)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	return sum[:], nil
}

// Kept is what has to be kept of a secret that a person entered: of one that is sent as
// it is the hash alone, of one that signs all of it.
func (s Scheme) Kept(secret string) string {
	if s.Hash != nil {
		return secret
	}
	sum := sha256.Sum256([]byte(secret))
	return hashedPrefix + hex.EncodeToString(sum[:])
}

// IsKept says whether a stored secret has the form that Kept gives.
func (s Scheme) IsKept(stored string) bool {
	return s.Hash != nil || strings.HasPrefix(stored, hashedPrefix) && len(stored) == len(hashedPrefix)+2*sha256.Size
}

// PathOnly is for senders that prove nothing: whoever knows the address is
// believed.
func PathOnly() Scheme { return Scheme{Name: "path"} }

// HMACProfile describes the scheme of a sender that has no name here.
type HMACProfile struct {
	Header   string `json:"header"`             // carries one signature, or several parted by commas, semicolons or spaces
	Prefix   string `json:"prefix,omitempty"`   // before each signature, such as sha256=
	Hash     string `json:"hash,omitempty"`     // sha1, sha256 or sha512; default sha256
	Encoding string `json:"encoding,omitempty"` // hex, or base64 in either alphabet, padded or not; default hex
	// Signed is what is signed: text with {body}, {timestamp} and {id}; default
	// {body}.
	Signed string `json:"signed,omitempty"`
	// TimestampHeader carries the time of sending: Unix seconds, or a smaller unit,
	// RFC 3339, or a date of HTTP. The same as Header: there it stands among the
	// signatures, behind TimestampPrefix. Empty: none.
	TimestampHeader string `json:"timestampHeader,omitempty"`
	TimestampPrefix string `json:"timestampPrefix,omitempty"` // default t=
	// ToleranceSeconds is how far the time may lie from ours, 1 to 3600; 0: 300.
	ToleranceSeconds int    `json:"toleranceSeconds,omitempty"`
	IDHeader         string `json:"idHeader,omitempty"` // the webhook's id; empty: none
}

var (
	hashes    = map[string]func() hash.Hash{"": sha256.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
	encodings = map[string]func(string) ([]byte, error){"": hex.DecodeString, "hex": hex.DecodeString, "base64": anyBase64}
	// headerName is a token of RFC 9110.
	headerName = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]{1,100}$`)
	// placeholder is what a template may hold besides text.
	placeholder = regexp.MustCompile(`\{[^{}]*\}?|\}`)
)

// Scheme makes the profile a scheme, or says all that is wrong with it.
func (p HMACProfile) Scheme() (Scheme, error) {
	s := Scheme{
		Name: "hmac", SignatureHeader: p.Header, SignaturePrefix: p.Prefix, Hash: hashes[p.Hash], Decode: encodings[p.Encoding],
		TimestampHeader: p.TimestampHeader, Tolerance: time.Duration(p.ToleranceSeconds) * time.Second, IDHeader: p.IDHeader,
		Signed: p.Signed, Key: plainKey,
	}
	if s.Signed == "" {
		s.Signed = "{body}"
	}
	if s.TimestampHeader != "" {
		s.ParseTime = anyTime
	}
	inSignature := s.TimestampHeader != "" && strings.EqualFold(s.TimestampHeader, s.SignatureHeader)
	if inSignature {
		s.TimestampHeader, s.TimestampPrefix = "", cmp.Or(p.TimestampPrefix, "t=")
	}
	s.ElementSeparators = strings.Map(func(r rune) rune {
		if strings.ContainsRune(p.Prefix+s.TimestampPrefix, r) {
			return -1
		}
		return r
	}, ",; ")
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(!headerName.MatchString(p.Header), "header is not the name of a header")
	fault(p.TimestampHeader != "" && !headerName.MatchString(p.TimestampHeader), "timestampHeader is not the name of a header")
	fault(p.IDHeader != "" && !headerName.MatchString(p.IDHeader), "idHeader is not the name of a header")
	fault(len(p.Prefix) > 100 || strings.TrimLeft(p.Prefix, " ") != p.Prefix, "prefix is longer than 100 bytes or begins with a space")
	fault(p.TimestampPrefix != "" && !inSignature, "timestampPrefix needs a timestampHeader that is the same as header")
	fault(len(p.TimestampPrefix) > 100 || strings.TrimLeft(p.TimestampPrefix, " ") != p.TimestampPrefix,
		"timestampPrefix is longer than 100 bytes or begins with a space")
	fault(inSignature && strings.HasPrefix(p.Prefix, s.TimestampPrefix), "prefix begins as the time does: set timestampPrefix")
	fault(s.Hash == nil, "hash is none of sha1, sha256, sha512")
	fault(s.Decode == nil, "encoding is neither hex nor base64")
	fault(len(s.Signed) > 500 || !strings.Contains(s.Signed, "{body}"), "signed is longer than 500 bytes or lacks {body}")
	for _, name := range placeholder.FindAllString(s.Signed, -1) {
		switch name {
		case "{body}":
		case "{timestamp}":
			fault(p.TimestampHeader == "", "signed names {timestamp}, but there is no timestampHeader")
		case "{id}":
			fault(p.IDHeader == "", "signed names {id}, but there is no idHeader")
		default:
			fault(true, "signed holds a brace that is none of {body}, {timestamp}, {id}")
		}
	}
	fault(p.TimestampHeader != "" && !strings.Contains(s.Signed, "{timestamp}"),
		"timestampHeader is not signed: add {timestamp} to signed, or leave it out")
	fault(p.ToleranceSeconds < 0 || p.ToleranceSeconds > 3600, "toleranceSeconds is not between 1 and 3600")
	return s, errors.Join(faults...)
}

// anyBase64 reads either alphabet, with or without padding.
func anyBase64(s string) ([]byte, error) {
	return base64.RawStdEncoding.Strict().DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "=")))
}

func strictBase64(s string) ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(s) }

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

// minPlainKey keeps secrets out that can be guessed.
const minPlainKey = 16

// plainKey takes the secret's own bytes.
func plainKey(secret string) ([]byte, error) {
	if len(secret) < minPlainKey {
		return nil, fmt.Errorf("it is shorter than %d characters; make one with: openssl rand -hex 32", minPlainKey)
	}
	if len(secret) > 500 {
		return nil, errors.New("it is longer than 500 characters")
	}
	return []byte(secret), nil
}
