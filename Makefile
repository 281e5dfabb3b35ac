# Every target sets up what it needs in .venv, once; `make` lists them.

PYTHON ?= python3
ARGS ?=
SWEEPS ?=
UPGRADE ?= --upgrade
VENV := .venv
BIN := $(VENV)/bin
# With that variable set, as in many images, each worker and server would compile everything anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:  # two targets install into one venv
.PHONY: help dry-run playground test test-aws sweeps coverage mutants rehearsed lint format bench bench-login screenshots packages constraints clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

dry-run: $(VENV)/.rehearsal packages  ## Rehearse everything here: up, both logins, teardown; no AWS
	@$(BIN)/python -m teardown --dry-run --yes $(ARGS)

playground: $(VENV)/.rehearsal packages  ## Rehearse `up` and keep the rehearsal running, to look around
	@$(BIN)/python -m provision up --dry-run --serve $(ARGS)

test: $(VENV)/.dev packages  ## Run the tests, with a sample of each sweep; ARGS="-k token" selects some
	@$(PYTEST) $(ARGS)

test-aws: $(VENV)/.dev packages  ## Run a whole lifecycle in your account and write a report; shows the cost first, and asks
	@$(BIN)/python -m tests.field.at_aws $(ARGS)

sweeps: $(VENV)/.dev packages  ## Run all tests of the sweeps, and record their figures; SWEEPS=0.3 runs a share
	@$(PYTEST) -m sweep --sweeps $(or $(SWEEPS),all) --figures docs/figures/sweeps.json $(ARGS)
	@$(BIN)/python -m docs.write_figures

# The same tests on each day, so that the figure moves with the code alone.
coverage: $(VENV)/.dev packages  ## Run the fast tests, and check that they cover enough of the two programs
	@$(PYTEST) -m "not slow" --ignore=tests/rehearsal --cov --cov-report=term --cov-report=html $(ARGS)

rehearsed: $(VENV)/.dev packages  ## Record what the rehearsal plays, for `report` to compare AWS with (minutes)
	@$(BIN)/python -m tests.field.record

mutants: $(VENV)/.dev  ## Put small faults into critical modules, and check that tests fail (ARGS=MODULE)
	@$(BIN)/python -m tests.mutants $(ARGS)
	@$(BIN)/python -m docs.write_figures

lint: $(VENV)/.dev  ## Check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo 'Run "make format".'; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/mypy functions/shared functions/password
	@$(BIN)/mypy functions/iam

format: $(VENV)/.dev  ## Format the code
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format

bench: $(VENV)/.dev packages  ## Measure up and teardown against their limits, and record the figures
	@$(BIN)/python -m benchmarks.up --json bench.json $(ARGS)
	@mv bench.json docs/figures/bench.json
	@$(BIN)/python -m docs.write_figures

bench-login: $(VENV)/.dev packages  ## Measure both logins through the stand-in proxy
	@$(BIN)/python -m benchmarks.login $(ARGS)

screenshots: $(VENV)/.dev packages  ## Retake the pictures in docs/screenshots/ (a minute)
	@$(BIN)/python -m docs.take_screenshots

# The layer's wheel comes from the package index once; after that nothing here needs a network.
packages: $(VENV)/.rehearsal
	@$(BIN)/python -m provision.packaging.zips > /dev/null

constraints:  ## Pin the newest versions that pyproject.toml allows; UPGRADE= only adds what is missing
	@rm -rf $(VENV)-uv
	@$(PYTHON) -m venv $(VENV)-uv
	@$(VENV)-uv/bin/python -m pip --disable-pip-version-check install --quiet uv
	@set -e; for extras in 'dev --extra dev' 'rehearsal --extra rehearsal' 'run'; do \
	  set -- $$extras; file=constraints/$$1.txt; shift; \
	  $(VENV)-uv/bin/uv pip compile pyproject.toml --group build $$@ $(UPGRADE) --quiet --no-annotate \
	    --custom-compile-command "make constraints" --universal --python-version 3.11 \
	    --generate-hashes --output-file $$file; \
	done
	@rm -rf $(VENV)-uv
	@git --no-pager diff --stat -- constraints

clean:  ## Remove what the targets created; the state in .provision/ stays
	rm -rf $(VENV) $(VENV)-uv layer/.cache build dist *.egg-info bench.json
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is out of date when one of these files changed, or when the venv's Python did.
$(VENV)/.rehearsal: $(BIN)/python pyproject.toml constraints/rehearsal.txt
	@echo "Installing what a rehearsal needs into $(VENV) (about half a minute, once) ..."
	@$(PIP) --require-hashes --requirement constraints/rehearsal.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints/dev.txt constraints/axe.txt
	@echo "Installing what the tests need into $(VENV) (about a minute, once) ..."
	@$(PIP) --require-hashes --requirement constraints/dev.txt
	@$(PIP) --require-hashes --no-deps --requirement constraints/axe.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.rehearsal

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed: make TARGET PYTHON=/path/to/python3.x'; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
