package liwanag

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Suppression is an address or a domain that nobody is to bring in again: who does
// stores nothing and looks nobody up.
type Suppression struct {
	ID ID
	// Digest is the HMAC of an address, as [SuppressionKey.Of] makes it; empty for a domain. Whoever has the
	// key can test addresses against it: it is pseudonymous, not anonymous.
	Digest string
	Domain string // with its subdomains; empty for an address
	// Email is the address as an operator gave it, until the person is erased; else empty.
	Email     string
	Reason    string
	CreatedAt time.Time
}

// SuppressionKey is the secret of the digests; it lies in the database.
type SuppressionKey []byte

// Of is the HMAC-SHA-256 of the mailbox of an e-mail key, as hexadecimal digits.
func (k SuppressionKey) Of(emailKey string) string {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(MailboxOf(emailKey)))
	return hex.EncodeToString(mac.Sum(nil))
}

// MailboxOf is the mailbox of an e-mail key. Gmail ignores dots, and what follows a plus; elsewhere every
// key is a mailbox.
func MailboxOf(emailKey string) string {
	if box, shared := SharedMailbox(emailKey); shared {
		return box
	}
	return emailKey
}

// SharedMailbox is the mailbox of an e-mail key whose provider gives one mailbox several addresses.
func SharedMailbox(emailKey string) (box string, shared bool) {
	local, domain, _ := strings.Cut(emailKey, "@")
	if !slices.Contains(gmail, domain) {
		return "", false
	}
	local, _, _ = strings.Cut(local, "+")
	local = strings.ReplaceAll(local, ".", "")
	return local + "@" + gmail[0], local != ""
}

// gmail are the names of Gmail's domain.
var gmail = []string{"gmail.com", "googlemail.com"}

// DomainsOf are the domain of an e-mail key with its other names, and those above it, without the top-level one.
func DomainsOf(emailKey string) (all []string) {
	domain := emailKey[strings.LastIndexByte(emailKey, '@')+1:]
	if slices.Contains(gmail, domain) {
		return slices.Clone(gmail)
	}
	for ; strings.Contains(domain, "."); _, domain, _ = strings.Cut(domain, ".") {
		all = append(all, domain)
	}
	return all
}

// ParseDomain normalizes a domain; ErrInvalidEmail for a text that is none.
func ParseDomain(text string) (string, error) {
	email, err := ParseEmail("x@" + strings.TrimPrefix(strings.TrimSpace(text), "@"))
	if err != nil {
		return "", invalidEmail("it is not a domain")
	}
	return email.Domain, nil
}

// Suppressions are those that concern some addresses.
type Suppressions struct {
	Key SuppressionKey
	All []Suppression
}

// Has says whether an address is suppressed.
func (s Suppressions) Has(emailKey string) bool {
	if len(s.All) == 0 {
		return false
	}
	digest, domains := s.Key.Of(emailKey), DomainsOf(emailKey)
	return slices.ContainsFunc(s.All, func(one Suppression) bool {
		return one.Digest == digest || one.Domain != "" && slices.Contains(domains, one.Domain)
	})
}

// ErrSuppressed: the address must not be looked up or taken back.
var ErrSuppressed = &Error{Class: Conflict, Code: "suppressed",
	Message: "the address is suppressed: remove the suppression first, if that is what the person wants"}
