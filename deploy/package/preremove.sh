#!/bin/sh
# Before the package goes, and not when a newer one takes its place. Database, settings and user stay.
set -eu
case "${1:-}" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now liwanag.service
	fi
	;;
esac
