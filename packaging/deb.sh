#!/bin/sh
# Writes testudo_VERSION_ARCH.deb into the folder named, or into dist/.
# GOARCH chooses the machine it is for; GOFLAGS reaches the compiler. nfpm
# comes through the Go module proxy, at the version in packaging/go.mod.
set -eu
cd "$(dirname "$0")/.."
out=${1:-dist}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0

# For this machine, to ask it; then for the one the package is for.
GOOS='' GOARCH='' go build -trimpath -o "$work/here" ./cmd/testudo
GOOS=linux go build -trimpath -ldflags='-s -w' -o "$work/testudo" ./cmd/testudo
"$work/here" pages "$work"
gzip -9n "$work"/man/*
field() { "$work/here" version -o json | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
for script in preinst postinst prerm postrm; do
	sed "s/@VERSION@/$(field version)/g; s/@FORMAT@/$(field state_format)/g" "packaging/$script" >"$work/$script"
done
gzip -9nc CHANGELOG.md >"$work/CHANGELOG.md.gz"
# What is compiled in asks that its notice goes with it.
{
	cat packaging/copyright
	printf '\n== %s, LICENSE\n\n' "$(go version | cut -d ' ' -f 3)"
	cat "$(go env GOROOT)/LICENSE"
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/testudo | sort -u | while read -r path release dir; do
		for notice in "$dir"/LICENSE* "$dir"/NOTICE*; do
			[ ! -f "$notice" ] || { printf '\n== %s %s, %s\n\n' "$path" "$release" "${notice##*/}"; cat "$notice"; }
		done
	done
} >"$work/copyright"

VERSION=$(field version)
ARCH=${GOARCH:-$(go env GOARCH)}
# Everything has the time of the last commit, so that the same source gives
# the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
cp packaging/*.service packaging/*.conf packaging/nfpm.yaml "$work"
find "$work" -type f -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
export VERSION ARCH SOURCE_DATE_EPOCH
(cd packaging && GOFLAGS='' GOOS='' GOARCH='' go build -o "$work/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm)
cd "$work" && ./nfpm package --packager deb --target "$out/"
