.PHONY: run test
run:
	cargo build --release
test:
	cargo nextest run --workspace
