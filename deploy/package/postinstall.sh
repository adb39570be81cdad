#!/bin/sh
# After the package is installed: the user whom the service runs as. The service is not started, since it has no keys yet.
set -eu
if ! getent passwd liwanag >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/liwanag --shell /usr/sbin/nologin liwanag
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart liwanag.service
fi
