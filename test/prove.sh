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

say "the kernel: rings, faults of interfaces, passing of sockets, rights; a fixed rate without loss"
# Each test binary makes a network namespace of its own; nothing else is touched.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
# Time counts in them, and on a shared machine other programs may have the
# core: the short form tries three times, and asks for a lower rate.
rate=100000; tries=3; [ $long = yes ] && { rate=300000; tries=1; }
again() { local n; for ((n = 1; n < tries; n++)); do "$@" && return; echo "again: other programs may have had the core"; done; "$@"; }
prove() { as_root env TESTUDO_PROVE=yes "PATH=$PATH" "HOME=$HOME" "$@"; }
if as_root true 2>/dev/null; then
	kernel=$(mktemp -d); trap 'rm -rf "$kernel"' EXIT
	for room in sense/source/afpacket sense/source/afpacket/sensor shield/rights; do
		go test -c -o "$kernel/kernel.test" "./$room"
		cd "$room"
		again prove "$kernel/kernel.test" -test.run '^TestKernel' -test.skip '^TestKernelRate$'
		cd - >/dev/null
	done
	go test -c -o "$kernel/kernel.test" ./sense/source/afpacket
	again prove "$kernel/kernel.test" -test.run '^TestKernelRate$' -test.v -rate $rate
	say "testudo watch on one core: the ordinary mix at $rate packets/s, nothing lost$([ $long = yes ] && echo ', for 30 minutes')"
	go test -c -o "$kernel/test.test" ./test
	cd test
	again prove "$kernel/test.test" -test.run '^TestKernelLive$' -test.v -test.timeout 45m -rate $rate $([ $long = yes ] && echo -long)
	cd ..
	say "what is remembered: full disks, two ClickHouse servers that share the records"
	if ! command -v clickhouse-server >/dev/null; then
		echo "installing clickhouse-server from the distribution"
		as_root apt-get update -qq
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends clickhouse-server >/dev/null
	fi
	for room in keep/history/clickhouse keep/history/parquet keep/state test; do
		go test -c -o "$kernel/kept.test" "./$room"
		cd "$room"
		tests='Full'; [ $room = keep/history/clickhouse ] && tests='.'
		prove "$kernel/kept.test" -test.run "$tests" -test.timeout 10m
		cd - >/dev/null
	done
else
	echo "SKIPPED: root is needed to prove what the kernel does; run as root, or with sudo that asks nothing"
fi

# fuzz runs one target of the program that was built last. A run that ends in
# nothing but its own deadline, with no failing input, is a race in Go's
# fuzzing (golang/go#75804): it is run once more, and must then pass.
fuzzing=$(mktemp -d)
fuzz() {
	for _ in first again; do
		if (cd "$2" && "$fuzzing/fuzz.test" -test.run='^$' -test.fuzz="^$3\$" -test.fuzztime=$seconds -test.fuzzcachedir="$(go env GOCACHE)/fuzz/$1") >"$fuzzing/out" 2>&1; then return; fi
		if grep -qE 'failing input|panic' "$fuzzing/out" || ! grep -q 'context deadline exceeded' "$fuzzing/out"; then break; fi
	done
	cat "$fuzzing/out"; return 1
}

say "fuzz targets"
seconds=2s; [ $long = yes ] && seconds=120s
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do
	targets=$({ grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go 2>/dev/null || true; } | sed 's/^func //')
	[ -n "$targets" ] || continue
	go test -c -fuzz=. -o "$fuzzing/fuzz.test" "$pkg"
	for target in $targets; do
		echo "$pkg $target"
		fuzz "$pkg" "$dir" "$target"
	done
done
rm -rf "$fuzzing"

say "the package"
./test/deb.sh

if [ $long = yes ]; then
	say "the same bytes for any number of workers, twenty runs"
	go test -count=1 -run 'TestSameBytes' ./test/... -args -long
	say "the drill, ten seeds"
	go test -count=1 -timeout 60m -run 'TestDrillSeeds' ./test/... -args -long
fi
say "proved"
