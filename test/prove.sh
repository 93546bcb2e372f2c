#!/usr/bin/env bash
# Runs what make test leaves out. --long fuzzes every parser for two minutes
# and repeats what must be equal. Needs Go, gcc (for the race detector), the Go
# module proxy, and root for the package, which is tried in a throwaway copy of
# this machine; what that needs is installed from the distribution.
set -euo pipefail
cd "$(dirname "$0")/.."
long=no; [ "${1:-}" = --long ] && long=yes
say() { printf '\n== %s\n' "$*"; }

say "gofumpt and staticcheck, pinned, from the module proxy"
unformatted=$(go run mvdan.cc/gofumpt@v0.9.2 -l .)
[ -z "$unformatted" ] || { echo "not formatted by gofumpt:"; echo "$unformatted"; exit 1; }
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

say "race detector"
CGO_ENABLED=1 go test -race -short ./...

say "fuzz targets"
seconds=3s; [ $long = yes ] && seconds=120s
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do
	{ grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go 2>/dev/null || true; } | sed 's/^func //' | while read -r target; do
		echo "$pkg $target"
		go test -run='^$' -fuzz="^$target\$" -fuzztime=$seconds "$pkg" | tail -n 1
	done
done

say "the package"
./test/deb.sh

if [ $long = yes ]; then
	say "the same bytes for any number of workers, twenty runs"
	go test -count=1 -run 'TestSameBytes' ./test/... -args -long
	say "the drill, ten seeds"
	go test -count=1 -timeout 60m -run 'TestDrillSeeds' ./test/... -args -long
fi
say "proved"
