#!/bin/sh
# Sees to it that node and npm are there, with which tests run public tools on the
# API's description: Debian's packages, where apt-get can install them.
set -eu

missing() {
	command -v node >/dev/null 2>&1 && node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' || echo nodejs
	command -v npm >/dev/null 2>&1 || echo npm
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing" $packages
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
packages=$(missing)
if [ -n "$packages" ]; then
	echo "The tests need" $packages "(node 18 or newer), which could not be installed." >&2
	echo "  Try: sudo apt-get install nodejs npm, or https://nodejs.org/en/download" >&2
	exit 1
fi
