package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Made is a source and what is shown of it once.
type Made struct {
	liwanag.Source
	URL    string // empty unless it was made by this call
	Secret string // empty unless it was made by this call
}

// Draft describes a source to make.
type Draft struct {
	Name     string
	Kind     liwanag.SourceKind
	Settings json.RawMessage // nil: the kind's defaults
	// Secret is the sender's. Empty: one is made where ours is entered at the
	// sender; where it is the sender's, webhooks are answered 503 until it is known.
	Secret string
}

// Faults of what people ask for.
var (
	errUnknownKind = liwanag.NewError(liwanag.Invalid, "unknown_kind", "there is no such kind of source: list the kinds")
	errName        = liwanag.NewError(liwanag.Invalid, "invalid_name", "a source needs a name of 1 to 100 characters on one line")
	errNoSecretFor = liwanag.NewError(liwanag.Invalid, "not_signed",
		"this source takes no secret: its sender proves nothing but that it knows the URL")
	errNothing = liwanag.NewError(liwanag.Invalid, "nothing_to_do", "say what to rotate: the secret, the URL, or both")
)

// maxSecrets is how many secrets verify at once: the newest, and those from before
// while the sender is rotated.
const maxSecrets = 3

// Create makes a source. Errors of class Invalid name what is wrong.
func (s *Service) Create(ctx context.Context, d Draft) (Made, error) {
	k, known := kindOf(d.Kind)
	if !known {
		return Made{}, errUnknownKind
	}
	name, err := cleanName(d.Name)
	if err != nil {
		return Made{}, err
	}
	now, token := s.now(), newToken()
	m := Made{Source: liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), Name: name, Kind: d.Kind,
		TokenHash: hashOf(token), CreatedAt: now, UpdatedAt: now},
		URL: s.url(d.Kind, token)}
	settings, err := readSettings(k, d.Settings)
	if err != nil {
		return Made{}, err
	}
	if err := m.set(k, settings, d.Secret); err != nil {
		return Made{}, err
	}
	return m, s.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Sources.Insert(m.Source) })
}

// set gives a source settings, and a first secret: the sender's, or one of ours
// where ours is what the sender gets.
func (m *Made) set(k *kind, settings Settings, secret string) (err error) {
	if m.Settings, err = json.Marshal(settings); err != nil {
		return fmt.Errorf("sources: settings: %w", err)
	}
	scheme, err := k.scheme(settings)
	if err != nil {
		return err
	}
	if secret != "" {
		return m.add(scheme, secret)
	}
	if settings.secretFrom(k) == SecretFromUs {
		m.Secret = newSecret(scheme)
		return m.add(scheme, m.Secret)
	}
	return nil
}

// add puts a secret before the others.
func (m *Made) add(scheme intake.Scheme, secret string) error {
	if scheme.SignatureHeader == "" {
		return errNoSecretFor
	}
	secret = strings.TrimSpace(secret)
	if _, err := intake.NewVerifier(scheme, []string{secret}, nil); err != nil {
		return liwanag.NewError(liwanag.Invalid, "invalid_secret", "the secret cannot be taken: "+err.Error())
	}
	kept := scheme.Kept(secret)
	m.Secrets = slices.DeleteFunc(slices.Clone(m.Secrets), func(old string) bool { return old == kept })
	m.Secrets = append([]string{kept}, m.Secrets...)
	m.Secrets = m.Secrets[:min(len(m.Secrets), maxSecrets)]
	return nil
}

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > 100 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", errName
	}
	return name, nil
}

// Get reads a source. ErrNotFound.
func (s *Service) Get(ctx context.Context, id liwanag.ID) (liwanag.Source, error) {
	return s.store.Sources.Get(ctx, id)
}

// List lists all sources, oldest first.
func (s *Service) List(ctx context.Context) ([]liwanag.Source, error) {
	return s.store.Sources.List(ctx)
}

// Change says what to change of a source; nil leaves what is there.
type Change struct {
	Name     *string
	Settings json.RawMessage // replaces all of them
	Disabled *bool
}

// Change changes a source. Settings that ask for another proof make the old
// secrets useless: they are forgotten, and a new one is made where ours is what the
// sender gets.
func (s *Service) Change(ctx context.Context, id liwanag.ID, c Change) (Made, error) {
	return s.update(ctx, id, func(m *Made, now setUp) error {
		if c.Name != nil {
			name, err := cleanName(*c.Name)
			if err != nil {
				return err
			}
			m.Name = name
		}
		if c.Disabled != nil {
			m.Disabled = *c.Disabled
		}
		if c.Settings == nil {
			return nil
		}
		settings, err := readSettings(now.kind, c.Settings)
		if err != nil {
			return err
		}
		if settings.Proof == now.settings.Proof {
			m.Settings, err = json.Marshal(settings)
			return err
		}
		m.Secrets = nil
		return m.set(now.kind, settings, "")
	})
}

// Rotation says what to make anew.
type Rotation struct {
	Secret     string // the sender's new one
	MakeSecret bool   // or one of ours
	DropOld    bool   // forget all secrets but the newest
	URL        bool   // the old URL stops at once
}

// Rotate gives a source a new secret, a new URL, or both. Old secrets go on
// verifying, the two before the newest, until they are dropped.
func (s *Service) Rotate(ctx context.Context, id liwanag.ID, r Rotation) (Made, error) {
	return s.update(ctx, id, func(m *Made, now setUp) error {
		secret := r.Secret
		if r.MakeSecret && secret == "" {
			secret = newSecret(now.scheme)
			m.Secret = secret
		}
		switch {
		case secret == "" && !r.URL && !r.DropOld:
			return errNothing
		case secret != "":
			if err := m.add(now.scheme, secret); err != nil {
				return err
			}
		}
		if r.DropOld && len(m.Secrets) > 1 {
			m.Secrets = m.Secrets[:1]
		}
		if r.URL {
			token := newToken()
			m.TokenHash, m.URL = hashOf(token), s.url(m.Kind, token)
		}
		return nil
	})
}

// update changes a source in one transaction.
func (s *Service) update(ctx context.Context, id liwanag.ID, change func(*Made, setUp) error) (m Made, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		source, err := tx.Sources.Get(id)
		if err != nil {
			return err
		}
		now, err := s.setUp(source)
		if err != nil {
			return err
		}
		m = Made{Source: source}
		if err := change(&m, now); err != nil {
			return err
		}
		m.UpdatedAt = s.now()
		return tx.Sources.Update(m.Source)
	})
	return m, err
}

// LacksSecret says whether a source answers 503 until the secret that its sender made
// is entered.
func LacksSecret(source liwanag.Source) bool {
	k, known := kindOf(source.Kind)
	if !known || len(source.Secrets) > 0 {
		return false
	}
	settings, err := readSettings(k, source.Settings)
	if err != nil {
		return false
	}
	scheme, err := k.scheme(settings)
	return err == nil && scheme.SignatureHeader != ""
}

// Seal keeps the hash alone of secrets that an older release stored as they are sent.
func (s *Service) Seal(ctx context.Context) error {
	all, err := s.store.Sources.List(ctx)
	if err != nil {
		return err
	}
	for _, source := range all {
		now, err := s.setUp(source)
		clear := func(old string) bool { return !now.scheme.IsKept(old) }
		if err != nil || now.scheme.SignatureHeader == "" || !slices.ContainsFunc(source.Secrets, clear) {
			continue // what cannot be read is said when a webhook comes
		}
		if _, err := s.update(ctx, source.ID, func(m *Made, now setUp) error {
			for i, old := range m.Secrets {
				if !now.scheme.IsKept(old) {
					m.Secrets[i] = now.scheme.Kept(old)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes a source and what is kept of its deliveries; the people stay.
// ErrNotFound.
func (s *Service) Delete(ctx context.Context, id liwanag.ID) error {
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		if err := tx.Sources.Delete(id); err != nil {
			return err
		}
		_, err := s.drop(tx)
		return err
	})
}
