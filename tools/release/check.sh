#!/bin/sh
# Makes a release of the tree, publishes nothing, and looks at it as a user gets it: make release-check.
# The first call builds GoReleaser, which takes some minutes.
set -eu
cd "$(dirname "$0")/../.."
bin=$PWD/.cache/bin
dist=$PWD/.cache/dist
here=$(go env GOOS)_$(go env GOARCH)

step() { echo "== $1"; }

step "the tools"
go -C tools/release vet ./...
go -C tools/release test ./...
go -C tools/release build -o "$bin/" ./dockerlint \
	github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod github.com/rhysd/actionlint/cmd/actionlint
GOBIN=$bin go install "$GORELEASER"

step "deploy/Dockerfile"
"$bin/dockerlint" deploy/Dockerfile

step "deploy/liwanag.service"
if command -v systemd-analyze >/dev/null; then
	systemd-analyze security --offline=true --threshold=20 deploy/liwanag.service | tail -n 1
else
	echo "left out: there is no systemd-analyze here"
fi

step "workflows"
"$bin/actionlint" .github/workflows/*.yml

step "scripts"
for script in install.sh deploy/package/*.sh; do sh -n "$script"; done

step "programs, archives, packages"
PATH=$bin:$PATH "$bin/goreleaser" check
PATH=$bin:$PATH "$bin/goreleaser" release --snapshot --clean
version=$(sed 's/.*"version":"\([^"]*\)".*/\1/' "$dist/metadata.json")
(cd "$dist" && sha256sum -c checksums.txt)
for sbom in "$dist"/*.cdx.json; do
	grep -q '"bomFormat": "CycloneDX"' "$sbom" && grep -q '"name": "modernc.org/sqlite"' "$sbom" || { echo "$sbom is no list of modules"; exit 1; }
done
for deb in "$dist"/*.deb; do
	if [ -f "$deb" ] && command -v dpkg-deb >/dev/null; then
		dpkg-deb --info "$deb" | grep -E 'Package|Version|Architecture'
		dpkg-deb --contents "$deb" > "$dist/contents"
		for path in ./usr/bin/liwanag ./usr/lib/systemd/system/liwanag.service ./etc/liwanag/; do
			grep -q " $path\$" "$dist/contents" || { echo "$deb lacks $path"; exit 1; }
		done
	fi
done
for rpm in "$dist"/*.rpm; do
	if [ -f "$rpm" ] && command -v rpm >/dev/null; then
		rpm -qlp "$rpm" > "$dist/contents"
		for path in /usr/bin/liwanag /usr/lib/systemd/system/liwanag.service /etc/liwanag; do
			grep -qx "$path" "$dist/contents" || { echo "$rpm lacks $path"; exit 1; }
		done
	fi
done

step "the archive of this platform, in an empty folder"
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
tar -xzf "$dist/liwanag_${version}_$here.tar.gz" -C "$empty"
(
	cd "$empty"
	./liwanag version | tee said
	grep -q "^liwanag $version " said || { echo "the version is not stamped"; exit 1; }
	HOME=$empty ./liwanag demo --exit --dir "$empty/demo"
)

step "install.sh, from the folder of the release"
mkdir -p "$empty/releases/latest" "$empty/home"
ln -s "$dist" "$empty/releases/latest/download"
LIWANAG_RELEASES=file://$empty/releases HOME=$empty/home LIWANAG_BIN=$empty/home/bin sh install.sh
echo "== a release of this tree is fit to be one"
