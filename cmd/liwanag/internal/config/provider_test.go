package config

import (
	"strings"
	"testing"
)

func TestAProviderOfSignInIsSetWholeOrNotAtAll(t *testing.T) {
	secret := write(t, 0o600, "of the provider\n")
	key := write(t, 0o600, strings.Repeat("k", 32))
	whole := map[string]string{"--oidc-issuer": "https://accounts.example.com", "--oidc-client-id": "liwanag",
		"--oidc-client-secret-file": secret, "--oidc-roles": "admin=ada@people.example", "--api-key-file": key}
	for name, c := range map[string]struct {
		without string
		instead []string
		says    string
	}{
		"whole":                {},
		"without keys":         {instead: []string{"--no-key-sign-in"}},
		"at this machine":      {"--oidc-issuer", []string{"--oidc-issuer", "http://127.0.0.1:1/issuer"}, ""},
		"unencrypted":          {"--oidc-issuer", []string{"--oidc-issuer", "http://accounts.example.com"}, "oidc-issuer is http"},
		"no issuer":            {"--oidc-issuer", nil, "oidc-issuer is not"},
		"no client":            {"--oidc-client-id", nil, "oidc-client-id or oidc-client-secret is missing"},
		"no secret":            {"--oidc-client-secret-file", nil, "oidc-client-id or oidc-client-secret is missing"},
		"no roles":             {"--oidc-roles", nil, "nobody could sign in"},
		"no key of the server": {"--api-key-file", nil, "there is no API key"},
	} {
		args := append([]string{"serve"}, c.instead...)
		for flag, value := range whole {
			if flag != c.without {
				args = append(args, flag, value)
			}
		}
		_, err := parseArgs(t, args...)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if (c.says == "") != (err == nil) || !strings.Contains(said, c.says) || err != nil && !strings.Contains(said, "Try: ") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := parseArgs(t, "serve", "--no-key-sign-in"); err == nil || !strings.Contains(err.Error(), "nobody could sign in") {
		t.Errorf("neither keys nor a provider: %v", err)
	}
}
