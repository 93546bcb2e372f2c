# The newcomer's two: make drill, make test. make prove runs what needs more.
GO ?= go
export CGO_ENABLED = 0

.PHONY: build deb drill test prove prove-long clean

build:
	$(GO) build -trimpath -o testudo ./cmd/testudo

# A synthetic week of a small ministry, with a flood, a break-in and a spy in
# it, read by the same code that reads your captures.
drill: build
	./testudo drill --keep drill-out

test:
	$(GO) vet ./...
	$(GO) test ./...

# A Debian package of this version in dist/: the program, its services and
# account, manual pages and completions. GOARCH=arm64 makes one for another
# machine.
deb:
	./packaging/deb.sh dist

# What needs more than a plain user and ten minutes: the race detector, the
# linters at their pinned versions, every fuzz target for a moment. It
# installs what it needs and says so.
prove:
	./test/prove.sh

# The long form: two minutes a fuzz target, twenty equal runs, ten seeds.
prove-long:
	./test/prove.sh --long

clean:
	rm -rf testudo drill-out dist
