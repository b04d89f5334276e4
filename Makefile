# Every target sets itself up in .venv; all it needs is make and a Python >= 3.11 (PYTHON=... names one).

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := mock,crypto,cli,socks
# Tests wait longer than they compute, so three times as many at once as the two cores that they are meant for.
JOBS ?= 6
# Whoever is done takes from those who are not: most of the waiting is in a few folders.
PYTEST := -m pytest -n $(JOBS) --dist worksteal
PIP_FLAGS := -qq --disable-pip-version-check

# What differs from one interpreter to the next shows without long conversations, interop and the architecture.
UNIT := tests --ignore=tests/architecture --ignore=tests/interop -m "not network"

.DEFAULT_GOAL := help
SEEDS ?= 200
START ?= 1
KILLS ?= 20
STOPS ?= 5

.PHONY: help demo test test-all chaos chaos-kill cov check format lint types imports docs dist bench interop faults examples clean

help: ## what can be asked for
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# `run` is what a user installs, `dev` what a contributor needs on top: `make demo` does not wait for Sphinx.
$(VENV)/.run: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; say where one is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install $(PIP_FLAGS) --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable ".[$(EXTRAS)]"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(BIN)/python -m pip install $(PIP_FLAGS) --group test --group lint --group docs
	@touch $@

demo: $(VENV)/.run ## live books and orders on the mock exchange, no key, no network
	@$(BIN)/exconnect demo

test: $(VENV)/.dev ## all tests, on this interpreter
	@$(BIN)/python $(PYTEST)

test-all: $(VENV)/.dev ## the unit tests on every newer interpreter that this machine has
	@tests/interpreters $(BIN)/python "$(EXTRAS)" -n $(JOBS) --dist worksteal $(UNIT)

# Virtual time waits for nothing.
chaos: JOBS = $(shell getconf _NPROCESSORS_ONLN)
chaos: $(VENV)/.run ## SEEDS=n START=k [EXCHANGE=binance]: orders under seeded faults; no lie, no double, no loss
	@$(BIN)/python tests/chaos/run.py --jobs $(JOBS) $(SEEDS) $(START) $(EXCHANGE)

chaos-kill: $(VENV)/.run ## KILLS=n STOPS=m [EXCHANGE=binance]: processes killed with -9, stopped and taken over
	@$(BIN)/python tests/chaos/kill.py $(KILLS) $(STOPS) $(START) $(EXCHANGE)

cov: $(VENV)/.dev ## all tests, with the coverage gate
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run $(PYTEST)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: lint types imports docs dist ## what must be clean before a commit

format: $(VENV)/.dev ## put the code into shape
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

lint: $(VENV)/.dev ## ruff: format and rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(VENV)/.dev ## mypy --strict
	@$(BIN)/mypy

imports: $(VENV)/.dev ## the layers of the house
	@$(BIN)/lint-imports --no-logo --no-cache

docs: $(VENV)/.dev ## docs/_build/html, warnings are errors
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

dist: $(VENV)/.dev ## build sdist and wheel, and look inside
	@rm -rf dist build
	@$(BIN)/python -m build --outdir dist . >dist.log 2>&1 || { cat dist.log >&2; exit 1; }
	@! grep "defined outside of" dist.log
	@$(BIN)/python -m zipfile --list dist/*.whl | grep "exconnect/py.typed" >/dev/null
	@! $(BIN)/python -m zipfile --list dist/*.whl | grep -E "^(tests|benchmarks|examples|docs)/"
	@rm -rf build dist.log

bench: $(VENV)/.run ## exconnect beside its peers
	@$(BIN)/python benchmarks/run.py

interop: $(VENV)/.run ## other people's clients against the mock exchange
	@$(BIN)/python tests/interop/run.py
	@$(BIN)/python tests/interop/run_bybit.py

faults: $(VENV)/.run ## what exconnect and its peers do when something goes wrong (ARGS="--peers exconnect --quick")
	@$(BIN)/python tests/faults/run.py $(ARGS)

examples: $(VENV)/.run ## run every example against the mock exchange
	@set -e; for example in examples/*.py; do echo "$$example"; timeout 60 $(BIN)/python "$$example" </dev/null; done

clean: ## remove all that the targets made
	@rm -rf .venv .venv-* build dist dist.log docs/_build .coverage .coverage.* .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
