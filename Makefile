# `cargo run --release` starts the server; this file does the rest.

# A pipe fails if any of its commands fails.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# Requirements: a Rust toolchain (see rust-version in Cargo.toml), Node 20.19 or later, and Python 3.10 or later with venv.
.PHONY: test tools browser databases lint program rust js clients dashboard secrets example cluster dist packaging site bench bench-quick soak crash simulation deny audit clean

# Tests run the server with its dashboard.
test lint program rust js clients dashboard: export HAPPIERWORK_DASHBOARD = required

test: tools browser databases lint deny rust js clients dashboard secrets
	@echo "all tests passed"

tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs"; exit 1; }
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20.19 or later"; exit 1; }
	@node -e 'const [major, minor] = process.versions.node.split("."); if (major < 20 || (major == 20 && minor < 19)) { console.error("Node.js 20.19 or later is needed, this is " + process.version); process.exit(1) }'
	@python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { echo "Python 3.10 or later with venv and pip is missing: sudo apt-get install python3 python3-venv"; exit 1; }

# The dashboard tests run in the system's Chromium, of which the build without a user interface is faster. It is installed if make runs
# as root, and any other one is used if it cannot be.
BROWSERS := chromium-headless-shell chromium chromium-browser google-chrome
BROWSER = $${CHROMIUM:-$$(for name in $(BROWSERS); do command -v $$name && break; done)}
APT := apt-get install -y --no-install-recommends chromium-headless-shell fonts-noto-core
browser:
	@if [ -z "$$CHROMIUM" ] && ! command -v chromium-headless-shell >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && $(APT) || [ -n "$(BROWSER)" ]; \
	fi
	@if [ -z "$(BROWSER)" ]; then echo "Chromium is missing: sudo $(APT), or set CHROMIUM to the path of a Chromium-based browser"; exit 1; fi

# Servers that the tests of the SQL store start. policy-rc.d keeps the installation from starting the system's own.
DATABASES := postgresql pgbouncer mariadb-server
HAVE_DATABASES = { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 && export PATH="$$PATH:/usr/sbin" && command -v mariadbd >/dev/null && command -v pgbouncer >/dev/null
databases:
	@if ! { $(HAVE_DATABASES); } && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		own=; \
		if [ ! -e /usr/sbin/policy-rc.d ]; then own=1; printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; fi; \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(DATABASES); result=$$?; \
		if [ -n "$$own" ]; then rm -f /usr/sbin/policy-rc.d; fi; exit $$result; \
	fi
	@if ! { $(HAVE_DATABASES); }; then echo "PostgreSQL, PgBouncer or MariaDB is missing: sudo apt-get install $(DATABASES)"; exit 1; fi

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --no-default-features --locked -- -D warnings

# Output of all tests, including the servers' logs at every level.
LOGS := $(CURDIR)/target/test-logs
$(LOGS):
	mkdir -p $@
js clients dashboard: export HAPPIERWORK_TEST_LOGS = $(LOGS)
js dashboard: export HAPPIERWORK_LOG = trace

# Unit, property and whole-server tests. Many of them wait for processes and disks: more threads than processors save time.
rust: export RUST_TEST_THREADS ?= 4
rust: databases target/python-venv | $(LOGS)
	rm -f $(LOGS)/rust.log
	cargo test --workspace --locked 2>&1 | tee $(LOGS)/rust.log

# The program under test. By default it is the one that the Rust tests have built, with assertions and overflow checks; `make js
# PROFILE=release` tests the release build.
PROFILE ?= dev
PROGRAM := $(CURDIR)/target/$(patsubst dev,debug,$(PROFILE))/happierwork
program:
	cargo test --workspace --locked --profile $(PROFILE) --no-run --test docs

# Stock JavaScript clients and examples/ against the real server, and clients against three servers on one database.
EXAMPLES := examples/node/node_modules/.package-lock.json examples/react/node_modules/.package-lock.json
js: program databases browser $(EXAMPLES) tests/js/node_modules/.package-lock.json | $(LOGS)
	rm -f $(LOGS)/js-*.log
	cd tests/js && CHROMIUM="$(BROWSER)" HAPPIERWORK_BIN="$(PROGRAM)" npm test
	cd tests/js && HAPPIERWORK_BIN="$(PROGRAM)" npm run test:cluster

# Generated API clients, and the API description itself, against the real server.
clients: program tests/clients/node_modules/.package-lock.json target/python-venv | $(LOGS)
	cd tests/clients && HAPPIERWORK_BIN="$(PROGRAM)" npm test

target/python-venv: tests/clients/requirements.txt
	rm -rf $@
	python3 -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --requirement $< || { rm -rf $@; exit 1; }
	touch $@

# The dashboard: types, style, unit tests, and browser tests against the real server.
dashboard: program browser dashboard/node_modules/.package-lock.json | $(LOGS)
	rm -f $(LOGS)/dashboard-*.log
	cd dashboard && npm run check && npm run unit
	cd dashboard && CHROMIUM="$(BROWSER)" HAPPIERWORK_BIN="$(PROGRAM)" npm test

# The output of the tests contains no password, token or key.
secrets: rust js clients dashboard
	node tests/secrets.mjs $(LOGS)

# Competing servers from npm, for the benchmarks.
CONTENDERS := $(patsubst %/package.json,%,$(wildcard benches/load/contenders/node/*/package.json))
.PHONY: contenders
contenders: $(CONTENDERS:%=%/node_modules/.package-lock.json)

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund

# A five-second demonstration.
example:
	cargo run --locked --example ceo_and_cfo

# Three servers on one PostgreSQL database behind a load balancer, until Ctrl-C.
cluster:
	cargo build --locked --release
	@exec examples/cluster/run.sh

# The files of a release, in target/dist: program, Debian package, bills of materials, checksums. TARGET is another architecture.
dist: tools
	packaging/tools.sh
	packaging/dist.sh

# Checks of everything around the program: the files of a release, the installed Debian package, the container, the
# documentation site, and the monitoring rules. Not part of `make test`, as it builds a release. Uses root, or sudo.
packaging: dist site
	packaging/check.sh

# The documentation as a site, in target/site.
site:
	packaging/tools.sh
	packaging/site.sh

# Benchmarks, also of other servers. The load generator builds and measures the release build.
bench: contenders
	cargo bench --locked --bench load

bench-quick: contenders
	cargo bench --locked --bench load -- --quick

# Churn of clients for MINUTES, to find leaks. Writes docs/soak.md.
MINUTES ?= 60
soak:
	cargo bench --locked --bench load -- --only soak --minutes $(MINUTES)

# Longer runs of two tests of `make test`: the simulation, and kill -9 under load.
SEEDS ?= 10000
simulation:
	SEEDS=$(SEEDS) cargo test --locked --test simulation -- --nocapture --skip one_seed

ROUNDS ?= 500
crash:
	ROUNDS=$(ROUNDS) cargo test --locked --test crash -- --nocapture --test-threads 1

# Fuzzes every target for FUZZ_SECONDS. Needs a nightly toolchain and cargo-fuzz.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS := $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))
.PHONY: fuzz $(FUZZ_TARGETS:%=fuzz-%)
fuzz: $(FUZZ_TARGETS:%=fuzz-%)

# Leak detection is off: a server's metrics are never freed, and the target of requests starts many servers.
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%:
	mkdir -p fuzz/corpus/$*
	HAPPIERWORK_DASHBOARD=none ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run $* fuzz/corpus/$* fuzz/seeds/$* -- -max_total_time=$(FUZZ_SECONDS) -timeout=20

# Licences, sources and bans of all dependencies. Installs cargo-deny when it is missing: unoptimized, as it runs for a second and
# compiles for minutes.
INSTALL_DENY := command -v cargo-deny >/dev/null || CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug cargo-deny
deny:
	@$(INSTALL_DENY)
	cargo deny check bans licenses sources

# Known vulnerabilities of dependencies. Not part of the tests: it downloads the advisory database.
audit:
	@$(INSTALL_DENY)
	cargo deny check advisories

clean:
	cargo clean
	rm -rf examples/node/node_modules examples/react/node_modules tests/js/node_modules tests/clients/node_modules tests/clients/generated dashboard/node_modules $(CONTENDERS:%=%/node_modules)
