# What people run. `make` alone prints this list.
#
# Everything is installed into .venv. Stamp files remember what was installed for which
# pyproject.toml, so that a second call starts at once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A registry that cannot be reached is given up soon, and why is said: npm asks it for every
# package, and would wait for minutes and in silence each time.
NPM := npm install --prefer-offline --loglevel=error --no-fund --no-audit --fetch-timeout=30000 --fetch-retries=2 \
    --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000
export PIP_ROOT_USER_ACTION := ignore

# Sets `python` to the first one that is new enough (PYTHON= overrides), or says which ones were
# found. Where there is none at all, it is installed if that is possible.
define FIND_PYTHON
python=""
found=""
find_python() {
    for name in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do
        version=$$("$$name" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null) || {
            found="$$found$(if $(PYTHON), $$name does not run;)"
            continue
        }
        if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            python=$$name
            return
        fi
        found="$$found $$name is $$version;"
    done
}
find_python
if [ -z "$$python$$found" ] && bash tests/install.sh python3 python3-venv; then
    find_python
fi
if [ -z "$$python" ]; then
    echo "make: weighbridge needs Python 3.11 or newer, found:$${found:- none;} install one or name it with PYTHON=" >&2
    exit 1
fi
endef

.PHONY: help demo wheel test lint bench example-reports calibrate watch-calibration soak endurance serving peers poor-targets fuzz data-planes notebooks notebook-runs format clean

help: ## print this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

demo: $(VENV)/.runtime ## tell the whole story of one canary on a Service of our own (ARGS= is passed on)
	@$(BIN)/weighbridge demo $(ARGS)

wheel: $(VENV)/.created ## build dist/weighbridge-VERSION-py3-none-any.whl, for all systems, and one with its compiled part for Linux
	@rm -f dist/weighbridge-*.whl
	WEIGHBRIDGE_COMPILE=0 $(PIP) wheel --no-deps --wheel-dir dist .
	WEIGHBRIDGE_COMPILE=1 $(PIP) wheel --no-deps --wheel-dir dist . ||
	    echo "make: nothing could be compiled, for the reason above; the wheel for all systems is whole without it" >&2
	ls dist/weighbridge-*.whl

.PHONY: lock image install-figures
lock: $(VENV)/.release ## choose anew what the image installs; writes packaging/image.lock
	@$(BIN)/python -m tests.image_lock

image: $(VENV)/.develop parts ## build the image where there is no registry, into build/image; needs root (AGAIN=1 builds it anew, EXTRAS=dask adds that extra)
	PYTHON=$(BIN)/python ARCHIVE=1 bash packaging/image.sh

# What Debian brings; what cannot be had is named, and who needs it fails.
.PHONY: parts
parts:
	@$(FIND_PYTHON)
	"$$python" tests/requirements.py --install || true

test: ## lint, then all tests that can run here (ARGS= goes to pytest; EVERY_TEST=1 leaves none out)
	@$(FIND_PYTHON)
	every=$${EVERY_TEST:-0}
	"$$python" tests/requirements.py --install || [ "$$every" = 0 ]
	$(MAKE) lint
	$(MAKE) $(VENV)/.npm $(VENV)/.go
	[ "$$every" = 0 ] || [ -e $(VENV)/.npm ]
	PYTHON=$(BIN)/python bash packaging/image.sh base || [ "$$every" = 0 ]
	# One more than there are processors: many tests wait for a clock or another process.
	$(BIN)/python -u -m pytest --numprocesses=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses=4 --dist=worksteal \
	    --ignore=tests/benchmarks $(ARGS)

lint: $(VENV)/.develop ## ruff, mypy and the import contracts
	@$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.develop ## rewrite the code as the formatter wants it
	@$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.develop parts ## compare with wrk, and measure the start; needs root; writes reports/benchmarks
	$(BIN)/python -m tests.benchmarks.sampler_vs_wrk
	$(BIN)/python -m tests.benchmarks.request_cost
	$(BIN)/python -m tests.benchmarks.speed_steps
	$(BIN)/python -m tests.benchmarks.open_loop
	$(BIN)/python -m tests.benchmarks.startup
	$(BIN)/python -m tests.benchmarks.verdict_path
	$(BIN)/python -m tests.benchmarks.figures
	$(BIN)/python -m tests.benchmarks.logs

endurance: $(VENV)/.develop parts ## one run of 20 million samples; needs root; writes reports/benchmarks
	$(BIN)/python -m tests.benchmarks.endurance

serving: $(VENV)/.develop ## compare a check through a server with the command, watch its memory and its loop; writes reports/benchmarks
	$(BIN)/python -m tests.benchmarks.serving $(ARGS)

soak: $(VENV)/.develop ## watch at 2 000 connections per second for 20 minutes (SOAK_S, SOAK_RATE); writes reports/benchmarks
	@$(BIN)/python -m tests.benchmarks.soak

data-planes: $(VENV)/.develop parts ## weigh kube-proxy, nginx, HAProxy, Envoy and Traefik; needs root; writes reports/data-planes.md
	$(BIN)/python -m tests.benchmarks.data_planes

install-figures: wheel $(VENV)/.develop parts ## sizes and first verdicts of pip, uv and the image; needs root; writes reports/install.md and image.md
	$(BIN)/python -m tests.benchmarks.install $(ARGS)

poor-targets: $(VENV)/.develop ## check targets without labels 200 times each; writes reports/poor-targets.md
	$(BIN)/python -m tests.benchmarks.poor_targets $(ARGS)

.PHONY: fleet
fleet: $(VENV)/.develop ## measure a coordinator of 300 vantages, workers and Dask; writes reports/fleet.md
	@$(BIN)/python -m tests.benchmarks.fleet

.PHONY: servers
servers: $(VENV)/.develop ## compare counts with some fifty real HTTP servers, and install these; writes reports/servers.md
	@$(BIN)/python -m tests.benchmarks.servers --install $(ARGS)

fuzz: $(VENV)/.develop ## feed every reader of the bytes of others a million mutated inputs (ARGS="--only READER --inputs N --seed N")
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

hardening: $(VENV)/.develop ## attack every reader, kill 200 runs, feed a million mutated inputs; writes reports/hardening.md
	@$(BIN)/python -m tests.benchmarks.hardening

.PHONY: sanitize
sanitize: $(VENV)/.develop ## test what is compiled with AddressSanitizer and UndefinedBehaviorSanitizer of gcc (two minutes)
	@python=$$PWD/$(BIN)/python
	rm -rf build/sanitized
	mkdir -p build/sanitized
	cp -r pyproject.toml hatch_build.py README.md LICENSE weighbridge sampler analysis tests build/sanitized
	cd build/sanitized
	WEIGHBRIDGE_COMPILE=1 CFLAGS="-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover" \
	    "$$python" -m hatchling build -t wheel:editable -d .
	# Python itself leaks at its end, on purpose.
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	    "$$python" -m pytest -q -n 2 -k "not tls and not full" tests/unit/sampler/exchange/transport tests/conformance tests/integration/test_accounting.py

audit: $(VENV)/.develop ## look up known holes of what is installed and of the lower bounds, where a source can be reached
	@$(BIN)/python -m venv --system-site-packages $(VENV)/audit
	$(VENV)/audit/bin/python -m pip --disable-pip-version-check --quiet install pip-audit
	$(VENV)/audit/bin/python -m tests.audit

peers: $(VENV)/.develop ## install load generators to compare with (locust, autocannon; hey, ab and h2load come by apt)
	@$(VENV)/bin/python -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip --disable-pip-version-check --quiet install locust
	$(NPM) --prefix $(VENV)/npm autocannon

calibrate: $(VENV)/.develop ## simulate many runs of every data plane, and compare with other methods (minutes; ARGS=--runs N)
	@$(BIN)/python -m tests.calibration.large $(ARGS)
	$(BIN)/python -m tests.calibration.comparison

watch-calibration: $(VENV)/.develop ## simulate continuous weighing; writes reports/watch.md (minutes; ARGS=--runs N)
	@$(BIN)/python -m tests.calibration.watching $(ARGS)

example-reports: $(VENV)/.develop ## make the example runs in reports/example again
	@$(BIN)/python -m tests.example_reports

notebooks: $(VENV)/.develop ## run the notebooks and store what they show (ARGS=02 runs one)
	@$(BIN)/python -m notebooks.execute $(ARGS)

notebook-runs: $(VENV)/.develop ## record the runs that the notebooks read again, on the embedded Service
	@$(BIN)/python -m notebooks.record

.PHONY: docs
docs: $(VENV)/.develop ## build the site of the documentation into build/site; asks nobody
	@$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/site
	echo "build/site/index.html"

.PHONY: release-check
release-check: $(VENV)/.release ## rehearse a release: built twice, checked, installed, used; leaves it in dist/
	@$(BIN)/python -m tests.release

.PHONY: man
man: $(VENV)/.develop ## write the manual pages into build/man (man -l build/man/weighbridge-check.1 shows one)
	@$(BIN)/python -m tests.man_pages build/man

clean: ## remove the environment, the caches and what was built; runs in reports/ stay
	@rm -rf $(VENV) build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find weighbridge sampler analysis tests -type d -name __pycache__ -prune -exec rm -rf {} +
	rm -f sampler/exchange/transport/*.so

# PYTHON= of another version than the environment's begins a new one.
ifneq ($(PYTHON),)
VERSION_OF := -c 'import sys; print(sys.version)' 2>/dev/null
ifneq ($(shell $(firstword $(PYTHON)) $(VERSION_OF)),$(shell $(BIN)/python $(VERSION_OF)))
.PHONY: $(VENV)/.created
endif
endif

# Dependency groups need pip >= 25.1.
$(VENV)/.created:
	@$(FIND_PYTHON)
	# Debian has this part of Python in a package of its own.
	if ! "$$python" -c 'import ensurepip' 2>/dev/null; then
	    bash tests/install.sh "$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
	fi
	if ! "$$python" -m venv --clear $(VENV); then
	    rm -rf $(VENV)
	    exit 1
	fi
	echo "make: installing into $(VENV), once" >&2
	$(PIP) install --upgrade 'pip>=25.1'
	touch $@

# What is compiled lies beside its source, and is of it.
COMPILED := hatch_build.py $(wildcard sampler/exchange/transport/*.c)

$(VENV)/.runtime: $(VENV)/.created pyproject.toml $(COMPILED)
	@$(PIP) install --editable .
	touch $@

$(VENV)/.develop: $(VENV)/.created pyproject.toml $(COMPILED)
	@$(PIP) install --editable . --group lint --group test
	touch $@ $(VENV)/.runtime

$(VENV)/.release: $(VENV)/.develop
	@$(PIP) install --group release
	touch $@

# What Go compiles of its own library, for a program of the tests; else the first of them would wait for it.
$(VENV)/.go: $(VENV)/.develop tests/serve/controllers.go
	@if [ -e $(BIN)/go ]; then
	    $(BIN)/python -m tests.serve.compiled $(VENV)/controllers
	fi
	touch $@

# What npm brings for the tests. Where it cannot, the tests that need it are left out.
$(VENV)/.npm: $(VENV)/.created tests/requirements.py
	@packages=$$($(BIN)/python tests/requirements.py --npm)
	if $(NPM) --prefix $(VENV)/npm $$packages; then
	    touch $@
	else
	    echo "make: npm could not bring $$packages; the tests that need them are left out" >&2
	fi
