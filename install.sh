#!/bin/sh
# Installs liwanag from a release: takes the archive for this machine, checks it against the release's checksums, and
# puts the one program in it into a folder. It asks nothing, needs no root, and touches nothing else.
#
#	curl -fsSL https://github.com/liwanag/liwanag/releases/latest/download/install.sh | sh
#
# LIWANAG_VERSION   which release, such as 0.1.0. Default: the latest.
# LIWANAG_BIN       where to put it. Default: /usr/local/bin where that may be written, else ~/.local/bin.
# LIWANAG_RELEASES  where releases are. Default: https://github.com/liwanag/liwanag/releases
set -eu

fail() {
	echo "install.sh: $1" >&2
	[ -z "${2:-}" ] || echo "  Try: $2" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# fetch URL FILE
fetch() {
	if has curl; then
		curl -fsSL --retry 3 -o "$2" "$1"
	elif has wget; then
		wget -q -O "$2" "$1"
	else
		fail "neither curl nor wget is here" "install one of them, or download $1 in a browser"
	fi || fail "$1 cannot be fetched" "open it in a browser; behind a proxy set https_proxy"
}

sum() {
	if has sha256sum; then
		sha256sum "$1"
	elif has shasum; then
		shasum -a 256 "$1"
	else
		fail "neither sha256sum nor shasum is here, so nothing can be checked" "install coreutils"
	fi | cut -d ' ' -f 1
}

# All of it is a function, so that half a download does nothing.
main() {
	case $(uname -s) in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	*) fail "there is no archive for $(uname -s) that this script knows" "on Windows take liwanag_…_windows_….zip of the release" ;;
	esac
	case $(uname -m) in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) fail "there is no archive for $(uname -m)" "go install github.com/liwanag/liwanag/cmd/liwanag@latest" ;;
	esac

	releases=${LIWANAG_RELEASES:-https://github.com/liwanag/liwanag/releases}
	version=${LIWANAG_VERSION:-}
	version=${version#v}
	if [ -n "$version" ]; then
		from=$releases/download/v$version
	else
		from=$releases/latest/download
	fi
	bin=${LIWANAG_BIN:-}
	if [ -z "$bin" ]; then
		bin=/usr/local/bin
		[ -w "$bin" ] || bin=$HOME/.local/bin
	fi

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM

	echo "Looking at $from/checksums.txt"
	fetch "$from/checksums.txt" "$work/checksums.txt"
	line=$(grep "_${os}_$arch\\.tar\\.gz\$" "$work/checksums.txt") || fail "the release has no archive for $os on $arch" "another LIWANAG_VERSION"
	want=${line%% *}
	archive=${line##* }

	echo "Fetching $archive"
	fetch "$from/$archive" "$work/$archive"
	got=$(sum "$work/$archive")
	[ "$got" = "$want" ] || fail "$archive has the checksum $got, and $want is right: it is not installed" "again; if it stays so, tell us"
	echo "Its checksum is right: $got"

	tar -xzf "$work/$archive" -C "$work" liwanag
	mkdir -p "$bin"
	cp "$work/liwanag" "$bin/.liwanag.new"
	chmod 0755 "$bin/.liwanag.new"
	mv -f "$bin/.liwanag.new" "$bin/liwanag"
	echo "Installed $bin/liwanag:"
	"$bin/liwanag" version

	case ":$PATH:" in
	*":$bin:"*) echo "Try: liwanag demo" ;;
	*) echo "$bin is not in PATH. Try: export PATH=\"$bin:\$PATH\"; liwanag demo" ;;
	esac
}

main "$@"
