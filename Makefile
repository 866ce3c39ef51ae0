# Two commands do everything: `make demo` runs the quickstart, `make test` passes every test.
.DEFAULT_GOAL := help
.PHONY: help demo test libvirt-needs test-fast test-slow test-libvirt proofs conformance soak lint types contracts coverage fuzz libvirt-test bed bench test-pythons clean

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
FUZZ_SECONDS ?= 600
OUT ?= runs/quickstart

help:  ## Say what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml tools/setup-venv
	tools/setup-venv $(VENV) .
	@touch $@

$(VENV)/.dev: pyproject.toml tools/setup-venv tools/setup-postgresql
	tools/setup-venv $(VENV) '.[dev]'
	tools/setup-postgresql
	@touch $(VENV)/.run $@

demo: $(VENV)/.run  ## Set everything up, run the quickstart scenario, print its summary and where the report is
	$(BIN)/sundog run quickstart --out $(OUT) --force

test: libvirt-needs lint types contracts test-fast test-pythons test-slow test-libvirt  ## Set everything up and pass every check and test

CORE := tests/unit/core tests/unit/test_errors.py tests/unit/test_units.py tests/properties
test-fast: coverage  ## The tests that need no process of their own: fifteen minutes on two cores
	$(BIN)/pytest -n $(JOBS) -q -m "not slow and not system and not trace and not proof and not libvirt" \
		$(addprefix --ignore=,$(CORE))

test-slow: $(VENV)/.dev  ## Real traces, the installed command, and whatever takes long
	$(BIN)/pytest -n $(JOBS) -q -m "(slow or system or trace) and not proof and not libvirt"

coverage: $(VENV)/.dev  ## The core's own tests, and its branch coverage by them, which must not fall below 95 %
	$(BIN)/pytest -n $(JOBS) -q $(CORE) --cov=sundog.core --cov-branch --cov-report=term:skip-covered --cov-fail-under=95

proofs: $(VENV)/.dev  ## Theory and published figures in full, nightly: under 30 minutes on two cores
	$(BIN)/pytest -n $(JOBS) -q tests/proofs

lint: $(VENV)/.dev  ## Style, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell sundog docs benchmarks tools README.md CONTRIBUTING.md CHANGELOG.md

types: $(VENV)/.dev  ## Types: strict in core and runtime
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## Who may import whom
	$(BIN)/lint-imports

BACKEND ?= simulated
conformance: $(if $(filter libvirt,$(BACKEND)),bed,$(VENV)/.dev)  ## OpenStack's own tests: SERVICE=identity, or SERVICE=compute BACKEND=libvirt as root
	tools/conformance $(SERVICE) --backend $(BACKEND)

fuzz: $(VENV)/.dev  ## What schemathesis makes of our OpenAPI, ten minutes long: nothing may end in a 5xx
	tools/fuzz --seconds $(FUZZ_SECONDS)

SEEDS ?= 200
soak: $(VENV)/.dev  ## The control plane under random clients, faults and crashes: make soak SEEDS=2000
	$(BIN)/sundog soak --seeds $(SEEDS) --jobs $(JOBS)

$(VENV)/.libvirt: $(VENV)/.dev
	tools/libvirt-bed needs --install
	tools/setup-venv $(VENV) '.[dev,libvirt]'
	@touch $(VENV)/.run $(VENV)/.dev $@

bed: $(VENV)/.libvirt
	tools/libvirt-bed needs --install
	tools/guest-image --install

LONGEST := tests/system/test_two_machines.py
libvirt-test: bed  ## The tests on real libvirt hosts, which are set up for them and go with them: as root
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -q -m "libvirt and not proof" \
		$(LONGEST) $(filter-out $(LONGEST),$(wildcard tests/system/test_*.py)) tests/conformance

libvirt-needs: $(VENV)/.dev  ## What the tests of the libvirt driver need, where it can be had: first, or some would be skipped
	@if tools/libvirt-bed needs --install; then $(MAKE) $(VENV)/.libvirt; fi

test-libvirt: $(VENV)/.dev  ## libvirt-test where real hosts can be; elsewhere it says what stands in the way
	@if tools/libvirt-bed needs --install; then $(MAKE) libvirt-test; \
	else echo "The tests on real hosts are left out; what stands in the way is said above." >&2; fi

bench: $(VENV)/.dev  ## Measure again what the tables in README and benchmarks/ say
	$(BIN)/python benchmarks/run.py

test-pythons: $(VENV)/.dev  ## The loops' conformance suite on every Python from 3.11 at hand
	tools/test-pythons

clean:  ## Remove what make made, but no results
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* *.egg-info
