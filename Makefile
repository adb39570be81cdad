# make help lists the targets.
GO        ?= go
PRODUCT   := ./cmd/liwanag/internal
RACE_PKGS := ./workflow/... ./engine ./engine/store/memory ./engine/store/postgres ./internal/groupcommit ./internal/pgdb ./temporalrunner ./fullenrich/... $(addprefix $(PRODUCT)/,httpapi/... live throttle console access notify intake/sources)
TEMPORAL  := $(CURDIR)/.cache/bin/temporal
GORELEASER := github.com/goreleaser/goreleaser/v2@v2.16.0

# What a rule is wrong about says so at the place, with the reason. The simulator is a
# pretended partner: seeded randomness is its point. Harnesses of tests start programs
# that they find or build.
GOSEC := -exclude-dir=fullenrich/simulator -exclude-dir=workflow/workflowtest -exclude-dir=internal/pgdb/pgtest -exclude-dir=test/process -exclude-dir=test/browser -exclude-dir=bench -exclude-dir=tools

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the liwanag binary into this folder
	$(GO) build -trimpath -o liwanag ./cmd/liwanag

.PHONY: demo
demo: ## Run the whole product against the FullEnrich simulator
	$(GO) run ./cmd/liwanag demo

.PHONY: generate
generate: templ ## Generate the console's pages from their templates
	./.cache/bin/templ generate -path $(PRODUCT)/console

.PHONY: templ
templ:
	@$(GO) -C tools build -o ../.cache/bin/ github.com/a-h/templ/cmd/templ

.PHONY: assets
assets: ## Fetch the console's vendored scripts from the npm registry again, by checksum
	$(GO) -C tools run ./assets $(CURDIR)/cmd/liwanag/internal/console/assets/vendor

.PHONY: test
test: deps ## Run every test (what it needs is installed first)
	$(GO) test -timeout 30m work

.PHONY: short
short: ## Run the tests that take no real time: no servers, no programs, no PostgreSQL
	$(GO) test -short work

.PHONY: rules
rules: ## Check the alert rules with promtool (Debian's package prometheus has it)
	promtool check rules docs/alerts.yml

.PHONY: race
race: deps ## Run the tests of the concurrent packages under the race detector
	$(GO) test -race -timeout 30m $(RACE_PKGS)

.PHONY: lint
lint: deps generated ## gofmt, go vet, staticcheck, gosec, generated files
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet work
	$(GO) -C cmd/liwanag/bench vet .
	$(GO) -C tools build -o ../.cache/bin/ honnef.co/go/tools/cmd/staticcheck github.com/securego/gosec/v2/cmd/gosec
	./.cache/bin/staticcheck work
	./.cache/bin/gosec -quiet $(GOSEC) ./workflow/... ./engine/... ./fullenrich/... ./internal/...
	cd temporalrunner && ../.cache/bin/gosec -quiet $(GOSEC) ./...
	cd observe/otel && ../../.cache/bin/gosec -quiet $(GOSEC) ./...
	cd cmd/liwanag && ../../.cache/bin/gosec -quiet $(GOSEC) ./...

.PHONY: generated
generated: templ ## Check that the console's generated files are those of its templates
	@rm -rf .cache/generated && cp -R $(PRODUCT)/console .cache/generated && rm -f .cache/generated/*_templ.go
	@said=$$(./.cache/bin/templ generate -path .cache/generated 2>&1) || { echo "$$said"; exit 1; }
	@diff -r $(PRODUCT)/console .cache/generated || { echo "Try: make generate"; exit 1; }

.PHONY: check
check: test race lint verify test-temporal ## What CI runs: all of them

.PHONY: release-check
release-check: ## Make a release of the tree, publish nothing, and look at it
	GORELEASER=$(GORELEASER) tools/release/check.sh

.PHONY: release
release: ## Make the release of the tag that is checked out, as a draft (.github/workflows/release.yml)
	$(GO) -C tools/release build -o ../../.cache/bin/ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	GOBIN="$(CURDIR)/.cache/bin" $(GO) install $(GORELEASER)
	PATH="$(CURDIR)/.cache/bin:$$PATH" \
		GORELEASER_CURRENT_TAG=$$(git describe --tags --exact-match --match 'cmd/liwanag/v*' | sed 's,^cmd/liwanag/,,') \
		goreleaser release --clean --skip=validate

.PHONY: temporal
temporal: ## Build a Temporal server for tests and the demo, once (about five minutes) into .cache/bin
	@test -x $(TEMPORAL) || $(GO) -C tools/temporal build -o $(TEMPORAL) github.com/temporalio/cli/cmd/temporal

.PHONY: test-temporal
test-temporal: deps temporal ## Run the tests that need a Temporal server
	LIWANAG_TEMPORAL=$(TEMPORAL) $(GO) test -tags temporal -timeout 30m ./temporalrunner/... $(PRODUCT)/app/...

.PHONY: verify
verify: vulncheck ## Check the modules against go.sum, and for known vulnerabilities
	$(GO) mod verify

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is called, where their database can be reached
	@$(GO) -C tools build -o ../.cache/bin/ golang.org/x/vuln/cmd/govulncheck
	@tools/vulncheck.sh

.PHONY: tidy
tidy: ## Tidy every module
	tools/tidy.sh

.PHONY: deps
deps: ## Install what the tests need (Go modules; PostgreSQL's and PgBouncer's programs; node; Chromium)
	@$(GO) version >/dev/null 2>&1 || { echo "Go 1.26 or newer is needed. Try: https://go.dev/doc/install"; exit 1; }
	@$(GO) mod download
	@tools/programs.sh

.PHONY: golden
golden: ## Rewrite the golden files after a wanted change
	$(GO) test $$(git grep -l 'flag.Bool("update"' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's,^,./,') -update

.PHONY: bench
bench: temporal ## Run the benchmarks whose figures stand in docs/performance.md
	$(GO) -C cmd/liwanag/bench build -o ../../../.cache/bin/bench .
	cd cmd/liwanag/bench && for w in w1 latency growth waiting import webhooks people \
		"w1 -store postgres -peers" "w1 -store postgres -nodes 2" "latency -store postgres" "growth -store postgres" \
		"waiting -store postgres" "import -store postgres" "idle -store postgres -nodes 2" temporal; \
		do echo "bench $$w"; ../../../.cache/bin/bench $$w || exit 1; done

.PHONY: fuzz
fuzz: ## Fuzz every parser of outside data for FUZZTIME each (default 30s)
	@for p in $$($(GO) list work); do for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done
