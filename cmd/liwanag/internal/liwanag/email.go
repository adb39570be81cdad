package liwanag

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of an address in bytes of UTF-8: RFC 5321 4.5.3.1 with the path limit
// of 256 less its two angle brackets.
const (
	maxEmailBytes  = 254
	maxLocalBytes  = 64
	maxDomainBytes = 253
	maxLabelBytes  = 63
)

// ErrInvalidEmail is what ParseEmail returns, with a message that says why. It
// never contains the address itself, so it may be logged and shown.
var ErrInvalidEmail = &Error{Class: Invalid, Code: CodeInvalidEmail, Message: "this is not an e-mail address"}

// Email is an address that was checked by ParseEmail.
type Email struct {
	// Address is what was given: trimmed, NFC, the domain lower-cased and in
	// ASCII (punycode). This is where mail would go.
	Address string
	// Key is the address lower-cased as a whole: two addresses with one key
	// are one person. Dots and plus tags are kept, since only some providers
	// ignore them.
	Key string
	// Domain is the part after the @, lower-cased and in ASCII.
	Domain string
}

// ParseEmail checks one bare address and normalizes it. Internationalized
// local parts (RFC 6531) and domains are accepted; display names, several
// addresses, quoted local parts, address literals and domains of a single
// label are refused. The error is ErrInvalidEmail.
func ParseEmail(raw string) (Email, error) {
	s := strings.TrimSpace(raw)
	if reason := refuseText(s); reason != "" {
		return Email{}, invalidEmail(reason)
	}
	s = norm.NFC.String(s)
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Email{}, invalidEmail("the address has no @")
	}
	local := s[:at]
	if reason := refuseLocal(local); reason != "" {
		return Email{}, invalidEmail(reason)
	}
	domain, ok := normalizeDomain(s[at+1:])
	if !ok {
		return Email{}, invalidEmail("the part after the @ is not a valid domain")
	}
	e := Email{Address: s, Domain: domain}
	if s[at+1:] != domain {
		e.Address = local + "@" + domain
	}
	e.Key = lowerKey(e.Address)
	if len(e.Address) > maxEmailBytes || len(e.Key) > maxEmailBytes || len(e.Key)-len(domain)-1 > maxLocalBytes {
		return Email{}, invalidEmail("the address is too long")
	}
	return e, nil
}

func invalidEmail(reason string) error { return NewError(Invalid, CodeInvalidEmail, reason) }

// lowerKey lower-cases until nothing changes: composing a letter with its
// accents can give a capital again.
func lowerKey(s string) string {
	for {
		lower := norm.NFC.String(strings.ToLower(s))
		if lower == s {
			return s
		}
		s = lower
	}
}

// refuseText names what makes the whole text unusable, or returns "".
func refuseText(s string) string {
	switch {
	case s == "":
		return "the address is empty"
	case len(s) > maxEmailBytes:
		return "the address is longer than 254 bytes"
	case !utf8.ValidString(s):
		return "the address is not valid UTF-8"
	}
	ats := 0
	for _, r := range s {
		switch {
		case r == '@':
			ats++
		case r == '<' || r == '>' || r == '(' || r == ')':
			return "give the address alone, without a display name or comment"
		case r == ',' || r == ';':
			return "give one address only"
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError:
			return "the address contains an invisible or control character"
		case unicode.IsSpace(r):
			return "the address contains a space"
		}
	}
	if ats > 1 {
		return "give one address only"
	}
	return ""
}

// refuseLocal checks the part before the @: a dot-atom of RFC 5322, with
// letters of any script.
func refuseLocal(local string) string {
	switch {
	case local == "":
		return "nothing stands before the @"
	case len(local) > maxLocalBytes:
		return "the part before the @ is longer than 64 bytes"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "the part before the @ has a dot at its start or end, or two in a row"
	}
	for _, r := range local {
		if r < utf8.RuneSelf && !isAtomByte(byte(r)) { // #nosec G115 -- ASCII
			return "the part before the @ contains a character that is not allowed"
		}
	}
	return ""
}

func isAtomByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// normalizeDomain lower-cases a domain, brings it into ASCII (UTS 46, as a
// browser would look it up) and says whether it can be one on the Internet.
func normalizeDomain(domain string) (string, bool) {
	plain, hasUpper := true, false
	for i := 0; i < len(domain); i++ {
		c := domain[i]
		plain = plain && c < utf8.RuneSelf && !hyphensAt(domain, i)
		hasUpper = hasUpper || c >= 'A' && c <= 'Z'
	}
	if !plain {
		ascii, err := idna.Lookup.ToASCII(domain)
		return ascii, err == nil && isDomain(ascii)
	}
	if hasUpper {
		domain = strings.ToLower(domain)
	}
	return domain, isDomain(domain)
}

// hyphensAt reports whether a label that starts at i has hyphens in its third
// and fourth place, which is reserved for punycode and checked by package idna.
func hyphensAt(domain string, i int) bool {
	return (i == 0 || domain[i-1] == '.') && i+4 <= len(domain) && domain[i+2:i+4] == "--"
}

// isDomain checks letters, digits and hyphens, the lengths, at least two labels
// and a top-level domain that is not a number.
func isDomain(domain string) bool {
	if len(domain) > maxDomainBytes {
		return false
	}
	labels, rest := 0, domain
	for more := true; more; labels++ {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !isLabel(label) {
			return false
		}
		if !more && label[0] >= '0' && label[0] <= '9' {
			return false // no top-level domain starts with a digit: this is an IP address
		}
	}
	return labels >= 2
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := 0; i < len(label); i++ {
		c := label[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}
