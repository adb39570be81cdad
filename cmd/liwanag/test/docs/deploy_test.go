package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

func TestEverySettingOfADeploymentIsThere(t *testing.T) {
	known := map[string]bool{"LIWANAG_CONFIG": true}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Settings]()) {
		known[field.Tag.Get("env")] = true
	}
	files, err := filepath.Glob(filepath.Join(root, "deploy", "*"))
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`\b(?:(?:LIWANAG|FULLENRICH|SUBSCRIBER|TEMPORAL)_[A-Z_]+|DATABASE_[A-Z_]+)\b`)
	found := 0
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		name := filepath.Base(file)
		for _, s := range setting.FindAllString(read(t, "deploy", name), -1) {
			if found++; !known[s] {
				t.Errorf("deploy/%s names %s, which is no setting", name, s)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d settings were found", found)
	}
}

// stopsWithin is what a server takes at most: the default of its setting, and the last requests.
func stopsWithin(t *testing.T) time.Duration {
	t.Helper()
	s, err := config.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	return s.StopTimeout + 5*time.Second
}

func TestTheUnitOfSystemdIsHardened(t *testing.T) {
	unit := read(t, "deploy", "liwanag.service")
	for _, line := range []string{
		"User=liwanag", "StateDirectory=liwanag", "UMask=0077", "Restart=on-failure", "RestartPreventExitStatus=2",
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
		"PrivateDevices=yes", "PrivateUsers=yes", "ProtectProc=invisible", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
		"ProtectControlGroups=yes", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces=yes",
		"RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes", "SystemCallArchitectures=native",
		"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources",
		"LoadCredential=api-key:/etc/liwanag/api-key", "Environment=LIWANAG_API_KEY_FILE=%d/api-key",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
	if stop == nil {
		t.Fatal("the unit says nothing of TimeoutStopSec")
	}
	if seconds, _ := strconv.Atoi(stop[1]); time.Duration(seconds)*time.Second <= stopsWithin(t) {
		t.Errorf("systemd kills after %s s what may take %s", stop[1], stopsWithin(t))
	}
}

func TestTheImageIsMadeOfWhatIsThere(t *testing.T) {
	file := read(t, "deploy", "Dockerfile")
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "VOLUME /data", "EXPOSE 8484", `ENTRYPOINT ["/liwanag"]`} {
		if !strings.Contains(file, "\n"+line+"\n") {
			t.Errorf("the Dockerfile lacks %s", line)
		}
	}
	built := regexp.MustCompile(`CGO_ENABLED=0 go build -trimpath .* (\./\S+)\n`).FindStringSubmatch(file)
	if built == nil {
		t.Fatal("the Dockerfile builds nothing")
	}
	if _, err := os.Stat(filepath.Join(root, built[1], "main.go")); err != nil {
		t.Error(err)
	}
	_, release, _ := strings.Cut(read(t, "go.work"), "go ")
	release = strings.Join(strings.SplitN(strings.Fields(release)[0], ".", 3)[:2], ".")
	if !strings.Contains(file, "FROM golang:"+release+" AS build\n") {
		t.Errorf("the Dockerfile does not build with Go %s", release)
	}
	health := regexp.MustCompile(`CMD \["/liwanag", "(\w+)", "(\w+)"\]`).FindStringSubmatch(file)
	helps := read(t, "cmd", "liwanag", "testdata", "help.txt")
	if health == nil || !strings.Contains(helps, "$ liwanag "+health[1]+" "+health[2]+" --help") {
		t.Errorf("the health check is %q", health)
	}
}

// composed is what the test looks at of a compose file.
type composed struct {
	Services map[string]struct {
		Build       struct{ Context, Dockerfile string }
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		Healthcheck struct{ Test []string }
		Grace       string `yaml:"stop_grace_period"`
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

func TestComposeNamesWhatIsThere(t *testing.T) {
	var file composed
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	server, page := file.Services["liwanag"], read(t, "deploy", "README.md")
	if _, err := os.Stat(filepath.Join(root, "deploy", server.Build.Context, server.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if grace, err := time.ParseDuration(server.Grace); err != nil || grace <= stopsWithin(t) {
		t.Errorf("the server is killed after %s, %v", server.Grace, err)
	}
	if len(file.Services["db"].Healthcheck.Test) == 0 {
		t.Error("the database has no health check")
	}
	mounted := map[string]bool{}
	for name, service := range file.Services {
		for _, volume := range service.Volumes {
			volume, folder, _ := strings.Cut(volume, ":")
			if _, ok := file.Volumes[volume]; !ok {
				t.Errorf("%s mounts %s, which is no volume", name, volume)
			}
			mounted[folder] = true
		}
		for _, secret := range service.Secrets {
			if file.Secrets[secret].File != "secrets/"+secret || !strings.Contains(page, secret) {
				t.Errorf("%s has the secret %s, which is not there or not in the README", name, secret)
			}
		}
		for setting, value := range service.Environment {
			secret, isFile := strings.CutPrefix(value, "/run/secrets/")
			if isFile != strings.HasSuffix(setting, "_FILE") || isFile && !slices.Contains(service.Secrets, secret) {
				t.Errorf("%s: %s is %s", name, setting, value)
			}
		}
	}
	if journal := server.Environment["LIWANAG_JOURNAL"]; journal == "" || !mounted[journal] {
		t.Errorf("the journal %q is on no volume", journal)
	}
}

func TestProxiesKnowTheEventsAndTheLargestFile(t *testing.T) {
	limit := regexp.MustCompile(`maxUpload\s+= (\d+)<<20 \+ (\d+)<<20\n`).FindStringSubmatch(
		read(t, "cmd", "liwanag", "internal", "httpapi", "uploads.go"))
	if limit == nil {
		t.Fatal("the limit of uploads is not where it was")
	}
	file, _ := strconv.Atoi(limit[1])
	form, _ := strconv.Atoi(limit[2])
	routes := read(t, "cmd", "liwanag", "internal", "httpapi", "testdata", "openapi.json")
	for _, route := range []string{`"/api/v1/events"`, `"/api/v1/uploads"`} {
		if !strings.Contains(routes, route) {
			t.Errorf("the API has no %s", route)
		}
	}
	nginx, caddy := read(t, "deploy", "nginx.conf"), read(t, "deploy", "Caddyfile")
	location := regexp.MustCompile(`(?s)location = /api/v1/events \{(.*?)\n    \}`).FindString(nginx)
	if !strings.Contains(location, "proxy_buffering off;") {
		t.Error("nginx holds events back")
	}
	for _, part := range []string{
		fmt.Sprintf("client_max_body_size %dm;", file+form), "location ~ ^(/api/v1)?/uploads$ {", "proxy_request_buffering off;",
		"proxy_set_header Host $host;", "proxy_set_header X-Forwarded-For $remote_addr;", "proxy_set_header X-Forwarded-Proto $scheme;",
	} {
		if !strings.Contains(nginx, part) {
			t.Errorf("nginx.conf lacks %s", part)
		}
	}
	if !strings.Contains(caddy, fmt.Sprintf("max_size %dMiB", file+form)) || !strings.Contains(caddy, "path /api/v1/uploads /uploads") {
		t.Error("the Caddyfile does not have the limit of uploads")
	}
}
