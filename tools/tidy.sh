#!/usr/bin/env bash
# Tidies every module of the workspace. go mod tidy knows no workspace, so the
# modules are told where the others lie, and forget it afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
lib=github.com/liwanag/liwanag
version=v0.1.0
export GOWORK=off
for module in . temporalrunner observe/otel cmd/liwanag; do
	cd "$root/$module"
	[ "$module" = . ] || go mod edit -require=$lib@$version -replace=$lib="$root"
	if [ "$module" = cmd/liwanag ]; then
		for other in temporalrunner observe/otel; do
			go mod edit -require=$lib/$other@$version -replace=$lib/$other="$root/$other"
		done
	fi
	go mod tidy
	go mod edit -dropreplace=$lib -dropreplace=$lib/temporalrunner -dropreplace=$lib/observe/otel
done
cd "$root/cmd/liwanag/bench" && go mod tidy
