package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

type serveCommand struct{ Settings }

type grammar struct {
	Config File             `name:"config" env:"LIWANAG_CONFIG"`
	Serve  serveCommand     `cmd:""`
	List   struct{ Client } `cmd:""`
}

func parseArgs(t *testing.T, args ...string) (grammar, error) {
	t.Helper()
	var g grammar
	parser, err := kong.New(&g, append(Options(), kong.Exit(func(int) { t.Fatal("kong exits") }))...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return g, err
}

func write(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// writable is write with a mode that the umask would mend.
func writable(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := write(t, 0o600, text)
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValidAndAsPromised(t *testing.T) {
	g, err := parseArgs(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{
		Addr: "127.0.0.1:8484", AdminAddr: "127.0.0.1:8485", Server: "http://127.0.0.1:8484", KeySignIn: true,
		Database: Database{DatabaseURL: "sqlite:liwanag.db"}, Temporal: Temporal{TemporalTaskQueue: "liwanag"}, Engine: "embedded",
		FullEnrichBaseURL: "https://app.fullenrich.com/api/v2", FullEnrichPreviousAPIKeyFor: 168 * time.Hour,
		BatchSize: 100, BatchWindow: 2 * time.Second, WebhookTimeout: 24 * time.Hour,
		CallsPerMinute: 55, MaxInFlight: 2000, PaidRetry: "standard", OnAmbiguous: "resubmit", AmbiguityGrace: time.Hour,
		ProbeEvery:   20 * time.Second,
		ReuseResults: 2160 * time.Hour, ReuseNotFound: 168 * time.Hour, CreditsLow: 100, Enrich: "personal",
		Schedule: "*/5 * * * *", Concurrency: 256,
		Lease: 15 * time.Second, StopTimeout: 35 * time.Second, Retention: 720 * time.Hour, Keep: Keep{BackupKeep: 7},
		LogLevel: "info", LogFormat: "auto",
	}
	if diff := cmp.Diff(want, g.Serve.Settings, cmp.Comparer(func(a, b Secret) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if got, ok := g.Serve.SQLitePath(); got != "liwanag.db" || !ok {
		t.Errorf("path %q, %t", got, ok)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := write(t, 0o600, "batch-size: 10\nmax-in-flight: 1000\nconcurrency: 7\nfetch-schedule: [5m, 10m]\nadmin-addr: off\n")
	t.Setenv("LIWANAG_CONFIG", file)
	t.Setenv("LIWANAG_BATCH_SIZE", "20")
	t.Setenv("LIWANAG_MAX_IN_FLIGHT", "1500")
	g, err := parseArgs(t, "serve", "--batch-size", "30")
	if err != nil {
		t.Fatal(err)
	}
	s := g.Serve.Settings
	if s.BatchSize != 30 || s.MaxInFlight != 1500 || s.Concurrency != 7 || s.CallsPerMinute != 55 {
		t.Errorf("batch size %d, max in flight %d, concurrency %d, calls %d", s.BatchSize, s.MaxInFlight, s.Concurrency, s.CallsPerMinute)
	}
	if diff := cmp.Diff([]time.Duration{5 * time.Minute, 10 * time.Minute}, s.FetchSchedule); diff != "" {
		t.Error(diff)
	}
	if s.AdminAddr != AddrOff {
		t.Errorf("admin %q", s.AdminAddr)
	}
}

func TestFileServesEveryCommand(t *testing.T) {
	file := write(t, 0o600, "batch-size: 10\nserver: http://10.0.0.1:1\napi-key: k-1\n")
	g, err := parseArgs(t, "list", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if g.List.Server != "http://10.0.0.1:1" || g.List.APIKey.Reveal() != "k-1" {
		t.Errorf("server %q, key %q", g.List.Server, g.List.APIKey.Reveal())
	}
}

func TestFileFaultsNameTheKey(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want []string
	}{
		"unknown":           {"batch-sise: 1\n", 0o600, []string{`unknown setting "batch-sise"`, "line 1", "Try:"}},
		"variable's name":   {"LIWANAG_BATCH_SIZE: 1\n", 0o600, []string{"LIWANAG_BATCH_SIZE", "Try: batch-size"}},
		"all of them":       {"a: 1\nb: 2\n", 0o600, []string{`"a"`, `"b"`}},
		"nested":            {"addr: {a: b}\n", 0o600, []string{"addr needs one value"}},
		"not a mapping":     {"- a\n", 0o600, []string{"not a YAML mapping"}},
		"twice":             {"addr: a\naddr: b\n", 0o600, []string{"not a YAML mapping"}},
		"secret, readable":  {"api-key: k\n", 0o644, []string{"everybody on this machine may read", "chmod 600"}},
		"bad value":         {"batch-size: many\n", 0o600, []string{"batch-size"}},
		"duration unitless": {"batch-window: 5\n", 0o600, []string{"batch-window"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseArgs(t, "serve", "--config", write(t, tc.mode, tc.text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
	if _, err := parseArgs(t, "serve", "--config", write(t, 0o644, "batch-size: 5\n")); err != nil {
		t.Errorf("a readable file without secrets: %v", err)
	}
	if _, err := parseArgs(t, "serve", "--config", "/does/not/exist"); err == nil {
		t.Error("a missing file is accepted")
	}
}

func TestSecretsComeFromFilesButNeverFromArguments(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // of a form that suits them all
	for _, name := range []string{"api-key", "fullenrich-api-key", "fullenrich-previous-api-key", "subscriber-webhook-secret"} {
		t.Run(name, func(t *testing.T) {
			g, err := parseArgs(t, "serve", "--"+name+"-file", write(t, 0o600, secret+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, s := range []Secret{g.Serve.APIKey, g.Serve.FullEnrichAPIKey, g.Serve.FullEnrichPreviousAPIKey, g.Serve.SubscriberWebhookSecret} {
				if s.Reveal() == secret {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%d secrets were read", found)
			}
			_, err = parseArgs(t, "serve", "--"+name, secret)
			if err == nil || !strings.Contains(err.Error(), "Try: ") || strings.Contains(err.Error(), secret) {
				t.Errorf("as an argument: %v", err)
			}
			for why, path := range map[string]string{"readable": write(t, 0o604, secret), "writable": writable(t, secret, 0o602),
				"writable by a group": writable(t, secret, 0o660), "empty": write(t, 0o600, "\n"),
				"lines": write(t, 0o600, "a\nb\n"), "missing": "/does/not/exist"} {
				if _, err := parseArgs(t, "serve", "--"+name+"-file", path); err == nil || !strings.Contains(err.Error(), name+"-file") {
					t.Errorf("%s: %v", why, err)
				}
			}
		})
	}
	t.Setenv("LIWANAG_API_KEY", "one")
	if _, err := parseArgs(t, "serve", "--api-key-file", write(t, 0o600, "two")); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("two keys: %v", err)
	}
	if _, err := parseArgs(t, "list", "--api-key-file", write(t, 0o600, "two")); err == nil {
		t.Error("two keys of a client are accepted")
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := struct{ Key Secret }{NewSecret("s3cret")}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", s.Key, "all", s)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %q %x %s", s, s, s.Key, s.Key, s.Key), string(raw),
		log.String(), fmt.Sprintf("%v", &s)} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("leaks: %s", text)
		}
	}
}

func TestOtherMachinesNeedAKey(t *testing.T) {
	for addr, loopback := range map[string]bool{
		"127.0.0.1:8484": true, "localhost:1": true, "[::1]:8484": true, "127.9.9.9:0": true, "[::ffff:127.0.0.1]:1": true,
		":8484": false, "0.0.0.0:8484": false, "[::]:8484": false, "192.168.1.2:8484": false, "example.com:80": false, "localhost.example.com:80": false,
	} {
		_, err := parseArgs(t, "serve", "--addr", addr)
		if loopback != (err == nil) {
			t.Errorf("%s without a key: %v", addr, err)
		}
		if err != nil && !(strings.Contains(err.Error(), "Try: LIWANAG_API_KEY")) {
			t.Errorf("%s: no line that names the key: %v", addr, err)
		}
	}
	t.Setenv("LIWANAG_API_KEY", "0123456789abcdef")
	if _, err := parseArgs(t, "serve", "--addr", ":8484"); err != nil {
		t.Errorf("with a key: %v", err)
	}
	t.Setenv("LIWANAG_API_KEY", "0123456789abcde")
	for addr, loopback := range map[string]bool{"127.0.0.1:8484": true, ":8484": false, "192.168.1.2:8484": false} {
		_, err := parseArgs(t, "serve", "--addr", addr)
		if loopback != (err == nil) || err != nil && !strings.Contains(err.Error(), "Try: LIWANAG_API_KEY") {
			t.Errorf("%s with a short key: %v", addr, err)
		}
	}
}

func TestAPublicURLNeedsAKey(t *testing.T) {
	for public, loopback := range map[string]bool{
		"": true, "http://127.0.0.1:8484": true, "http://localhost:9": true, "http://[::1]:8484": true, "https://LOCALHOST": true,
		"https://liwanag.example.com": false, "http://192.168.1.2:8484": false, "https://localhost.example.com": false, "http://0.0.0.0:1": false,
	} {
		_, err := parseArgs(t, "serve", "--public-url", public)
		if loopback != (err == nil) {
			t.Errorf("%s without a key: %v", public, err)
		}
		if err != nil && !strings.Contains(err.Error(), "Try: LIWANAG_API_KEY") {
			t.Errorf("%s: no line that names the key: %v", public, err)
		}
	}
	t.Setenv("LIWANAG_API_KEY", "k")
	if _, err := parseArgs(t, "serve", "--public-url", "https://liwanag.example.com"); err != nil {
		t.Errorf("with a key: %v", err)
	}
}

func TestASchemeInCapitalsIsTheSameAddress(t *testing.T) {
	t.Setenv("LIWANAG_API_KEY", "k")
	g, err := parseArgs(t, "serve", "--public-url", "HTTPS://Liwanag.example.com/In/", "--fullenrich-base-url",
		"Https://app.fullenrich.com/api/v2")
	if err != nil {
		t.Fatal(err)
	}
	s := g.Serve
	for got, want := range map[string]string{s.PublicURL: "https://Liwanag.example.com/In",
		s.FullEnrichBaseURL: "https://app.fullenrich.com/api/v2"} {
		if got != want {
			t.Errorf("the address is %q, want %q", got, want)
		}
	}
}

// breaks spoils a setting; its name, or the word a fault says, is the key.
var breaks = map[string]func(*Settings){
	"addr":                  func(s *Settings) { s.Addr = "8484" },
	"admin-addr":            func(s *Settings) { s.AdminAddr = "nowhere" },
	"public-url":            func(s *Settings) { s.PublicURL = "ftp://x" },
	"server":                func(s *Settings) { s.Server = "localhost" },
	"unencrypted":           func(s *Settings) { s.FullEnrichBaseURL = "http://app.fullenrich.com" },
	"database-url":          func(s *Settings) { s.DatabaseURL = "mysql://u:passw0rd@h/d" },
	"engine ":               func(s *Settings) { s.Engine = "cadence" },
	"batch-size":            func(s *Settings) { s.BatchSize = 101 },
	"calls-per-minute":      func(s *Settings) { s.CallsPerMinute = 0 },
	"max-in-flight":         func(s *Settings) { s.MaxInFlight = 0 },
	"concurrency":           func(s *Settings) { s.Concurrency = 0 },
	"sink-allow":            func(s *Settings) { s.SinkAllow = "10.0.0.0" },
	"trusted-proxies":       func(s *Settings) { s.TrustedProxies = "caddy" },
	"credits-low":           func(s *Settings) { s.CreditsLow = -1 },
	"credit-budget":         func(s *Settings) { s.CreditBudget = new(int64(-1)) },
	"batch-window":          func(s *Settings) { s.BatchWindow = -1 },
	"webhook-timeout":       func(s *Settings) { s.WebhookTimeout = 0 },
	"ambiguity-grace":       func(s *Settings) { s.AmbiguityGrace = 0 },
	"probe-every":           func(s *Settings) { s.ProbeEvery = time.Minute },
	"reuse-not-found":       func(s *Settings) { s.ReuseNotFound = -1 },
	"fullenrich-header":     func(s *Settings) { s.FullEnrichHeader = "no colon" },
	"reuse-results":         func(s *Settings) { s.ReuseResults = -1 },
	"lease":                 func(s *Settings) { s.Lease = 0 },
	"stop-timeout":          func(s *Settings) { s.StopTimeout = -1 },
	"retention":             func(s *Settings) { s.Retention = 0 },
	"fetch-schedule":        func(s *Settings) { s.FetchSchedule = []time.Duration{2, 1, 1} },
	"paid-retry":            func(s *Settings) { s.PaidRetry = "often" },
	"on-ambiguous":          func(s *Settings) { s.OnAmbiguous = "ask" },
	"enrich ":               func(s *Settings) { s.Enrich = "none" },
	"log-level":             func(s *Settings) { s.LogLevel = "loud" },
	"log-format":            func(s *Settings) { s.LogFormat = "xml" },
	"schedule ":             func(s *Settings) { s.Schedule = "now" },
	"api-key":               func(s *Settings) { s.APIKey = NewSecret("a b") },
	"webhook-secret":        func(s *Settings) { s.SubscriberWebhookSecret = NewSecret("whsec_c2hvcnQ=") },
	"personal-domains-file": func(s *Settings) { s.PersonalDomainsFile = "/" },
}

func TestValidateNamesEveryFaultAtOnce(t *testing.T) {
	valid, err := parseArgs(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	all := valid.Serve.Settings
	for name, spoil := range breaks {
		s := valid.Serve.Settings
		spoil(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: %v", name, err)
		}
		spoil(&all)
	}
	err = all.Validate()
	for name := range breaks {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("together: %s is missing", name)
		}
	}
	if strings.Contains(err.Error(), "passw0rd") {
		t.Error("a fault repeats a password")
	}
}

func TestEverySettingHasItsVariable(t *testing.T) {
	typ := reflect.TypeFor[Settings]()
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue
		}
		if f.Tag.Get("env") == "" || f.Tag.Get("name") == "" || f.Tag.Get("help") == "" {
			t.Errorf("%s: name, env or help is missing", f.Name)
		}
		if f.Type == reflect.TypeFor[Secret]() {
			if twin, ok := typ.FieldByName(f.Name + "File"); !ok || twin.Tag.Get("env") != f.Tag.Get("env")+"_FILE" ||
				twin.Tag.Get("name") != f.Tag.Get("name")+"-file" {
				t.Errorf("%s has no twin", f.Name)
			}
		}
	}
}

func TestPublicBaseAndWarnings(t *testing.T) {
	g, err := parseArgs(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	s := g.Serve.Settings
	for listening, want := range map[string]string{"127.0.0.1:99": "http://127.0.0.1:99",
		"[::]:99": "http://127.0.0.1:99", "0.0.0.0:5": "http://127.0.0.1:5", ":7": "http://127.0.0.1:7"} {
		if got := s.PublicBase(listening); got != want {
			t.Errorf("%s: %s", listening, got)
		}
	}
	if got := len(s.Warnings()); got != 2 {
		t.Errorf("%d warnings: %q", got, s.Warnings())
	}
	s.PublicURL, s.APIKey, s.FullEnrichAPIKey = "https://l.example.com/", NewSecret("short"), NewSecret("k")
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := s.PublicBase("127.0.0.1:1"); got != "https://l.example.com" {
		t.Error(got)
	}
	if got := s.Warnings(); len(got) != 1 || !strings.Contains(got[0], "guessed") {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNotAsSafeAsItCouldBeIsWarnedOf(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, tc := range []struct{ flag, value, says string }{
		{"admin-addr", "0.0.0.0:8485", "LIWANAG_ADMIN_ADDR"},
		{"admin-addr", "127.0.0.1:8485", ""},
		{"admin-addr", "off", ""},
		{"public-url", "http://liwanag.example.com", "https://"},
		{"public-url", "https://liwanag.example.com", ""},
		{"public-url", "http://127.0.0.1:1", ""},
		{"database-url", "postgres://u@db.example.com/l", "sslmode=verify-full"},
		{"database-url", "postgres://u@db.example.com:5432/l?sslmode=require", "sslmode=verify-full"},
		{"database-url", "postgres://u@/l?host=10.0.0.1&sslmode=prefer", "sslmode=verify-full"},
		{"database-url", "postgres://u@127.0.0.1,db2/l", "sslmode=verify-full"},
		{"database-url", "postgres://u@db.example.com/l?sslmode=verify-full", ""},
		{"database-url", "postgres://u@localhost/l", ""},
		{"database-url", "postgres://u@[::1]:5432/l", ""},
		{"database-url", "postgres://u@/l?host=/var/run/postgresql", ""},
		{"database-url", "postgres:///l", ""},
	} {
		t.Setenv("LIWANAG_API_KEY", "0123456789abcdef")
		t.Setenv("FULLENRICH_API_KEY", "k")
		g, err := parseArgs(t, "serve", "--"+tc.flag, tc.value, "--fullenrich-base-url", "http://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(g.Serve.Warnings(), "\n")
		if tc.says == "" && said != "" || !strings.Contains(said, tc.says) || said != "" && !strings.Contains(said, "Try: ") {
			t.Errorf("%s %s: %q", tc.flag, tc.value, said)
		}
	}
	for server, warned := range map[string]bool{"http://10.0.0.1:8484": true, "https://l.example.com": false, "http://localhost:8484": false} {
		g, err := parseArgs(t, "list", "--server", server)
		if err != nil || warned != (len(g.List.Warnings()) > 0) {
			t.Errorf("%s: %q %v", server, g.List.Warnings(), err)
		}
	}
}

func TestADatabaseURLIsTakenAndNeverRepeated(t *testing.T) {
	for value, valid := range map[string]bool{
		"sqlite:a.db": true, "sqlite:/x/a.db": true, "sqlite:": false, "sqlite://a.db": false, "sqlite:a.db?mode=ro": false,
		"sqlite::memory:": false, "sqlite:file:a.db": false, "sqlite:FILE:/x/a.db": false, "sqlite:file::memory:?cache=shared": false,
		"postgres://u:passw0rd@h:5432/d?sslmode=require": true, "postgresql:///d?host=/run/postgresql": true,
		"postgres:d": false, "postgres://u:passw0rd@h:port/d": false, "mysql://u:passw0rd@h/d": false, "": false, "liwanag.db": false,
	} {
		d := Database{DatabaseURL: value}
		err := d.Validate()
		if valid != (err == nil) {
			t.Errorf("%s: %v", value, err)
		}
		if err != nil && (strings.Contains(err.Error(), "passw0rd") || !strings.Contains(err.Error(), "Try: DATABASE_URL=")) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestADatabaseURLWithAPasswordIsKeptFromSight(t *testing.T) {
	const url = "postgres://liwanag:passw0rd@db/liwanag"
	if _, err := parseArgs(t, "serve", "--database-url", url); err == nil || strings.Contains(err.Error(), "passw0rd") ||
		!strings.Contains(err.Error(), "Try: DATABASE_URL, or --database-url-file") {
		t.Errorf("as a flag: %v", err)
	}
	if _, err := parseArgs(t, "serve", "--config", write(t, 0o644, "database-url: "+url+"\n")); err == nil ||
		!strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("in a file that everybody may read: %v", err)
	}
	if _, err := parseArgs(t, "serve", "--database-url", "postgres://liwanag@db/liwanag"); err != nil {
		t.Errorf("without a password: %v", err)
	}
	file := write(t, 0o600, url+"\n")
	g, err := parseArgs(t, "serve", "--database-url-file", file)
	if err != nil || g.Serve.DatabaseURL != url {
		t.Errorf("from a file: %q, %v", g.Serve.DatabaseURL, err)
	}
	if err := g.Serve.Validate(); err != nil {
		t.Errorf("again: %v", err)
	}
	t.Setenv("DATABASE_URL", "postgres://other@db/liwanag")
	if _, err := parseArgs(t, "serve", "--database-url-file", file); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("both: %v", err)
	}
}
