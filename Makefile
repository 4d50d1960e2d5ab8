# `make run` starts the shop on SQLite, `make test` passes the tests; each sets up what it needs on a machine
# that has only Python 3.11 or newer.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FILE   ?= examples/shop.tsk

.DEFAULT_GOAL := help
.PHONY: help run test check format lock bench clean

help: ## Show what can be made.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/run.stamp: $(BIN)/uv requirements.lock pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -q tusk_runtime
	@touch $@

$(VENV)/dev.stamp: $(BIN)/uv requirements-dev.lock pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@ $(VENV)/run.stamp

run: $(VENV)/run.stamp ## Set up, and run examples/shop.tsk (or FILE=…) on SQLite.
	$(BIN)/tusk-run $(FILE)

test: $(VENV)/dev.stamp ## Set up, and pass all tests.
	@tools/install-test-parts
	$(BIN)/pytest --cov --cov-report=term $(ARGS)

check: $(VENV)/dev.stamp ## Format, lint, types, import rules, and our own examples.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/tusk check --strict examples README.md
	$(BIN)/tusk fmt --check examples

format: $(VENV)/dev.stamp ## Put the code into its one form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/uv ## Renew the lock files.
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --no-emit-project --no-header --no-dev > requirements.lock
	$(BIN)/uv export --quiet --no-emit-project --no-header --group dev > requirements-dev.lock

bench: $(VENV)/dev.stamp ## Measure, side by side with others.
	for script in append commands postgres relay consuming consuming_kafka poison one_aggregate projection expressions loading; do $(BIN)/python benchmarks/$$script.py || exit 1; done

clean: ## Remove what was set up.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache .coverage dist
