# Everything that is built or downloaded goes to .cache, build and dist.
PYTHON ?= python3
GO ?= go
VENV := .cache/venv
PY := $(VENV)/bin/python
PACKAGING := .cache/packaging
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# The Go packages, without the cached environments of other projects below .cache.
# The fault matrix in proof/ is about deadlines, which mean little under the race detector: it runs without.
GO_PACKAGES := . ./bench/... ./call/... ./cmd/... ./cpython/... ./local/... ./proof/fuzz ./proof/history ./store/... ./tablestore/... ./tests/allocated ./tests/authority ./tests/certificates ./tests/poll ./tests/sdks/go ./version/...

# cgo needs Python.h; -O2 is cgo's own default, which setting the variable would drop.
export CGO_CFLAGS := -O2 -I$(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_paths()["include"])')

.PHONY: help build wheel wheels sdist demo test test-python lint security race matrix fuzz test-sdks chaos soak crash compat bench bench-server bench-nodestores footprint dictionary profile bench-migrate migration-proof clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements-dev.txt
	@command -v $(GO) >/dev/null || { echo "Go 1.25 or newer is needed: https://go.dev/doc/install"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

build: $(VENV)/.ready ## the extension module in python/ and tablestore-local in build/
	$(PY) setup.py --quiet build_ext --inplace
	CGO_ENABLED=0 $(GO) build -trimpath -o build/tablestore-local ./cmd/tablestore-local

$(PACKAGING)/.ready: packaging/requirements-build.txt packaging/requirements-check.txt
	$(PYTHON) -m venv $(PACKAGING)
	$(PACKAGING)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r packaging/requirements-build.txt
	$(PACKAGING)/bin/python -m pip install --quiet --disable-pip-version-check -r packaging/requirements-check.txt
	@touch $@

wheel: $(PACKAGING)/.ready ## the wheel for this machine, in dist/
	$(PACKAGING)/bin/python packaging/build.py host

wheels: $(PACKAGING)/.ready ## what is published, checked: the wheels for x86_64 and aarch64, and the sdist
	$(PACKAGING)/bin/python packaging/build.py x86_64 aarch64 sdist
	$(PACKAGING)/bin/python packaging/check.py dist/*.whl dist/*.tar.gz

sdist: $(PACKAGING)/.ready ## the source distribution, in dist/
	$(PACKAGING)/bin/python packaging/build.py sdist

demo: wheel $(VENV)/.ready ## a real Sentry storing and reading real events through this backend
	$(PY) demo/demo.py

test: lint security race matrix test-python ## everything that must pass

lint: $(VENV)/.ready ## go vet, staticcheck, gofmt, ruff
	@test -z "$$(gofmt -l *.go bench call cmd cpython local proof store tablestore tests version)" || { gofmt -d *.go bench call cmd cpython local proof store tablestore tests version; exit 1; }
	$(GO) vet $(GO_PACKAGES) ./proof
	$(GO) run $(STATICCHECK) $(GO_PACKAGES) ./proof
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

security: $(VENV)/.ready ## known vulnerabilities, committed secrets; says what it cannot look up here
	$(PY) security/scan.py $(SECURITY)

race: ## the Go tests under the race detector
	$(GO) test -race $(GO_PACKAGES)

FUZZTIME ?= 60s
FUZZ_FLAGS ?=
fuzz: ## every fuzz target for FUZZTIME, written down in docs/results/fuzz-server.md
	GO=$(GO) $(GO) run ./proof/fuzz -time $(FUZZTIME) -save docs/results/fuzz-server.md $(FUZZ_FLAGS) local store tablestore

test-python: build wheels ## the Python tests, those with a real Sentry included
	$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

compat: build wheels ## every Sentry and CPython that can be had; writes the tables of README and docs/results
	TEST_WHEELS=all $(PY) -m pytest tests/packaging/test_sdist.py -k same_bytes
	$(PY) tests/compat/compat.py

test-sdks: build ## one script through the official SDKs of Go, Python, Java and Node: docs/results/sdks.md
	TEST_SDKS=all TEST_SDKS_SAVE=docs/results/sdks.md $(PY) -m pytest -rs tests/sdks

matrix: ## every call of the store under every kind of fault
	$(GO) test ./proof

CHAOS_SECONDS ?= 600
chaos: build ## the same with every error code and outages of 30 s, then CHAOS_SECONDS of a history under faults and kills
	TABLESTORE_CHAOS=full TABLESTORE_CHAOS_SAVE=$(CURDIR)/docs/results/chaos.md $(GO) test ./proof -run TestFaultMatrix -count 1 -timeout 60m
	$(PY) proof/history/run.py --seconds $(CHAOS_SECONDS) --save docs/results/history.md

SOAK_SECONDS ?= 3600
SOAK_PACE ?= 0
soak: build ## an hour of Sentry's backend in 4 processes of 8 threads: does anything grow? docs/results/soak.md
	$(PY) proof/soak/run.py --seconds $(SOAK_SECONDS) --pace $(SOAK_PACE) --save docs/results/soak.md

crash: ## kill tablestore-local and cut its power 250 times each under load and look for lost writes: docs/results/crash.md
	TABLESTORE_CRASH_KILLS=250 TABLESTORE_POWER_CUTS=250 TABLESTORE_CRASH_SAVE=$(CURDIR)/docs/results/crash.md \
		$(GO) test ./local -run '^(TestKill|TestPowerCut)$$' -count 1 -timeout 30m -v

BENCH ?=
bench: build ## calls a second and CPU beside the SDKs and bare HTTP, some minutes for each of BENCH="calls sizes interpreters latency": docs/results/bench.md, README
	$(PY) bench/bench.py --save $(BENCH)

BENCH_ROWS ?= 1000000
BENCH_ROUNDS ?= 5
BENCH_SECONDS ?= 5
bench-server: build ## tablestore-local on this disk: synced writes, and BENCH_ROWS rows, written down in docs/results/server.md
	$(GO) run ./bench/server -rows $(BENCH_ROWS) -rounds $(BENCH_ROUNDS) -seconds $(BENCH_SECONDS) -save docs/results/server.md

profile: build ## where the CPU of a client goes, by perf: docs/results/profile.md
	$(PY) bench/profiling.py --save

bench-nodestores: wheel $(VENV)/.ready ## Sentry's Django nodestore on PostgreSQL beside this one, written down in docs/results/nodestores.md
	$(PY) bench/nodestores --save docs/results/nodestores.md

footprint: wheel $(VENV)/.ready ## memory, time to start and the wheel's size, written down in docs/results/footprint.md
	$(PY) bench/footprint --save docs/results/footprint.md

bench-migrate: build ## rows a second of migrate beside COPY and a plain loop, written down in docs/results/bench-migrate.md
	$(PY) bench/migrate/bench.py --save docs/results/bench-migrate.md $(ARGS)

MIGRATION_ROWS ?= 200000
MIGRATION_KILLS ?= 12
migration-proof: build wheel ## migrate MIGRATION_ROWS rows in a real Sentry, killed again and again: docs/results/migration.md
	MIGRATION_ROWS=$(MIGRATION_ROWS) MIGRATION_KILLS=$(MIGRATION_KILLS) MIGRATION_RESULT=docs/results/migration.md \
		$(PY) -m pytest tests/sentry/test_sentry_migration_proof.py

dictionary: $(VENV)/.ready ## what a zstd dictionary would save, written down in docs/results/dictionary.md
	$(PY) bench/dictionary --save docs/results/dictionary.md

clean: ## remove what was built; the environments in .cache stay
	rm -rf build dist python/sentry_tablestore/*.so python/*.egg-info
