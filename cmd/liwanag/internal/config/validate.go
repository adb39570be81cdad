package config

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/cron"
)

const (
	sqliteScheme       = "sqlite:"
	defaultDatabaseURL = "sqlite:liwanag.db"
)

// faults gathers what is wrong, each with a line that says what to do.
type faults []error

func (f *faults) add(try, format string, args ...any) {
	*f = append(*f, fmt.Errorf(format+"\n  Try: "+try, args...))
}

// Validate reads the secrets' files and returns all faults, joined; each but
// those of the operating system has a line that begins with "Try:". Repeating
// it changes nothing.
func (s *Settings) Validate() error {
	var f faults
	for _, err := range []error{
		s.APIKey.take("api-key", "LIWANAG_API_KEY", s.APIKeyFile),
		s.OIDCClientSecret.take("oidc-client-secret", "LIWANAG_OIDC_CLIENT_SECRET", s.OIDCClientSecretFile),
		s.FullEnrichAPIKey.take("fullenrich-api-key", "FULLENRICH_API_KEY", s.FullEnrichAPIKeyFile),
		s.FullEnrichPreviousAPIKey.take("fullenrich-previous-api-key", "FULLENRICH_PREVIOUS_API_KEY", s.FullEnrichPreviousAPIKeyFile),
		s.SubscriberWebhookSecret.take("subscriber-webhook-secret", "SUBSCRIBER_WEBHOOK_SECRET", s.SubscriberWebhookSecretFile),
	} {
		if err != nil {
			f = append(f, err)
		}
	}
	s.validateWebhookSecret(&f)
	s.validateAddresses(&f)
	s.validateProvider(&f)
	s.validateStorage(&f)
	s.validateNumbers(&f)
	s.validateChoices(&f)
	return errors.Join(f...)
}

// leastWebhookKey is how many bytes Standard Webhooks asks for.
const leastWebhookKey = 24

func (s *Settings) validateWebhookSecret(f *faults) {
	if !s.SubscriberWebhookSecret.IsSet() {
		return
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(s.SubscriberWebhookSecret.Reveal()), "whsec_"))
	if err != nil || len(key) < leastWebhookKey {
		f.add("SUBSCRIBER_WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)",
			"subscriber-webhook-secret is not whsec_ and the base64 of at least %d bytes", leastWebhookKey)
	}
}

func (s *Settings) validateAddresses(f *faults) {
	if _, port, err := net.SplitHostPort(s.Addr); err != nil || !isPort(port) {
		f.add("127.0.0.1:8484", "addr %q is not HOST:PORT", s.Addr)
	} else if !s.APIKey.IsSet() && s.APIKeyFile == "" && !LoopbackAddr(s.Addr) {
		f.add("LIWANAG_API_KEY=$(openssl rand -hex 32), or LIWANAG_ADDR=127.0.0.1:8484",
			"addr %s can be reached from other machines, and there is no API key: everybody could read the subscribers and spend credits", s.Addr)
	}
	if _, port, err := net.SplitHostPort(s.AdminAddr); s.AdminAddr != AddrOff && (err != nil || !isPort(port)) {
		f.add("127.0.0.1:8485, or off", "admin-addr %q is not HOST:PORT", s.AdminAddr)
	}
	if strings.ContainsFunc(s.APIKey.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.add("a key of letters and digits", "api-key holds a character that cannot be sent in a header")
	}
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	for _, address := range []*string{&s.PublicURL, &s.Server, &s.FullEnrichBaseURL} {
		if scheme, rest, found := strings.Cut(*address, "://"); found { // compared and sent as it stands here
			*address = strings.ToLower(scheme) + "://" + rest
		}
	}
	if s.PublicURL != "" {
		checkURL(f, "public-url", s.PublicURL, "https://liwanag.example.com")
		if u, err := url.Parse(s.PublicURL); err == nil && !s.APIKey.IsSet() && s.APIKeyFile == "" && u.Host != "" &&
			!loopbackHost(u.Hostname()) {
			f.add("LIWANAG_API_KEY=$(openssl rand -hex 32), or unset LIWANAG_PUBLIC_URL",
				"public-url says that others reach this server, and there is no API key: everybody could read the subscribers and spend credits")
		}
	}
	if _, _, err := s.ExtraHeader(); err != nil {
		f.add("X-Name: value", "fullenrich-header: %w", err)
	}
	if s.shortKey() && !LoopbackAddr(s.Addr) {
		f.add("LIWANAG_API_KEY=$(openssl rand -hex 32)",
			"api-key is shorter than %d characters and addr %s can be reached from other machines: it could be guessed", leastKey, s.Addr)
	}
	checkURL(f, "server", s.Server, "http://127.0.0.1:8484")
	checkURL(f, "fullenrich-base-url", s.FullEnrichBaseURL, "https://app.fullenrich.com/api/v2")
	if u, err := url.Parse(s.FullEnrichBaseURL); err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		f.add("an address that begins with https://", "fullenrich-base-url would send the key over the network unencrypted")
	}
}

// validateProvider leaves the roles to who reads them.
func (s *Settings) validateProvider(f *faults) {
	if s.OIDCIssuer == "" {
		if s.OIDCClientID != "" || s.OIDCClientSecret.IsSet() || s.OIDCRoles != "" {
			f.add("LIWANAG_OIDC_ISSUER=https://accounts.example.com",
				"oidc-client-id, oidc-client-secret or oidc-roles is set, and oidc-issuer is not")
		}
		if !s.KeySignIn {
			f.add("LIWANAG_OIDC_ISSUER=https://accounts.example.com", "key-sign-in is off, and there is no provider: nobody could sign in")
		}
		return
	}
	checkURL(f, "oidc-issuer", s.OIDCIssuer, "https://accounts.example.com")
	if plain(s.OIDCIssuer) {
		f.add("an address that begins with https://", "oidc-issuer is http: whoever is on the way could sign in as anybody")
	}
	if !s.APIKey.IsSet() {
		f.add("LIWANAG_API_KEY=$(openssl rand -hex 32)",
			"oidc-issuer is set, and there is no API key: everybody may do everything without signing in")
	}
	if s.OIDCClientID == "" || !s.OIDCClientSecret.IsSet() {
		f.add("LIWANAG_OIDC_CLIENT_ID and LIWANAG_OIDC_CLIENT_SECRET_FILE, as the provider says",
			"oidc-client-id or oidc-client-secret is missing")
	}
	if strings.TrimSpace(s.OIDCRoles) == "" {
		f.add("LIWANAG_OIDC_ROLES='admin=you@example.com;viewer=group:sales'", "oidc-roles is empty: nobody could sign in")
	}
}

// leastKey is how many characters a key needs that others may guess.
const leastKey = 16

func (s *Settings) shortKey() bool {
	return s.APIKey.IsSet() && len(s.APIKey.Reveal()) < leastKey
}

func (s *Settings) validateStorage(f *faults) {
	s.validateDatabase(f)
	switch s.Engine {
	case EngineEmbedded:
	case EngineTemporal:
		if s.TemporalTaskQueue == "" {
			f.add("liwanag", "temporal-task-queue is empty")
		}
	default:
		f.add("LIWANAG_ENGINE=embedded", "engine %q is not known", s.Engine)
	}
	if s.PersonalDomainsFile != "" {
		if info, err := os.Stat(s.PersonalDomainsFile); err != nil {
			*f = append(*f, fmt.Errorf("personal-domains-file: %w", err))
		} else if info.IsDir() {
			f.add("a file with one domain a line", "personal-domains-file %s is a directory", s.PersonalDomainsFile)
		}
	}
}

// Validate reads the URL's file and returns all faults, joined.
func (d *Database) Validate() error {
	var f faults
	d.validateDatabase(&f)
	return errors.Join(f...)
}

// validateDatabase never repeats a database URL: it may hold a password.
func (d *Database) validateDatabase(f *faults) {
	const try = "DATABASE_URL=sqlite:liwanag.db, or postgres://USER@HOST/NAME"
	if d.DatabaseURLFile != "" {
		read, err := d.DatabaseURLFile.Read()
		if err != nil {
			*f = append(*f, fmt.Errorf("database-url-file: %w", err))
			return
		}
		if d.DatabaseURL != defaultDatabaseURL && d.DatabaseURL != read.Reveal() {
			f.add("unset DATABASE_URL or DATABASE_URL_FILE", "database-url and database-url-file are both set")
			return
		}
		d.DatabaseURL = read.Reveal()
	}
	scheme, rest, _ := strings.Cut(d.DatabaseURL, ":")
	switch scheme {
	case "postgres", "postgresql":
		if u, err := url.Parse(d.DatabaseURL); err != nil || u.Opaque != "" {
			f.add(try, "database-url is not a URL")
		}
	case "sqlite":
		switch {
		case strings.HasPrefix(rest, ":memory:"):
			f.add(try, "database-url names a database in memory, which would keep nothing")
		case rest == "" || strings.HasPrefix(rest, "//") || strings.ContainsAny(rest, "?\x00") ||
			strings.HasPrefix(strings.ToLower(rest), "file:"):
			f.add(try, "database-url is not sqlite:PATH")
		}
	default:
		f.add(try, "database-url names neither sqlite: nor postgres:")
	}
}

// holdsPassword says whether a text is a URL with a password in it.
func holdsPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return strings.Contains(text, "://") && strings.Contains(text, "@")
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

// longestProbe keeps probes below the 60 s after which FullEnrich repeats a webhook.
const longestProbe = 50 * time.Second

func (s *Settings) validateNumbers(f *faults) {
	if s.BatchSize < 1 || s.BatchSize > 100 {
		f.add("a number from 1 to 100: FullEnrich takes no more at once", "batch-size %d is out of range", s.BatchSize)
	}
	if s.CallsPerMinute < 1 {
		f.add("55", "calls-per-minute %d would send nothing", s.CallsPerMinute)
	}
	if s.MaxInFlight < s.BatchSize {
		f.add("2000", "max-in-flight %d is below batch-size %d: nothing would ever be sent", s.MaxInFlight, s.BatchSize)
	}
	if s.Concurrency < 1 {
		f.add("256", "concurrency %d would run nothing", s.Concurrency)
	}
	if _, err := s.SinkNetworks(); err != nil {
		f.add("10.0.0.0/8,127.0.0.1/32", "sink-allow: %w", err)
	}
	if _, err := s.ProxyNetworks(); err != nil {
		f.add("172.18.0.0/16,10.0.0.1/32", "trusted-proxies: %w", err)
	}
	if s.CreditsLow < 0 {
		f.add("0 never announces it", "credits-low %d is negative", s.CreditsLow)
	}
	if budget, _ := s.Budget(); budget < 0 {
		f.add("0 for no limit", "credit-budget %d is negative", budget)
	}
	for _, d := range []struct {
		name, try string
		value     time.Duration
		least     time.Duration
	}{
		{"batch-window", "2s", s.BatchWindow, 0},
		{"webhook-timeout", "24h", s.WebhookTimeout, time.Second},
		{"probe-every", "20s", s.ProbeEvery, 100 * time.Millisecond},
		{"ambiguity-grace", "1h: within it the public URL has to be tried", s.AmbiguityGrace, max(s.ProbeEvery, time.Second)},
		{"reuse-results", "2160h", s.ReuseResults, 0},
		{"reuse-not-found", "168h", s.ReuseNotFound, 0},
		{"lease", "15s", s.Lease, time.Second},
		{"stop-timeout", "35s", s.StopTimeout, 0},
		{"retention", "720h", s.Retention, time.Hour},
		{"fullenrich-previous-api-key-for", "168h", s.FullEnrichPreviousAPIKeyFor, time.Minute},
	} {
		if d.value < d.least {
			f.add(d.try, "%s %s is below %s", d.name, d.value, d.least)
		}
	}
	if s.ProbeEvery > longestProbe {
		f.add("20s", "probe-every %s is above %s: FullEnrich repeats a webhook after a minute, which a gap must not be as long as",
			s.ProbeEvery, longestProbe)
	}
	for i, at := range s.FetchSchedule {
		last := i == len(s.FetchSchedule)-1
		if at <= 0 || i > 0 && !last && at <= s.FetchSchedule[i-1] {
			f.add("10m,20m,40m,1h", "fetch-schedule: entry %d, %s, must be above 0 and above the one before; the last is an interval", i+1, at)
		}
	}
}

func (s *Settings) validateChoices(f *faults) {
	for _, c := range []struct {
		name, value string
		choices     []string
	}{
		{"paid-retry", s.PaidRetry, []string{"standard", "strict"}},
		{"on-ambiguous", s.OnAmbiguous, []string{"resubmit", "hold"}},
		{"enrich", s.Enrich, []string{EnrichPersonal, EnrichAll}},
		{"log-level", s.LogLevel, []string{"debug", "info", "warn", "error"}},
		{"log-format", s.LogFormat, []string{"auto", "text", "json"}},
	} {
		if !slices.Contains(c.choices, c.value) {
			f.add(strings.Join(c.choices, " or "), "%s %q is not known", c.name, c.value)
		}
	}
	if _, err := cron.Parse(s.Schedule); err != nil {
		f.add("*/5 * * * *", "schedule %w", err)
	}
	if _, err := cron.Parse(s.BackupSchedule); s.BackupSchedule != "" && err != nil {
		f.add("15 3 * * *", "backup-schedule %w", err)
	}
	if s.BackupSchedule != "" && s.BackupDir == "" {
		f.add("LIWANAG_BACKUP_DIR=FOLDER", "backup-schedule needs a backup-dir")
	}
	if s.BackupKeep < 0 {
		f.add("7", "backup-keep %d is negative", s.BackupKeep)
	}
}

// Warnings are settings that work, but hardly as meant.
func (s *Settings) Warnings() []string {
	var out []string
	if public := s.Unreachable(s.PublicBase(s.Addr)); public != "" {
		out = append(out, "FullEnrich cannot reach "+public+
			": results come by fetch alone, the first after 2 minutes. Try: set LIWANAG_PUBLIC_URL")
	}
	if s.shortKey() {
		out = append(out, "the API key is shorter than 16 characters and could be guessed. Try: LIWANAG_API_KEY=$(openssl rand -hex 32)")
	}
	if s.AdminAddr != AddrOff && !LoopbackAddr(s.AdminAddr) {
		out = append(out, "admin-addr "+s.AdminAddr+" can be reached from other machines: whoever can reads the metrics, without a key. "+
			"Try: LIWANAG_ADMIN_ADDR=127.0.0.1:8485, or a network of your monitoring alone")
	}
	if plain(s.PublicURL) {
		out = append(out, "public-url is http: the API key, sessions and personal data cross the network unencrypted. "+
			"Try: an address that begins with https://, of a reverse proxy with a certificate")
	}
	if s.unencrypted() {
		out = append(out, "database-url lets the connection to another machine be unencrypted, or to a server that is not checked. "+
			"Try: ?sslmode=verify-full (and sslrootcert=FILE)")
	}
	if !s.FullEnrichAPIKey.IsSet() {
		out = append(out, "there is no FullEnrich key: jobs wait for one. Try: set FULLENRICH_API_KEY")
	}
	return out
}

// Unreachable is the public URL if FullEnrich, being elsewhere, cannot reach it; else
// empty.
func (s *Settings) Unreachable(publicURL string) string {
	base, baseErr := url.Parse(s.FullEnrichBaseURL)
	public, err := url.Parse(publicURL)
	if baseErr != nil || err != nil || loopbackHost(base.Hostname()) || !loopbackHost(public.Hostname()) {
		return ""
	}
	return public.String()
}

// plain says whether an address of another machine is not encrypted.
func plain(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname())
}

// unencrypted says whether the database is on another machine and the connection to it
// may be read, or be to another server.
func (d *Database) unencrypted() bool {
	u, err := url.Parse(d.DatabaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return false
	}
	mode := cmp.Or(u.Query().Get("sslmode"), os.Getenv("PGSSLMODE"))
	if mode == "verify-full" || mode == "verify-ca" {
		return false
	}
	hosts := cmp.Or(u.Query().Get("host"), u.Host, os.Getenv("PGHOST"))
	return slices.ContainsFunc(strings.Split(hosts, ","), func(host string) bool {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		return host != "" && !strings.HasPrefix(host, "/") && !loopbackHost(strings.Trim(host, "[]"))
	})
}

// Warnings are settings that work, but hardly as meant.
func (c *Client) Warnings() []string {
	if !c.APIKey.IsSet() || !plain(c.Server) {
		return nil
	}
	return []string{"the API key goes to " + c.Server + " unencrypted. Try: an address that begins with https://, or a tunnel to this machine"}
}

// Validate reads the key's file and returns all faults, joined.
func (c *Client) Validate() error {
	var f faults
	if err := c.APIKey.take("api-key", "LIWANAG_API_KEY", c.APIKeyFile); err != nil {
		f = append(f, err)
	}
	checkURL(&f, "server", c.Server, "http://127.0.0.1:8484")
	return errors.Join(f...)
}

// checkURL never repeats a URL with a user part: it may hold a password.
func checkURL(f *faults, name, raw, try string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		f.add(try, "%s is not an http or https address", name)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		f.add(try, "%s must have no user, query or fragment", name)
	}
}

func isPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// LoopbackAddr says whether a listening address, HOST:PORT, can be reached from
// this machine only. An address without a host is every address.
func LoopbackAddr(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// dialable turns "every address" into this machine's.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip, bad := netip.ParseAddr(host); err == nil && (host == "" || bad == nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// ExtraHeader is the name and value of FullEnrichHeader; empty without one.
func (s Settings) ExtraHeader() (name, value string, err error) {
	if s.FullEnrichHeader == "" {
		return "", "", nil
	}
	name, value, found := strings.Cut(s.FullEnrichHeader, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !found || name == "" || value == "" {
		return "", "", errors.New("it is not of the form NAME: VALUE")
	}
	return name, value, nil
}

// SinkNetworks are the networks of SinkAllow.
func (s Settings) SinkNetworks() ([]netip.Prefix, error) { return networks(s.SinkAllow) }

// ProxyNetworks are the networks of TrustedProxies.
func (s Settings) ProxyNetworks() ([]netip.Prefix, error) { return networks(s.TrustedProxies) }

func networks(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range strings.Split(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no network of the form 10.0.0.0/8", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}
