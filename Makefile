# make demo    measure a real server's process tree and show the result
# make test    run the tests
# make help    everything else
#
# Needs Python 3.11+ with venv, and a C compiler. PYTHON=... selects the interpreter; each version
# has a virtual environment of its own (.venv-3.12), made and renewed on demand.

SHELL := /bin/bash

# The first interpreter that starts and is new enough: a name on PATH may be a launcher that has
# nothing to launch.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.14 python3.11 python3.15; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VERSION := $(shell $(or $(PYTHON),false) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error no Python 3.11 or newer found; name one with PYTHON=/path/to/python3)
endif

# `make test` installs the releases that constraints.txt names; an empty CONSTRAINTS takes the newest
# ones, into an environment of their own.
CONSTRAINTS ?= constraints.txt
VENV := .venv-$(if $(CONSTRAINTS),,newest-)$(VERSION)
BIN := $(VENV)/bin
PY := $(BIN)/python
# The tools that check are the same whichever interpreter is tested.
LINT := .venv-lint-$(VERSION)
JOBS ?= auto
TESTS ?=
DEMO := build/demo

C_FILES := $(shell find src/covsup -name '*.[ch]')
PACKAGE := pyproject.toml setup.py covsup.pth covsup.start

# A make that is itself started inside a session builds and checks outside it.
unexport COVSUP_SESSION COVSUP_PARENT

.PHONY: help demo test test-load dependencies constraints build lint lint-rules lint-layout lint-types lint-c format torture bench bench-check bench-combine bench-real transparency transparency-libraries dist clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     measure a gevent server with worker processes; show report and tree"
	@echo "make test     run the tests (PYTHON=python3.13, JOBS=2, TESTS='-k fork' tests/...)"
	@echo "make constraints   renew constraints.txt, the releases that the tests and checks install"
	@echo "make test-load  tests of short runs on a machine that it keeps busy: some minutes"
	@echo "make torture  tests that take minutes: refusals, storms of processes, mutated journals"
	@echo "make build    bring the virtual environment and the C extensions up to date"
	@echo "make lint     ruff, mypy --strict, clang-format: check only"
	@echo "make format   let ruff and clang-format rewrite what they can"
	@echo "make bench    plain, covsup and coverage.py in turn; ratios of medians"
	@echo "make bench-check   instructions of the hot paths, against the recorded ones (valgrind)"
	@echo "make bench-combine   combining, against coverage.py (BENCH='--processes 10000 --branch')"
	@echo "make bench-real   whole commands on programs and test suites, beside slipcover too"
	@echo "make transparency   CPython's own tests, plainly and measured (CPYTHON='--jobs 2 test_os')"
	@echo "make transparency-libraries   the same of greenlet, gevent, eventlet (LIBRARIES='greenlet')"
	@echo "make dist     wheel and sdist into dist/"
	@echo "make clean    remove what these made"

# Prints what pyproject.toml requires at run time and for the extras $(1).
requirements = $(PYTHON) -c 'import sys, tomllib; \
    project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    extras = (project["optional-dependencies"][extra] for extra in sys.argv[1:]); \
    print(*project["dependencies"], *(each for extra in extras for each in extra), sep="\n")' $(1)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS:%=--constraint=%)

# What others wrote is installed apart from covsup itself: an interpreter that is too new for some
# library fails here, and what fails later is covsup's own.
$(VENV)/.base: pyproject.toml $(CONSTRAINTS)
	@$(PY) -c pass 2>/dev/null || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@echo "$(VENV): installing what covsup and the demo need (some 20 seconds)"
	@$(call requirements,demo) >$(VENV)/requirements-demo.txt
	@$(PY) $(PIP_INSTALL) 'setuptools>=80' wheel -r $(VENV)/requirements-demo.txt
	@touch $@

$(VENV)/.dependencies: $(VENV)/.base
	@echo "$(VENV): installing what the tests need (some 30 seconds)"
	@$(call requirements,demo test) >$(VENV)/requirements-test.txt
	@$(PY) $(PIP_INSTALL) -r $(VENV)/requirements-test.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.base $(PACKAGE)
	@echo "$(VENV): installing covsup itself, from here"
	@$(PY) $(PIP_INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

# The extensions: after each change of a C file. An extension beside the sources carries its
# version in its name, so those of several interpreters live together. Warnings are errors here; for
# users who build an extension they stay warnings.
$(VENV)/.built: $(VENV)/.installed $(C_FILES)
	CFLAGS="$(CFLAGS) -Werror" $(PY) setup.py --quiet build_ext --inplace
	@touch $@

dependencies: $(VENV)/.dependencies

# Compiled here, where PYTHONDONTWRITEBYTECODE may be set: each process would compile it again.
build: $(VENV)/.built
	@$(PY) -m compileall -q src/covsup

demo: build
	$(PY) examples/gevent_server/demo.py --directory $(DEMO)
	$(PY) -m covsup report --data-file=$(DEMO)/.coverage --show-missing
	$(PY) -m covsup tree --data-file=$(DEMO)/.coverage

test: dependencies build
	$(PY) -m pytest -n $(JOBS) --dist=loadgroup $(TESTS)

# For all Pythons at once; `git diff` shows what is new.
constraints: $(LINT)/.installed
	printf '%s\n' 'setuptools>=80' wheel | $(LINT)/bin/uv pip compile pyproject.toml - --all-extras \
		--universal --upgrade --quiet --no-header --no-annotate --output-file constraints.txt

# Runs of 0 to 1 second with four busy processes for each core beside them, which the tests start
# and end, and with a copy of the packages that has no .pyc files.
test-load: build
	$(PY) -m pytest --load tests/load $(TESTS)

# Faults, storms of processes, mutated journals: minutes, and more than CI has time for.
torture: dependencies build
	$(PY) -m pytest -n $(JOBS) --dist=loadgroup --torture --slow --timeout=300 \
		tests/torture tests/journal tests/fold tests/security $(TESTS)

$(LINT)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(LINT)/bin/python -c pass 2>/dev/null || { rm -rf $(LINT) && $(PYTHON) -m venv $(LINT); }
	$(call requirements,lint) >$(LINT)/requirements.txt
	$(LINT)/bin/python $(PIP_INSTALL) -r $(LINT)/requirements.txt
	@touch $@

# Apart, so that `make --keep-going lint` says all that is wrong.
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

# greenlet's tests and gevent's want objgraph.
transparency-libraries: dependencies build
	$(PY) $(PIP_INSTALL) objgraph
	PYTHONPATH=. $(PY) -u tests/transparency/libraries.py $(LIBRARIES)

dist: $(LINT)/.installed
	rm -rf dist
	$(if $(CONSTRAINTS),PIP_CONSTRAINT=$(abspath $(CONSTRAINTS))) $(LINT)/bin/python -m build --outdir dist .

clean:
	rm -rf build dist .venv-* .coverage .covsup .pytest_cache .mypy_cache .ruff_cache
	rm -rf src/covsup.egg-info src/covsup/*/*.so
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
