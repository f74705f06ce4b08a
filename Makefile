# The commands a newcomer needs. Each installs what it lacks and says so; the work is in scripts/.

# Compiled dependencies are shared by all checkouts of a user; finished programs stay in ./target, so that
# two checkouts never run each other's. Whoever sets CARGO_TARGET_DIR gets everything there instead.
ifndef CARGO_TARGET_DIR
export CARGO_BUILD_BUILD_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stockade/target
endif

.PHONY: help run test bench soak fmt

help:
	@echo "make run     build the desk and start it on https://localhost:8443"
	@echo "             STOCKADE_HOME=folder   where it keeps its data (./data)"
	@echo "             FEED=file.jsonl.gz     replay a recording instead of the generated market"
	@echo "             DATABASE_URL=postgres://user:password@host/name"
	@echo "make test    everything that must be true: formats, lints, tests on both databases, a real browser"
	@echo "make bench   the figures of this machine, each beside its reference"
	@echo "make soak    bad days for the order path, and fifty bots: faults, kills, and what became of every order"
	@echo "make fmt     format Rust and the page"

run:
	@scripts/run

test:
	@scripts/test

bench:
	@scripts/bench

soak:
	@scripts/soak

fmt:
	@scripts/setup rust node
	cargo fmt
	npm --prefix web run --silent lint -- --write
