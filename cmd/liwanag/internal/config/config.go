// Package config holds the settings of the program: one struct that flags,
// environment and file meet in, and nowhere else.
//
// The order is flag > environment > file (--config, YAML) > default. Put
// [Settings] or [Client] into a kong command, a [File] into the grammar's root,
// and pass [Options] to kong.
package config

import (
	"strings"
	"time"
)

// Settings are the settings of the server. Kong fills them; Validate checks
// them.
type Settings struct {
	Addr      string `name:"addr" env:"LIWANAG_ADDR" default:"127.0.0.1:8484" placeholder:"HOST:PORT" help:"Address of the API, its docs and the webhooks."`
	AdminAddr string `name:"admin-addr" env:"LIWANAG_ADMIN_ADDR" default:"127.0.0.1:8485" placeholder:"HOST:PORT" help:"Address of metrics and pprof; off turns it off."`
	PublicURL string `name:"public-url" env:"LIWANAG_PUBLIC_URL" placeholder:"URL" help:"Where FullEnrich reaches this server. Default: from the address. One that is not loopback needs an API key."`
	Server    string `name:"server" env:"LIWANAG_SERVER" default:"http://127.0.0.1:8484" placeholder:"URL" help:"The server that the other commands talk to."`

	TrustedProxies string `name:"trusted-proxies" env:"LIWANAG_TRUSTED_PROXIES" placeholder:"CIDR,..." help:"Networks of proxies before this server, whose X-Forwarded-For is believed. Proxies on this machine always are."`

	Database
	Engine string `name:"engine" env:"LIWANAG_ENGINE" default:"embedded" help:"What runs the workflows: embedded, or temporal: a cluster that Temporal's own variables name."`
	Temporal

	APIKey     Secret     `name:"api-key" env:"LIWANAG_API_KEY" placeholder:"KEY" help:"Key of the API. Without one the server listens on loopback only. Not as a flag."`
	APIKeyFile SecretFile `name:"api-key-file" env:"LIWANAG_API_KEY_FILE" placeholder:"FILE" help:"File with the key of the API."`

	OIDCIssuer           string     `name:"oidc-issuer" env:"LIWANAG_OIDC_ISSUER" placeholder:"URL" help:"OpenID provider that people sign in to the console with. Default: none."`
	OIDCClientID         string     `name:"oidc-client-id" env:"LIWANAG_OIDC_CLIENT_ID" placeholder:"ID" help:"This server's id at the provider."`
	OIDCClientSecret     Secret     `name:"oidc-client-secret" env:"LIWANAG_OIDC_CLIENT_SECRET" placeholder:"SECRET" help:"Its secret there. Not as a flag."`
	OIDCClientSecretFile SecretFile `name:"oidc-client-secret-file" env:"LIWANAG_OIDC_CLIENT_SECRET_FILE" placeholder:"FILE" help:"File with the secret."`
	OIDCRoles            string     `name:"oidc-roles" env:"LIWANAG_OIDC_ROLES" placeholder:"ROLE=WHO,...;..." help:"What people may do: scopes or viewer, by address or group:NAME, such as admin=a@x.example;viewer=group:sales."`
	KeySignIn            bool       `name:"key-sign-in" env:"LIWANAG_KEY_SIGN_IN" default:"true" negatable:"" help:"Whether people may sign in to the console with a key."`

	FullEnrichAPIKey             Secret        `name:"fullenrich-api-key" env:"FULLENRICH_API_KEY" placeholder:"KEY" help:"FullEnrich's key: makes calls and verifies webhooks. Not as a flag."`
	FullEnrichAPIKeyFile         SecretFile    `name:"fullenrich-api-key-file" env:"FULLENRICH_API_KEY_FILE" placeholder:"FILE" help:"File with FullEnrich's key."`
	FullEnrichPreviousAPIKey     Secret        `name:"fullenrich-previous-api-key" env:"FULLENRICH_PREVIOUS_API_KEY" placeholder:"KEY" help:"The key before, which still verifies webhooks while keys rotate. Not as a flag."`
	FullEnrichPreviousAPIKeyFile SecretFile    `name:"fullenrich-previous-api-key-file" env:"FULLENRICH_PREVIOUS_API_KEY_FILE" placeholder:"FILE" help:"File with the key before."`
	FullEnrichPreviousAPIKeyFor  time.Duration `name:"fullenrich-previous-api-key-for" env:"FULLENRICH_PREVIOUS_API_KEY_FOR" default:"168h" help:"How long the key before verifies, from the first start with it as such."`
	FullEnrichBaseURL            string        `name:"fullenrich-base-url" env:"FULLENRICH_BASE_URL" default:"https://app.fullenrich.com/api/v2" placeholder:"URL" help:"FullEnrich's API."`
	FullEnrichHeader             string        `name:"fullenrich-header" env:"FULLENRICH_HEADER" placeholder:"NAME: VALUE" help:"A header for every call of FullEnrich, such as the one that names a sub-account."`

	BatchSize      int             `name:"batch-size" env:"LIWANAG_BATCH_SIZE" default:"100" help:"Jobs a batch takes, 1 to 100."`
	BatchWindow    time.Duration   `name:"batch-window" env:"LIWANAG_BATCH_WINDOW" default:"2s" help:"How long a batch stays open."`
	WebhookTimeout time.Duration   `name:"webhook-timeout" env:"LIWANAG_WEBHOOK_TIMEOUT" default:"24h" help:"Longest wait for a result."`
	FetchSchedule  []time.Duration `name:"fetch-schedule" env:"LIWANAG_FETCH_SCHEDULE" placeholder:"10m,20m,40m,1h" help:"When results are fetched if no webhook comes: offsets from the start of the wait, the last repeats. Default: 10m,20m,40m,1h, and 2m first when FullEnrich cannot reach this server."`

	CallsPerMinute int           `name:"calls-per-minute" env:"LIWANAG_CALLS_PER_MINUTE" default:"55" help:"Calls of FullEnrich in a calendar minute, over all nodes."`
	MaxInFlight    int           `name:"max-in-flight" env:"LIWANAG_MAX_IN_FLIGHT" default:"2000" help:"Contacts in flight at FullEnrich."`
	PaidRetry      string        `name:"paid-retry" env:"LIWANAG_PAID_RETRY" default:"standard" help:"What an unclear 5xx answer to a paid call means: standard sends again, strict waits."`
	OnAmbiguous    string        `name:"on-ambiguous" env:"LIWANAG_ON_AMBIGUOUS" default:"resubmit" help:"When nobody knows whether a paid call was accepted and the grace is over: resubmit or hold."`
	AmbiguityGrace time.Duration `name:"ambiguity-grace" env:"LIWANAG_AMBIGUITY_GRACE" default:"1h" help:"How long a paid call may be in doubt; not shorter than probe-every."`
	ProbeEvery     time.Duration `name:"probe-every" env:"LIWANAG_PROBE_EVERY" default:"20s" help:"How often it is tried whether FullEnrich could reach this server, while results are expected; at most 50s."`
	ReuseResults   time.Duration `name:"reuse-results" env:"LIWANAG_REUSE_RESULTS" default:"2160h" help:"A result this young is used again instead of paid for."`
	ReuseNotFound  time.Duration `name:"reuse-not-found" env:"LIWANAG_REUSE_NOT_FOUND" default:"168h" help:"Whom FullEnrich did not find this lately is not asked for again."`
	SinkAllow      string        `name:"sink-allow" env:"LIWANAG_SINK_ALLOW" placeholder:"CIDR,..." help:"Networks of our own that webhooks may be sent to, such as 10.0.0.0/8. Default: public addresses only."`
	CreditsLow     int64         `name:"credits-low" env:"LIWANAG_CREDITS_LOW" default:"100" placeholder:"N" help:"A balance at FullEnrich below this is announced to sinks and shown in the console, once a UTC day. 0: never."`
	CreditBudget   *int64        `name:"credit-budget" env:"LIWANAG_CREDIT_BUDGET" placeholder:"N" help:"Credits a UTC day for lookups that nobody confirmed; jobs above it wait. 0: no limit. Default: 1000."`

	Enrich              string `name:"enrich" env:"LIWANAG_ENRICH" default:"personal" help:"Which addresses are looked up: personal, or all."`
	PersonalDomainsFile string `name:"personal-domains-file" env:"LIWANAG_PERSONAL_DOMAINS_FILE" placeholder:"FILE" help:"Domains that count as personal, one a line, added to the built-in list."`
	Schedule            string `name:"schedule" env:"LIWANAG_SCHEDULE" default:"*/5 * * * *" placeholder:"CRON" help:"When the scheduled batch sweeps pending jobs, in UTC."`

	SubscriberWebhookSecret     Secret     `name:"subscriber-webhook-secret" env:"SUBSCRIBER_WEBHOOK_SECRET" placeholder:"SECRET" help:"Standard Webhooks secret of POST /webhooks/subscribers. Not as a flag."`
	SubscriberWebhookSecretFile SecretFile `name:"subscriber-webhook-secret-file" env:"SUBSCRIBER_WEBHOOK_SECRET_FILE" placeholder:"FILE" help:"File with the secret of POST /webhooks/subscribers."`

	Concurrency int           `name:"concurrency" env:"LIWANAG_CONCURRENCY" default:"256" help:"Steps at once."`
	Lease       time.Duration `name:"lease" env:"LIWANAG_LEASE" default:"15s" help:"Lease of a node, where several share a database."`
	StopTimeout time.Duration `name:"stop-timeout" env:"LIWANAG_STOP_TIMEOUT" default:"35s" help:"Longest graceful stop."`
	Retention   time.Duration `name:"retention" env:"LIWANAG_RETENTION" default:"720h" help:"How long ended runs and raw webhooks are kept."`

	Keep

	LogLevel  string `name:"log-level" env:"LIWANAG_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"LIWANAG_LOG_FORMAT" default:"auto" help:"text, json, or auto: text on a terminal, else json."`
}

// Database says where the rows are.
type Database struct {
	DatabaseURL     string     `name:"database-url" env:"DATABASE_URL" default:"sqlite:liwanag.db" placeholder:"URL" help:"The database: sqlite:PATH for one server, postgres://USER@HOST/NAME for any number of them."`
	DatabaseURLFile SecretFile `name:"database-url-file" env:"DATABASE_URL_FILE" placeholder:"FILE" help:"File with the database's URL, for one that holds a password."`
}

// Keep says where what outlives the database is kept.
type Keep struct {
	Journal        string `name:"journal" env:"LIWANAG_JOURNAL" placeholder:"FOLDER" help:"Folder of the spend journal, one for all servers of a database, that outlives it. Default: beside a SQLite file; none with PostgreSQL."`
	BackupDir      string `name:"backup-dir" env:"LIWANAG_BACKUP_DIR" placeholder:"FOLDER" help:"Folder in which a running server makes backups."`
	BackupSchedule string `name:"backup-schedule" env:"LIWANAG_BACKUP_SCHEDULE" placeholder:"CRON" help:"When it makes one by itself, in UTC. Default: never."`
	BackupKeep     int    `name:"backup-keep" env:"LIWANAG_BACKUP_KEEP" default:"7" placeholder:"N" help:"How many of those stay; 0: all."`
}

// Temporal says where the cluster is that runs the workflows. Its other settings,
// TLS and an API key among them, are read from Temporal's own variables.
type Temporal struct {
	TemporalAddress   string `name:"temporal-address" env:"TEMPORAL_ADDRESS" placeholder:"HOST:PORT" help:"The Temporal cluster. Default: 127.0.0.1:7233."`
	TemporalNamespace string `name:"temporal-namespace" env:"TEMPORAL_NAMESPACE" placeholder:"NAME" help:"The namespace in it. Default: default."`
	TemporalTaskQueue string `name:"temporal-task-queue" env:"LIWANAG_TEMPORAL_TASK_QUEUE" default:"liwanag" placeholder:"NAME" help:"The task queue that the servers of one database share, and no others."`
}

// Client is what commands need that talk to a running server.
type Client struct {
	Server     string     `name:"server" env:"LIWANAG_SERVER" default:"http://127.0.0.1:8484" placeholder:"URL" help:"The server to talk to."`
	APIKey     Secret     `name:"api-key" env:"LIWANAG_API_KEY" placeholder:"KEY" help:"Key of the API. Not as a flag."`
	APIKeyFile SecretFile `name:"api-key-file" env:"LIWANAG_API_KEY_FILE" placeholder:"FILE" help:"File with the key of the API."`
}

// Values of the settings that name a choice.
const (
	EngineEmbedded = "embedded"
	EngineTemporal = "temporal"
	EnrichPersonal = "personal"
	EnrichAll      = "all"
	AddrOff        = "off"
)

// EnrichCorporate says whether corporate addresses are looked up too.
func (s *Settings) EnrichCorporate() bool { return s.Enrich == EnrichAll }

// defaultBudget bounds what a day costs that nobody confirmed, in credits.
const defaultBudget = 1000

// Budget is CreditBudget, or what it is by default.
func (s *Settings) Budget() (credits int64, byDefault bool) {
	if s.CreditBudget == nil {
		return defaultBudget, true
	}
	return *s.CreditBudget, false
}

// PublicBase is where FullEnrich reaches this server: the public URL, or else
// one made from the address that the server listens on.
func (s *Settings) PublicBase(listening string) string {
	if s.PublicURL != "" {
		return s.PublicURL
	}
	return "http://" + dialable(listening)
}

// SQLitePath is the path of the SQLite database; false when the URL names
// another kind.
func (d *Database) SQLitePath() (string, bool) { return strings.CutPrefix(d.DatabaseURL, sqliteScheme) }
