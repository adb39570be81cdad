#!/bin/sh
# Sees to it that the programs are there with which tests start a PostgreSQL of
# their own and a PgBouncer in front of it, run public tools on the API's
# description, and open the console: Debian's packages, where apt-get can install
# them.
set -eu

missing() {
	command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
	command -v pgbouncer >/dev/null 2>&1 || test -x /usr/sbin/pgbouncer || echo pgbouncer
	command -v node >/dev/null 2>&1 && node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' || echo nodejs
	command -v npm >/dev/null 2>&1 || echo npm
	command -v chromium >/dev/null 2>&1 || echo chromium
	command -v nginx >/dev/null 2>&1 || test -x /usr/sbin/nginx || echo nginx
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
	echo "The tests need" $packages "(initdb, pgbouncer, node 18 or newer, npm, chromium, nginx), which could not be installed." >&2
	echo "  Try: sudo apt-get install" $packages ", or what your system calls them" >&2
	exit 1
fi
