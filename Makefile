# Two commands: `make run` and `make test`. Both set up what the machine lacks. Besides, `make conformance` for who has pynfs,
# and the comparisons of benches/README.md.

export DITTOFS_TOOLS ?= $(HOME)/.cache/dittofs-tools
export PATH := $(DITTOFS_TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)

.PHONY: run test lint conformance bench-peers bench-scale bench-kernel

run:
	@scripts/setup run
	cargo build --release --locked -p dittofs-host -p dittofs-adapter-nfs -p dfsctl
	@mkdir -p data/export
	@exec target/release/dittofs serve ./data/export

# Nextest's summary stays the last thing printed.
test: lint
	cargo build --workspace --locked
	cargo nextest run --workspace --locked

lint:
	@scripts/setup test
	cargo fmt --all --check
	cargo deny --locked check bans licenses sources
	cargo clippy --workspace --all-targets --locked -- -D warnings

# make conformance PYNFS=DIRECTORY [PYTHON=python3]: see docs/conformance.md. Fetches nothing.
PYTHON ?= python3
conformance:
	@[ -n "$(PYNFS)" ] || { echo "usage: make conformance PYNFS=DIRECTORY; docs/conformance.md says how to get it"; exit 2; }
	cargo build --locked -p dittofs-host -p dittofs-adapter-nfs
	cargo run --locked -p dittofs-tests --bin conformance -- --pynfs $(PYNFS) --python $(PYTHON)

# make bench-peers [ARGUMENTS="--only getattr --pinned"]: this build, NFS-Ganesha and an echo; --help lists the arguments.
bench-peers:
	@scripts/setup bench
	cargo build --release --locked -p dittofs-host -p dittofs-adapter-nfs -p dittofs-load -p dittofs-peers
	@exec target/release/bench-peers $(ARGUMENTS)

# make bench-scale [ARGUMENTS=--full]: what grows with the number of connections, opens, locks, entries and files.
bench-scale:
	@scripts/setup bench
	cargo build --release --locked -p dittofs-host -p dittofs-adapter-nfs -p dittofs-peers
	@exec target/release/bench-scale $(ARGUMENTS)

# make bench-kernel, as root: fio and a tree of 5,000 files, on the real Linux client of this build and of NFS-Ganesha.
bench-kernel:
	@scripts/setup bench
	cargo build --release --locked -p dittofs-host -p dittofs-adapter-nfs -p dittofs-peers
	@exec target/release/bench-kernel $(ARGUMENTS)
