#!/bin/sh
# Sees to it that Chromium is there, in which tests open the console: Debian's
# package, where apt-get can install it.
set -eu

missing() {
	command -v chromium >/dev/null 2>&1 || echo chromium
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing" $packages
	apt-get update -qq
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
if [ -n "$(missing)" ]; then
	echo "The tests need chromium, which could not be installed." >&2
	echo "  Try: sudo apt-get install chromium, or what your system calls it, as chromium in PATH" >&2
	exit 1
fi
