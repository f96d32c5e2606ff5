# Two commands: `make run` and `make test`. Both set up what the machine lacks.

export DITTOFS_TOOLS ?= $(HOME)/.cache/dittofs-tools
export PATH := $(DITTOFS_TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)

.PHONY: run test lint

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
