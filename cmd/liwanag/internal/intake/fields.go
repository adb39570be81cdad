package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// SignUp is one person as a sender describes them. Everything but Email may be
// empty.
type SignUp struct {
	Email         string
	Source        string
	ID            string // the sender's own id of the person
	FirstName     string
	LastName      string
	FullName      string
	CompanyName   string
	CompanyDomain string // a domain or a web address
	LinkedInURL   string
	Tags          []string // nil: nothing is said of them; empty: there are none any more
	Metadata      map[string]any
	Timestamp     time.Time // when the person signed up, as the sender says
	Left          bool      // the sender says that they unsubscribed
	LeftAt        time.Time // when, as the sender says
	Sources       []string  // an export of ours: all that it lists
	// TagsOf is whose list Tags are; empty: Source's. AddsTags: they are added to it,
	// since a file does not tell of all.
	TagsOf   string
	AddsTags bool
}

// Limits of a sign-up.
const (
	maxTextBytes     = 500
	maxTags          = 100
	maxMetadataBytes = 64 << 10
	maxURLBytes      = 2000
)

// FieldError is one fault of a sign-up; neither part repeats what was sent.
type FieldError struct {
	Field   string // as the JSON names it
	Message string
}

// ValidationError refuses a sign-up. It matches liwanag.ErrInvalidEmail when the
// address is at fault, else an error of class Invalid with code invalid_field.
type ValidationError struct {
	Fields []FieldError
}

// CodeInvalidField is the code of a ValidationError without a fault in the
// address.
const CodeInvalidField = "invalid_field"

func (e *ValidationError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = strings.TrimPrefix(f.Field+": "+f.Message, ": ") // a fault of the whole has no field
	}
	return strings.Join(parts, "; ")
}

// Unwrap gives the error class and code.
func (e *ValidationError) Unwrap() error {
	for _, f := range e.Fields {
		if f.Field == string(FieldEmail) {
			return liwanag.NewError(liwanag.Invalid, liwanag.CodeInvalidEmail, f.Message)
		}
	}
	return liwanag.NewError(liwanag.Invalid, CodeInvalidField, e.Error())
}

// normalizer makes sign-ups into what is stored.
type normalizer struct {
	domains *liwanag.Domains
	// lenient moves a value that is no use for its field to the metadata, and cuts
	// what is too large, instead of refusing the sign-up: a spreadsheet cell that
	// says "n/a" costs no row.
	lenient bool
}

// normalize checks and cleans a sign-up; the caller sets ID and At. The error is
// a *ValidationError that names all faults.
func (n normalizer) normalize(s SignUp) (liwanag.SignUp, error) {
	var faults []FieldError
	email, err := liwanag.ParseEmail(s.Email)
	if err != nil && n.lenient {
		address, _, _ := readAddress(s.Email)
		email, err = liwanag.ParseEmail(address)
	}
	if err != nil {
		faults = append(faults, FieldError{string(FieldEmail), err.Error()})
	}
	metadata := s.Metadata
	keep := func(field Field, value string, clean func(string) (string, error)) string {
		cleaned, err := clean(value)
		switch {
		case err == nil:
			return cleaned
		case n.lenient:
			metadata = with(metadata, string(field), cutText(value))
		default:
			faults = append(faults, FieldError{string(field), err.Error()})
		}
		return ""
	}
	out := liwanag.SignUp{
		Email: email.Address, EmailKey: email.Key, EmailType: n.domains.Classify(email.Domain), Left: s.Left, LeftAt: s.LeftAt,
		Source: keep(FieldSource, s.Source, nameText), TagsOf: s.TagsOf, AddsTags: s.AddsTags, SignedUpAt: s.Timestamp.UTC(),
		Stated: liwanag.Statement{
			FirstName:     keep(FieldFirstName, s.FirstName, nameText),
			LastName:      keep(FieldLastName, s.LastName, nameText),
			FullName:      keep(FieldFullName, s.FullName, nameText),
			CompanyName:   keep(FieldCompanyName, s.CompanyName, nameText),
			CompanyDomain: keep(FieldCompanyDomain, s.CompanyDomain, companyDomain),
			LinkedinURL:   keep(FieldLinkedInURL, s.LinkedInURL, linkedInURL),
		},
	}
	if id := keep(FieldID, s.ID, shortText); id != "" {
		metadata = with(metadata, string(FieldID), id)
	}
	if n.lenient {
		s.Tags = cutTags(s.Tags)
	}
	if out.Tags, err = cleanTags(s.Tags); err != nil {
		faults = append(faults, FieldError{string(FieldTags), err.Error()})
	}
	for _, source := range s.Sources {
		if source, err := nameText(source); err == nil && source != "" {
			out.Sources = append(out.Sources, source)
		}
	}
	if n.lenient {
		metadata = fitMetadata(metadata)
	}
	if out.Metadata, err = encodeMetadata(metadata); err != nil {
		faults = append(faults, FieldError{string(FieldMetadata), err.Error()})
	}
	if len(faults) > 0 {
		return liwanag.SignUp{}, &ValidationError{faults}
	}
	return out, nil
}

// with adds to a copy: the sender's map is theirs.
func with(metadata map[string]any, key string, value any) map[string]any {
	extended := make(map[string]any, len(metadata)+1)
	for k, v := range metadata {
		extended[k] = v
	}
	extended[key] = value
	return extended
}

func encodeMetadata(metadata map[string]any) (json.RawMessage, error) {
	if len(metadata) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(metadata)
	if err != nil {
		return nil, errors.New("it cannot be written as JSON")
	}
	if bytes.Contains(raw, []byte(`\u0000`)) {
		return nil, errors.New("it contains a NUL character")
	}
	if len(raw) > maxMetadataBytes {
		return nil, errors.New("it is larger than 64 KiB with all unknown fields")
	}
	return raw, nil
}

// cleanText trims, brings into NFC, turns every run of white space and control
// characters into one space, and drops what would turn around the texts beside it.
func cleanText(s string) string {
	s = strings.TrimSpace(s)
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == ' ' && s[i+1] == ' ' { // a trimmed text does not end in a space
			s = strings.Map(dropTurns, strings.ToValidUTF8(s, "\uFFFD"))
			words := strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
			return norm.NFC.String(strings.Join(words, " "))
		}
	}
	return s
}

// dropTurns drops the embeddings, overrides and isolates of bidirectional text.
func dropTurns(r rune) rune {
	if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
		return -1
	}
	return r
}

// shortText is cleanText within the limit of a name.
func shortText(s string) (string, error) {
	s = cleanText(s)
	if len(s) > maxTextBytes {
		return "", fmt.Errorf("it is longer than %d bytes", maxTextBytes)
	}
	return s, nil
}

// nameText is shortText, without what people write into a cell that has to say
// something.
func nameText(s string) (string, error) {
	s, err := shortText(s)
	if liwanag.IsNoName(s) {
		return "", err
	}
	return s, err
}

// cutText is what of a useless value is kept for the curious.
func cutText(s string) string {
	s = cleanText(s)
	if len(s) <= maxTextBytes {
		return s
	}
	cut := maxTextBytes
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func cleanTags(tags []string) ([]string, error) {
	if tags == nil {
		return nil, nil
	}
	out := []string{}
	for _, tag := range tags {
		tag, err := shortText(tag)
		if err != nil {
			return nil, err
		}
		if tag != "" && !liwanag.IsNothing(tag) {
			out = append(out, tag)
		}
	}
	if len(out) > maxTags {
		return nil, fmt.Errorf("there are more than %d", maxTags)
	}
	return out, nil
}

// companyDomain accepts a bare domain or the address of a web page.
func companyDomain(s string) (string, error) {
	s = cleanText(s)
	if says, _ := nameText(s); says == "" {
		return "", nil
	}
	host := s
	if _, rest, ok := strings.Cut(s, "://"); ok {
		host = rest
	}
	if i := strings.IndexAny(host, "/?#:"); i >= 0 {
		host = host[:i]
	}
	email, err := liwanag.ParseEmail("x@" + strings.TrimSuffix(host, "."))
	if err != nil {
		return "", errors.New("it is not a domain")
	}
	domain := strings.TrimPrefix(email.Domain, "www.")
	if !strings.Contains(domain, ".") { // www.co
		return "", errors.New("it is not a domain")
	}
	return domain, nil
}

// linkedInURL accepts an address below linkedin.com, with or without https.
func linkedInURL(s string) (string, error) {
	s = cleanText(s)
	if says, _ := nameText(s); says == "" {
		return "", nil
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > maxURLBytes || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Port() != "" {
		return "", errors.New("it is not a LinkedIn address")
	}
	host := strings.ToLower(u.Hostname())
	if host != "linkedin.com" && !strings.HasSuffix(host, ".linkedin.com") {
		return "", errors.New("it is not a LinkedIn address")
	}
	u.Scheme, u.Host = "https", host
	return u.String(), nil
}
