# make demo    measure a real server's process tree and show the result
# make test    run the tests
# make help    everything else
#
# Needs Python 3.11 or later with venv, and a C compiler. PYTHON=... selects the interpreter. Each
# version has its own virtual environment (.venv-3.12), which is created and updated when needed.

SHELL := /bin/bash

# The first interpreter that starts and is new enough. Start it to check: a name on PATH may be a
# launcher without an interpreter.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.14 python3.11 python3.15; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VERSION := $(shell $(or $(PYTHON),false) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error no Python 3.11 or newer found; name one with PYTHON=/path/to/python3)
endif

# `make test` installs the releases that constraints.txt names. An empty CONSTRAINTS installs the newest
# ones, into a separate environment.
CONSTRAINTS ?= constraints.txt
VENV := .venv-$(if $(CONSTRAINTS),,newest-)$(VERSION)
BIN := $(VENV)/bin
PY := $(BIN)/python
# The lint tools are the same for every tested interpreter.
LINT := .venv-lint-$(VERSION)
JOBS ?= auto
TESTS ?=
DEMO := build/demo

C_FILES := $(shell find src/covsup -name '*.[ch]')
PACKAGE := pyproject.toml setup.py covsup.pth covsup.start

# If make runs inside a session of covsup, build and test outside it.
unexport COVSUP_SESSION COVSUP_PARENT

.PHONY: help demo demo-live test test-load sanitize coverage dependencies constraints build lint lint-rules lint-layout lint-types lint-c format torture bench bench-check bench-combine bench-real transparency transparency-libraries pictures dist clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     measure a gevent server with worker processes; show report and tree"
	@echo "make demo-live   the same server until Ctrl-C, with a page that shows its lines as they run"
	@echo "make test     run the tests (PYTHON=python3.13, JOBS=2, TESTS='-k fork' tests/...)"
	@echo "make constraints   update constraints.txt, the releases that the tests and checks install"
	@echo "make test-load  test short runs on a machine that it keeps busy: some minutes"
	@echo "make sanitize   test the C code with extensions built with ASan and UBSan"
	@echo "make coverage   measure the tests' coverage of covsup itself; build/coverage/unreached.txt"
	@echo "make torture  tests that take minutes: faults, process storms, mutated journals"
	@echo "make build    update the virtual environment and the C extensions"
	@echo "make lint     ruff, mypy --strict, clang-format: check only"
	@echo "make format   rewrite the files with ruff and clang-format"
	@echo "make bench    time plain Python, covsup and coverage.py in turn; ratios of medians"
	@echo "make bench-check   compare the instructions of hot paths with recorded counts (valgrind)"
	@echo "make bench-combine   compare combining with coverage.py (BENCH='--processes 10000 --branch')"
	@echo "make bench-real   time whole commands on programs and test suites, with slipcover too"
	@echo "make transparency   CPython's own tests, with and without covsup (CPYTHON='--jobs 2 test_os')"
	@echo "make transparency-libraries   the same for greenlet, gevent, eventlet (LIBRARIES='greenlet')"
	@echo "make pictures   take the pictures of the page and of the terminal in docs/pictures"
	@echo "make dist     build wheel and sdist into dist/"
	@echo "make clean    remove what the other targets created"

# Prints the requirements in pyproject.toml, at run time and for the extras $(1).
requirements = $(PYTHON) -c 'import sys, tomllib; \
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    extras = (project["optional-dependencies"][extra] for extra in sys.argv[1:]); \
    print(*project["dependencies"], *(each for extra in extras for each in extra), sep="\n")' $(1)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS:%=--constraint=%)

# Install the libraries before covsup itself. If an interpreter is too new for a library, it fails here,
# and a later failure is covsup's own.
$(VENV)/.base: pyproject.toml $(CONSTRAINTS)
	@$(PY) -c pass 2>/dev/null || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "$(VENV): installing what covsup and the demo need (about 20 seconds)"
	@$(call requirements,demo) >$(VENV)/requirements-demo.txt
	@$(PY) $(PIP_INSTALL) 'setuptools>=80' wheel -r $(VENV)/requirements-demo.txt
	@touch $@

$(VENV)/.dependencies: $(VENV)/.base
	@echo "$(VENV): installing what the tests need (about 30 seconds)"
	@$(call requirements,demo test view) >$(VENV)/requirements-test.txt
	@$(PY) $(PIP_INSTALL) -r $(VENV)/requirements-test.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.base $(PACKAGE)
	@echo "$(VENV): installing covsup itself, from here"
	@$(PY) $(PIP_INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

# Build the extensions after each change of a C file. The name of an extension contains the Python
# version, so those of several interpreters can exist side by side. Warnings are errors here. They stay
# warnings for users who build an extension.
$(VENV)/.built: $(VENV)/.installed $(C_FILES)
	CFLAGS="$(CFLAGS) -Werror" $(PY) setup.py --quiet build_ext --inplace
	@touch $@

dependencies: $(VENV)/.dependencies

# Write the .pyc files here. If PYTHONDONTWRITEBYTECODE is set, each process would compile them again.
build: $(VENV)/.built
	@$(PY) -m compileall -q src/covsup

demo: build
	$(PY) examples/gevent_server/demo.py --directory $(DEMO)
	$(PY) -m covsup report --data-file=$(DEMO)/.coverage --show-missing
	$(PY) -m covsup tree --data-file=$(DEMO)/.coverage
	$(PY) -m covsup page --data-file=$(DEMO)/.coverage --output=$(DEMO)/report.html
	@echo "To see the same demo live in a browser: make demo-live"

# The same server until Ctrl-C. `covsup serve` needs the libraries of the extra `view`.
demo-live: dependencies build
	$(PY) examples/gevent_server/demo.py --directory $(DEMO) --live

test: dependencies build
	$(PY) -m pytest -n $(JOBS) --dist=loadgroup $(TESTS)

# For all Python versions at once. `git diff` shows the changes.
constraints: $(LINT)/.installed
	printf '%s\n' 'setuptools>=80' wheel | $(LINT)/bin/uv pip compile pyproject.toml - --all-extras \
		--universal --upgrade --quiet --no-header --no-annotate --output-file constraints.txt

# Runs of 0 to 1 second. The tests start and end four busy processes for each core, and use a copy of
# the packages without .pyc files.
test-load: build
	$(PY) -m pytest --load tests/load $(TESTS)

# Builds in build/sanitize-VERSION. The extensions beside the sources stay as they are.
sanitize: dependencies build
	$(PY) tests/instrumented/sanitize.py --jobs $(JOBS) $(TESTS)

# Builds in build/coverage-VERSION. Takes longer than `make test`; TESTS=tests/embed restricts it.
coverage: dependencies build
	$(PY) tests/instrumented/measure.py --jobs $(JOBS) $(TESTS)

# Faults, process storms, mutated journals. They take minutes, which is too long for CI.
torture: dependencies build
	$(PY) -m pytest -n $(JOBS) --dist=loadgroup --torture --slow --timeout=300 \
		tests/torture tests/journal tests/datafile tests/security $(TESTS)

$(LINT)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(LINT)/bin/python -c pass 2>/dev/null || { rm -rf $(LINT) && $(PYTHON) -m venv $(LINT); }
	$(call requirements,lint) >$(LINT)/requirements.txt
	$(LINT)/bin/python $(PIP_INSTALL) -r $(LINT)/requirements.txt
	@touch $@

# Separate targets, so that `make --keep-going lint` prints all errors.
lint: lint-rules lint-layout lint-types lint-c

lint-rules: $(LINT)/.installed
	$(LINT)/bin/ruff check .

lint-layout: $(LINT)/.installed
	$(LINT)/bin/ruff format --check .

lint-types: $(LINT)/.installed
	$(LINT)/bin/mypy

lint-c: $(LINT)/.installed
	$(LINT)/bin/clang-format --dry-run -Werror $(C_FILES)

format: $(LINT)/.installed
	$(LINT)/bin/ruff check --fix .
	$(LINT)/bin/ruff format .
	$(LINT)/bin/clang-format -i $(C_FILES)

bench: dependencies build
	$(PY) benchmarks/run.py $(BENCH)

bench-check: dependencies build
	$(PY) benchmarks/check.py $(BENCH)

bench-combine: dependencies build
	$(PY) benchmarks/combine.py $(BENCH)

bench-real: dependencies build
	$(PY) benchmarks/real.py $(BENCH)

transparency: dependencies build
	PYTHONPATH=. $(PY) -u tests/transparency/cpython.py $(CPYTHON)

# The tests of greenlet and gevent need objgraph.
transparency-libraries: dependencies build
	$(PY) $(PIP_INSTALL) objgraph
	PYTHONPATH=. $(PY) -u tests/transparency/libraries.py $(LIBRARIES)

# Needs a Chromium with its driver. Look at each picture afterwards.
pictures: dependencies build
	$(foreach script,$(wildcard docs/pictures/*.py),$(if $(findstring shop_run,$(script)),,\
		PYTHONPATH=. $(PY) $(script) &&)) true

dist: $(LINT)/.installed
	rm -rf dist
	$(if $(CONSTRAINTS),PIP_CONSTRAINT=$(abspath $(CONSTRAINTS))) $(LINT)/bin/python -m build --outdir dist .

clean:
	rm -rf build dist .venv-* .coverage .covsup .pytest_cache .mypy_cache .ruff_cache
	rm -rf src/covsup.egg-info src/covsup/*/*.so
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
