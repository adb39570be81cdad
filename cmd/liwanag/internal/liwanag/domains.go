package liwanag

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
)

//go:embed personal_domains.txt
var personalDomains string

//go:embed relay_domains.txt
var relayDomains string

//go:embed disposable_domains.txt
var disposableDomains string

// Domains tells personal from corporate addresses by a list of the domains of
// public mail providers: the person behind a personal address is unknown and
// worth a lookup, while the domain of any other names the company.
//
// A domain is personal when it stands on the list itself. A subdomain of a
// listed domain is not: at corp.mail.ru sit the provider's own employees, while
// mailbox subdomains such as vip.qq.com stand on the list by name. Domains are
// compared lower-cased and in ASCII, so a line in Cyrillic letters and an
// address in punycode meet. It is safe for concurrent use.
type Domains struct {
	personal map[string]EmailType // relay and disposable ones too
}

// BuiltinDomains returns the reviewed list that comes with the program.
func BuiltinDomains() *Domains {
	d := &Domains{personal: map[string]EmailType{}}
	for kind, lines := range map[EmailType]string{Personal: personalDomains, Relay: relayDomains, Disposable: disposableDomains} {
		if err := d.add(strings.NewReader(lines), kind); err != nil {
			panic(string(kind) + "_domains.txt: " + err.Error()) // a wrong definition, seen by every test
		}
	}
	return d
}

// LoadDomains returns the built-in list and the domains of a file added to it:
// one domain a line, # begins a comment. The error names every wrong line.
func LoadDomains(path string) (*Domains, error) {
	f, err := os.Open(path) // #nosec G304 -- the file that the operator names
	if err != nil {
		return nil, fmt.Errorf("personal domains: %w", err)
	}
	defer f.Close()
	d, err := BuiltinDomains().With(f)
	if err != nil {
		return nil, fmt.Errorf("personal domains file %s: %w", path, err)
	}
	return d, nil
}

// With returns a copy with the domains that r lists added.
func (d *Domains) With(r io.Reader) (*Domains, error) {
	extended := &Domains{personal: maps.Clone(d.personal)}
	if err := extended.add(r, Personal); err != nil {
		return nil, err
	}
	return extended, nil
}

func (d *Domains) add(r io.Reader, kind EmailType) error {
	var faults []error
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\uFEFF"), "#")
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		domain, ok := normalizeDomain(text)
		if !ok {
			faults = append(faults, fmt.Errorf("line %d is not a domain", n))
			continue
		}
		d.personal[domain] = kind
	}
	return errors.Join(append(faults, lines.Err())...)
}

// Classify returns the type of an address with this domain (Email.Domain, or
// any other spelling of it).
func (d *Domains) Classify(domain string) EmailType {
	if kind, ok := d.personal[domain]; ok {
		return kind
	}
	if normal, ok := normalizeDomain(domain); ok && normal != domain {
		if kind, ok := d.personal[normal]; ok {
			return kind
		}
	}
	return Corporate
}
